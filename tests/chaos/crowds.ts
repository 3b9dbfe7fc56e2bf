/** The processes in which the clients live. */
import { join } from "node:path";
import { RunningProcess } from "../support/process.ts";
import type { CrowdSettings } from "./crowd.ts";
import { JournalReader } from "./journal.ts";
import type { Ledger } from "./ledger.ts";

export interface CrowdsOptions extends Pick<CrowdSettings, "routeUrl" | "adminKey" | "participants"> {
  seed: number;
  directory: string;
  processes: number;
  /** Messages a second, of all together. */
  toOne: number;
  toAll: number;
}

const READY_MS = 60_000;

interface Crowd {
  settings: CrowdSettings;
  process: RunningProcess;
  journal: JournalReader;
  output: string;
  /** Words it was told; each answer names its own. */
  words: number;
}

export class Crowds {
  readonly #crowds: Crowd[] = [];
  #chatting = false;

  private constructor() {}

  /** Resolves when every client is connected. */
  static async start({
    processes,
    directory,
    seed,
    toOne,
    toAll,
    ...shared
  }: CrowdsOptions): Promise<Crowds> {
    const crowds = new Crowds();
    const count = Math.ceil(shared.participants.length / processes);
    for (let i = 0; i < processes; i++) {
      const journal = join(directory, `crowd-${i + 1}.jsonl`);
      const own = { first: i * count, count, seed: seed + i, journal };
      const settings = { ...shared, ...own, toOne: toOne / processes, toAll: toAll / processes };
      const process = launch(settings);
      crowds.#crowds.push({ settings, process, journal: new JournalReader(journal), output: "", words: 0 });
    }
    await Promise.all(crowds.#crowds.map(({ process }) => process.printed(/^ready$/m, READY_MS)));
    return crowds;
  }

  get size(): number {
    return this.#crowds.length;
  }

  get journals(): string[] {
    return this.#crowds.map(({ journal }) => journal.path);
  }

  chat(): void {
    this.#chatting = true;
    for (const crowd of this.#crowds) tell(crowd, "chat");
  }

  /** Resolves when each message that was sent has its outcome. */
  quiet(): Promise<void> {
    this.#chatting = false;
    return this.#say("quiet");
  }

  leave(): Promise<void> {
    return this.#say("leave");
  }

  /** `kill -9`, and the same clients again from what their journal says. */
  async restart(index: number, downMs: number): Promise<void> {
    const crowd = this.#crowds[index]!;
    await crowd.process.kill();
    crowd.output += crowd.process.output;
    await Bun.sleep(downMs);
    crowd.process = launch({ ...crowd.settings, seed: crowd.settings.seed + 1000 });
    await crowd.process.printed(/^ready$/m, READY_MS);
    if (this.#chatting) tell(crowd, "chat");
  }

  /** Tells the ledger what happened since the last call. */
  report(ledger: Ledger): void {
    for (const { journal } of this.#crowds) for (const entry of journal.read()) ledger.add(entry);
  }

  /** Everything they printed that is not part of the protocol. */
  get output(): string {
    return this.#crowds.map(({ process, output }) => output + process.output).join("");
  }

  async end(): Promise<void> {
    await Promise.all(this.#crowds.map(({ process }) => process.kill()));
  }

  async #say(word: string): Promise<void> {
    await Promise.all(
      this.#crowds.map((crowd) => {
        const number = tell(crowd, word);
        return crowd.process.printed(new RegExp(`^done ${number}: ${word}$`, "m"), READY_MS);
      }),
    );
  }
}

function tell(crowd: Crowd, word: string): number {
  crowd.words++;
  crowd.process.type(`${crowd.words} ${word}`);
  return crowd.words;
}

function launch(settings: CrowdSettings): RunningProcess {
  const program = join(import.meta.dir, "crowd.ts");
  return new RunningProcess(["bun", program, JSON.stringify(settings)], { stdin: "pipe" });
}
