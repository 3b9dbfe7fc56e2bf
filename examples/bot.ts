/**
 * A bot: it answers whoever writes to it, and misses nothing said while it was away.
 *
 *     CIM_PASSWORD=… bun examples/bot.ts http://127.0.0.1:8083
 */
import { connect } from "cim/client";

const [routeUrl = "http://127.0.0.1:8083"] = process.argv.slice(2);

await using bot = await connect({
  routeUrl,
  userName: "echo",
  password: process.env.CIM_PASSWORD,
  register: true,
});
console.log(`echo is user ${bot.userId}`);

for await (const { conversation, messageId, sender, text, own } of bot.messages) {
  if (own || text === undefined || !conversation.startsWith("p2p:")) continue;
  if (text === "goodbye") break;
  // A crash may show it a message twice. The answer's name is made from the message's, so that it stands once.
  await bot.sendTo(sender.userId, `${sender.userName}, you said: ${text}`, { messageId: `re-${messageId}` });
}
