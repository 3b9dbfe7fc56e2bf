/**
 * A device that sends readings as bytes to the account that collects them, which is there already, and goes on where it
 * was after any break.
 *
 *     CIM_PASSWORD=… bun examples/device.ts http://127.0.0.1:8083 collector 10
 */
import { connect } from "cim/client";

const [routeUrl = "http://127.0.0.1:8083", collector = "collector", readings = "10"] = process.argv.slice(2);

const password = process.env.CIM_PASSWORD;
await using device = await connect({
  routeUrl,
  userName: "sensor-1",
  password,
  register: true,
  device: "sensor",
});
const receiver = await device.findUser(collector);
if (!receiver)
  throw new Error(`there is no account ${collector}: bun run client --user ${collector} makes it`);

for (let i = 0; i < Number(readings); i++) {
  const reading = new DataView(new ArrayBuffer(12));
  reading.setFloat64(0, Date.now());
  reading.setFloat32(8, 20 + Math.random());
  const { seq } = await device.sendTo(receiver.userId, new Uint8Array(reading.buffer));
  console.log(`reading ${i + 1} is stored as ${seq}`);
}
