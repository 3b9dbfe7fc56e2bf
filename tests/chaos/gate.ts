/** A TCP balancer: what clients and servers call when they call "the route", whichever of them is up. */
import { connect, createServer, type Server, type Socket } from "node:net";

export class Gate {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #pairs = new Map<Socket, Socket>();
  #turn = 0;
  #isMute = false;

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

  /** From now on what is asked arrives and what is answered is lost. */
  mute(): void {
    this.#isMute = true;
    for (const [far, near] of this.#pairs) silence(far, near);
  }

  /** New connections are whole again; those whose answers were lost are at an end. */
  unmute(): void {
    this.#isMute = false;
    for (const near of this.#pairs.values()) near.destroy();
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
      this.#pairs.set(far, near);
      far.on("close", () => {
        this.#pairs.delete(far);
        near.destroy();
      });
      near.on("close", () => far.destroy());
      near.pipe(far);
      far.pipe(near);
      if (this.#isMute) silence(far, near);
    });
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    socket.on("close", () => this.#sockets.delete(socket));
  }
}

function silence(far: Socket, near: Socket): void {
  far.unpipe(near);
  far.resume();
}
