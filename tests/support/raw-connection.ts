/** A TCP connection that writes any bytes and keeps what comes back: for peers that do not keep to the protocol. */
import { connect, type Socket } from "node:net";
import { until } from "./until.ts";

export class RawConnection {
  received: Uint8Array = new Uint8Array();
  closed = false;

  private constructor(readonly socket: Socket) {
    socket.on("data", (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk]);
    });
    socket.on("close", () => {
      this.closed = true;
    });
    // A reset is one of the ways in which the other side may close.
    socket.on("error", () => {});
  }

  static async open(port: number): Promise<RawConnection> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const socket = connect({ host: "127.0.0.1", port }, resolve);
    socket.setNoDelay(true);
    socket.once("error", reject);
    await promise;
    return new RawConnection(socket);
  }

  /** Resolves when the kernel took the bytes, or the connection is closed. */
  async write(bytes: Uint8Array | string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.socket.write(bytes, () => resolve());
    await promise;
  }

  /** Resolves when the other side has closed. */
  async ended(what = "the connection is closed", deadlineMs?: number): Promise<void> {
    await until(what, () => this.closed, deadlineMs);
  }

  destroy(): void {
    this.socket.destroy();
  }
}
