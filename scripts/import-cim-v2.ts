/**
 * Makes the accounts of a CIM v2 known by their names (docs/migration.md): `CIM_STORE=redis://… bun run import-cim-v2`.
 */
import { readConfig } from "../common/config.ts";
import { importV2Accounts } from "../route/store/import-v2-redis.ts";

const { store } = readConfig(process.env);
if (!/^rediss?[+:]/.test(store)) {
  console.error(`CIM_STORE=${store}: want the redis:// that CIM v2 keeps its accounts in`);
  process.exit(1);
}
const warn = (fields: object, text: string) => console.error(text, JSON.stringify(fields));
const { accounts, named, unnamed } = await importV2Accounts(store, {
  debug() {},
  info() {},
  warn,
  error: warn,
});
for (const { userId, userName } of unnamed) {
  console.log(`${userId} ${JSON.stringify(userName)}: another account has this name, or nobody may have it`);
}
console.log(`${accounts} accounts: ${named} named now, ${unnamed.length} found by their id alone`);
