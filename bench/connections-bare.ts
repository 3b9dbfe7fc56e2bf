/** A program of its own: sockets in Bun that are welcomed and then idle, with nothing behind them. */
import { encodeFrame } from "../proto/frame.ts";
import { Command } from "../proto/gen/cim_pb.ts";

/** Bun's backlog is 512. */
const LISTENERS = 32;

const port = Number(process.argv[2]);
const welcome = encodeFrame({
  cmd: Command.CONTROL,
  body: { case: "welcome", value: { heartbeatMs: 60_000 } },
});
const socket: Bun.SocketHandler<null> = {
  data: (socket) => void socket.write(welcome),
  error: (socket) => socket.terminate(),
};
const options = { hostname: "127.0.0.1", port, reusePort: true, socket, data: null };
for (let i = 0; i < LISTENERS; i++) Bun.listen<null>(options);
console.log("listening");
