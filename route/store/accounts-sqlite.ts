import type { Account, Accounts } from "./accounts.ts";
import type { SqliteFile } from "./sqlite-file.ts";

const COLUMNS = "user_id AS userId, user_name AS userName, password_hash AS passwordHash";

export function sqliteAccounts(file: SqliteFile): Accounts {
  const byId = file.prepare<Account, [number]>(`SELECT ${COLUMNS} FROM accounts WHERE user_id = ?`);
  const byName = file.prepare<Account, [string]>(`SELECT ${COLUMNS} FROM accounts WHERE user_name = ?`);
  const insert = file.prepare<Account, [string, string | null]>(
    `INSERT INTO accounts (user_name, password_hash) VALUES (?, ?) RETURNING ${COLUMNS}`,
  );
  const update = file.prepare<null, [string, number]>(
    "UPDATE accounts SET password_hash = ? WHERE user_id = ?",
  );

  return {
    register: (userName, passwordHash) =>
      file.durably(() => {
        const account = byName.get(userName);
        if (account) return { account, created: false };
        return { account: insert.get(userName, passwordHash)!, created: true };
      }),
    setPassword: (userId, passwordHash) => file.durably(() => void update.run(passwordHash, userId)),
    byId: (userId) => file.read(() => byId.get(userId)),
    byName: (userName) => file.read(() => byName.get(userName)),
  };
}
