/** A TCP relay before a real server: the network between two processes, that can be cut and joined. */
import { connect, createServer, type Server, type Socket } from "node:net";
import { freePorts } from "./ports.ts";

export class Relay {
  readonly #sockets = new Set<Socket>();
  #cut = false;

  private constructor(
    readonly port: number,
    readonly server: Server,
  ) {}

  /** Relays a loopback port of its own to `targetPort`. */
  static async open(targetPort: number): Promise<Relay> {
    const [port] = await freePorts(1);
    const server = createServer((near) => relay.#join(near, targetPort));
    const relay = new Relay(port!, server);
    const { promise, resolve } = Promise.withResolvers<void>();
    server.listen(port, "127.0.0.1", resolve);
    await promise;
    return relay;
  }

  /** As a client names it: host:port. */
  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** From now on nothing gets through, and no side is told. */
  cut(): void {
    this.#cut = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** New connections get through again; those that were cut are at an end. */
  rejoin(): void {
    this.#cut = false;
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.rejoin();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.server.close(() => resolve());
    await promise;
  }

  #join(near: Socket, targetPort: number): void {
    const far = connect(targetPort, "127.0.0.1");
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(from);
      from.on("data", (bytes) => to.write(bytes));
      from.on("error", () => undefined);
      from.on("close", () => {
        this.#sockets.delete(from);
        if (!this.#cut) to.destroy();
      });
      if (this.#cut) from.pause();
    }
  }
}
