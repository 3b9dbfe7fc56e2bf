/**
 * A program that keeps what it receives in a file, one line of JSON for each message; how far it got is the file
 * itself. Made to be killed: `bun receiver.ts <route url> <user> <password> <file>`.
 */
import { appendFileSync } from "node:fs";
import { connect } from "../../client/sdk/client.ts";
import { received } from "./received.ts";

const [routeUrl, userName, password, file] = process.argv.slice(2) as [string, string, string, string];

await using client = await connect({
  routeUrl,
  userName,
  password,
  register: true,
  loginAttempts: 100,
  backoff: () => 50,
  cursors: {
    load: async () => Object.fromEntries(received(file).map(({ conversation, seq }) => [conversation, seq])),
    // The line of the message says it.
    save: async () => {},
  },
});
console.log("ready");
for await (const { conversation, seq, text } of client.messages) {
  appendFileSync(file, `${JSON.stringify({ conversation, seq, text })}\n`);
}
