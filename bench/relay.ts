/** The floor under private messages (native/relay.c): what the same load reaches when nothing but the system calls is done. */
import { join } from "node:path";
import type { Account } from "./accounts.ts";
import type { Target } from "./load.ts";
import { compile } from "./native.ts";
import { Processes } from "./processes.ts";

export class Relay {
  private constructor(
    readonly processes: Processes,
    readonly target: Target,
  ) {}

  /**
   * @param storing what is done with messages before anyone is told: nothing, written to a file, or waited for until
   * they are on the disk
   * @param fault what it is to do wrong, as native/relay.c says
   */
  static async start(storing: "nothing" | "write" | "sync", ...fault: string[]): Promise<Relay> {
    const processes = new Processes();
    const file = storing === "nothing" ? [] : [storing, join(processes.data, "messages")];
    const { pid, printed } = await processes.start([compile("relay"), ...file, ...fault]);
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
