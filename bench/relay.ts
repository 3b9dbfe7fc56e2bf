/** The floor under private messages (native/relay.c): what the same load reaches when nothing but the system calls is done. */
import type { Account } from "./accounts.ts";
import type { Target } from "./load.ts";
import { compile } from "./native.ts";
import { Processes } from "./processes.ts";

export class Relay {
  private constructor(
    readonly processes: Processes,
    readonly target: Target,
  ) {}

  /** @param fault what it is to do wrong, as native/relay.c says */
  static async start(...fault: string[]): Promise<Relay> {
    const processes = new Processes();
    const { pid, printed } = await processes.start([compile("relay"), ...fault]);
    const [port, httpPort] = printed.trim().split(" ").map(Number);
    return new Relay(processes, {
      pids: { relay: pid },
      async logIn(count, take) {
        const account = (_: unknown, i: number): Account => ({
          userId: i + 1,
          ip: "127.0.0.1",
          port: port!,
          token: String(i + 1),
        });
        take(Array.from({ length: count }, account));
      },
      http: { host: "127.0.0.1", port: httpPort! },
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.processes[Symbol.asyncDispose]();
  }
}
