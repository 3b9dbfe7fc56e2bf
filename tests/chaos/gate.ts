/** A TCP balancer: what clients and servers call when they call "the route", whichever of them is up. */
import { connect, createServer, type Server, type Socket } from "node:net";

export class Gate {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #turn = 0;

  /** @param targets ports on this machine, each connection to the next one that takes it */
  private constructor(readonly targets: readonly number[]) {
    this.#server = createServer((near) => this.#enter(near, 0));
  }

  static async open(host: string, port: number, targets: readonly number[]): Promise<Gate> {
    const gate = new Gate(targets);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    gate.#server.once("error", reject);
    gate.#server.listen(port, host, resolve);
    await promise;
    return gate;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #enter(near: Socket, attempt: number): void {
    if (attempt === 0) this.#keep(near);
    if (attempt === this.targets.length || near.destroyed) {
      near.destroy();
      return;
    }
    const far = connect(this.targets[this.#turn++ % this.targets.length]!, "127.0.0.1");
    const refused = () => this.#enter(near, attempt + 1);
    far.once("error", refused);
    far.once("connect", () => {
      far.off("error", refused);
      this.#keep(far);
      far.on("close", () => near.destroy());
      near.on("close", () => far.destroy());
      near.pipe(far);
      far.pipe(near);
    });
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
  }
}
