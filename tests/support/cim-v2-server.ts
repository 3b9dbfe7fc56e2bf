import { join } from "node:path";
import { freePorts } from "./ports.ts";
import { RunningProcess } from "./process.ts";

const PROGRAM = join(import.meta.dir, "cim-v2-server-program.ts");

/** A server as CIM v2's, as a process of its own. */
export class CimV2Server {
  #process: RunningProcess | null = null;

  private constructor(
    readonly command: readonly string[],
    readonly port: number,
    readonly httpPort: number,
  ) {}

  /** @param zookeeper as a client names it, host:port; @param chroot "" for none */
  static async prepare(
    zookeeper: string,
    chroot: string,
    sessionMs: number,
    routeUrl: string,
  ): Promise<CimV2Server> {
    const [port, httpPort] = (await freePorts(2)) as [number, number];
    const args = [zookeeper, chroot, sessionMs, port, httpPort, routeUrl].map(String);
    return new CimV2Server(["bun", PROGRAM, ...args], port, httpPort);
  }

  /** Resolves once it is registered. */
  async start(): Promise<void> {
    this.#process = new RunningProcess(this.command);
    await this.#process.printed("registered");
  }

  get url(): string {
    return `http://127.0.0.1:${this.httpPort}`;
  }

  /** What it was asked to push, in order. */
  get pushes(): { userId: number; cmd: string; texts: string[]; sendUserId: string }[] {
    return this.#lines("push");
  }

  /** Users whose end it told the route. */
  get toldOffLine(): number[] {
    return this.#lines("offLine");
  }

  get faults(): string[] {
    return this.#lines("fault");
  }

  pause(): void {
    this.#process?.signal("SIGSTOP");
  }

  resume(): void {
    this.#process?.signal("SIGCONT");
  }

  /** `kill -9`. */
  async kill(): Promise<void> {
    await this.#process?.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  #lines<T>(kind: string): T[] {
    const lines = this.#process?.output.split("\n") ?? [];
    return lines.flatMap((line) =>
      line.startsWith(`${kind} `) ? [JSON.parse(line.slice(kind.length + 1)) as T] : [],
    );
  }
}
