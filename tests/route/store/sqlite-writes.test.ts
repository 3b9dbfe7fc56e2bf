import { expect, test } from "bun:test";
import { SqliteFile } from "../../../route/store/sqlite-file.ts";

test("of what is written in one transaction, what fails takes nothing of the rest with it", async () => {
  const file = new SqliteFile(":memory:");
  const revoke = file.prepare<unknown, [string, number]>(
    "INSERT INTO revoked (session_id, until) VALUES (?, ?)",
  );
  const count = file.prepare<{ n: number }, []>("SELECT count(*) AS n FROM revoked");
  const write = (session: string) => file.write(() => revoke.run(session, 1));
  const together = await Promise.allSettled(["a", "b", "c"].map(write));
  const mixed = await Promise.allSettled(["d", "a", "e"].map(write));
  expect([together.map(({ status }) => status), mixed.map(({ status }) => status), count.get()!.n]).toEqual([
    ["fulfilled", "fulfilled", "fulfilled"],
    ["fulfilled", "rejected", "fulfilled"],
    5,
  ]);
  await file.close();
});

test("what is written as the file is closed is in it", async () => {
  const file = new SqliteFile(":memory:");
  const revoke = file.prepare<unknown, [string, number]>(
    "INSERT INTO revoked (session_id, until) VALUES (?, ?)",
  );
  const written = file.write(() => revoke.run("a", 1).changes);
  await file.close();
  expect(await written).toBe(1);
});
