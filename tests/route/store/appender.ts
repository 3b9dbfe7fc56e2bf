/** Run by a test as a process of its own: appends to the file it is given, and prints what was accepted, until killed. */
import { writeSync } from "node:fs";
import { openSqlite } from "../../../route/store/sqlite.ts";

const store = await openSqlite(process.argv[2]!);
for (let batch = 0; ; batch++) {
  const appended = await store.log.append(
    Array.from({ length: 10 }, (_, i) => ({
      conversation: "all",
      senderId: 1,
      messageId: `${batch}-${i}`,
      at: Date.now(),
      bytes: new Uint8Array(200),
    })),
  );
  writeSync(1, `accepted ${appended.at(-1)!.seq}\n`);
}
