import { Database } from "bun:sqlite";
import { expect, spyOn, test } from "bun:test";
import { openSqlite } from "../../../route/store/sqlite.ts";

test("no statement looks through a whole table", async () => {
  const prepare = spyOn(Database.prototype, "prepare");
  const store = await openSqlite(":memory:");
  const database = prepare.mock.contexts[0] as Database;
  const statements = prepare.mock.calls
    .map(([sql]) => sql)
    .filter((sql) => !/^(BEGIN|COMMIT|ROLLBACK)/.test(sql));
  prepare.mockRestore();

  // All of them are prepared by now: had one been left for later, a count would show it.
  expect(statements.length).toBeGreaterThan(30);
  const scans = statements.flatMap((sql) =>
    database
      .query<{ detail: string }, []>(`EXPLAIN QUERY PLAN ${sql}`)
      .all()
      .filter(({ detail }) => /SCAN|TEMP B-TREE|AUTOMATIC/.test(detail))
      .map(({ detail }) => `${detail}: ${sql}`),
  );
  expect(scans).toEqual([]);
  await store.close();
});
