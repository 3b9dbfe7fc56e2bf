/**
 * Draws docs/console.svg from the real console: two people chat in two terminals of tmux, and what their screens show is
 * drawn as it stands there. `bun run pictures`
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCim } from "../cim.ts";
import { until } from "../tests/support/until.ts";
import { ROOT } from "./browser.ts";
import { type Screen, terminalPicture } from "./terminal-picture.ts";

const COLUMNS = 72;
const ROWS = 13;
const PASSWORD = "four green apples";

class Person {
  readonly #socket: string;
  readonly #name: string;

  private constructor(socket: string, name: string) {
    this.#socket = socket;
    this.#name = name;
  }

  /** Somebody at a shell, with a home of one's own. */
  static async sit(name: string, home: string, env: Record<string, string>): Promise<Person> {
    const person = new Person(`cim-picture-${process.pid}-${name}`, name);
    const shell = join(home, "shell");
    const client = `${process.execPath} ${join(ROOT, "client/main.ts")}`;
    await writeFile(shell, `PS1='\\[\\e[32m\\]$\\[\\e[0m\\] '\ncim-client() { ${client} "$@"; }\n`);
    const clean = { LANG: "C.UTF-8", TERM: "tmux-256color", HOME: home, PATH: process.env.PATH!, ...env };
    const assignments = Object.entries(clean).map(([key, value]) => `${key}=${value}`);
    await person.#tmux(
      ["-f", "/dev/null", "start-server", ";"],
      ["set-option", "-g", "default-terminal", "tmux-256color", ";"],
      ["new-session", "-d", "-x", String(COLUMNS), "-y", String(ROWS)],
      ["env", "-i", ...assignments, "bash", "--noprofile", "--rcfile", shell],
    );
    await person.sees("$");
    return person;
  }

  /** Types this, without enter. */
  async keys(text: string): Promise<void> {
    await this.#tmux(["send-keys", "-l", "--", text]);
  }

  async types(line: string): Promise<void> {
    await this.keys(line);
    await this.#tmux(["send-keys", "Enter"]);
  }

  async sees(text: string | RegExp): Promise<void> {
    let seen = "";
    await until(`${this.#name} sees ${text}`, async () => {
      seen = await this.#tmux(["capture-pane", "-p", "-J"]);
      return typeof text === "string" ? seen.includes(text) : text.test(seen);
    }).catch((error: Error) => {
      throw new Error(`${error.message}, but:\n${seen}`, { cause: error });
    });
  }

  /** Registers as a newcomer does, and comes again, which asks nothing. */
  async joins(): Promise<void> {
    const start = `cim-client --user ${this.#name}`;
    await this.types(start);
    await this.sees("Password:");
    await this.types(PASSWORD);
    await this.sees("[y/N]");
    await this.types("y");
    await this.sees("again:");
    await this.types(PASSWORD);
    await this.sees(":all");
    await this.types(":q!");
    await this.sees(/\$ $/m);
    await this.types("clear");
    await this.sees(/^\$\s*$/);
    await this.types(start);
    await this.sees(":all");
  }

  async screen(): Promise<Screen> {
    const [text, cursor] = await Promise.all([
      this.#tmux(["capture-pane", "-p", "-e"]),
      this.#tmux(["display-message", "-p", "#{cursor_x} #{cursor_y}"]),
    ]);
    const [column, row] = cursor.trim().split(" ").map(Number) as [number, number];
    return { title: this.#name, columns: COLUMNS, rows: ROWS, text, cursor: { column, row } };
  }

  async leaves(): Promise<void> {
    await this.#tmux(["kill-server"]);
  }

  async #tmux(...parts: string[][]): Promise<string> {
    const run = Bun.spawn(["tmux", "-L", this.#socket, ...parts.flat()], { stderr: "pipe" });
    const [out, err, code] = await Promise.all([
      new Response(run.stdout).text(),
      new Response(run.stderr).text(),
      run.exited,
    ]);
    if (code !== 0) throw new Error(`tmux ${parts.flat().slice(0, 4).join(" ")} …: ${err.trim()}`);
    return out;
  }
}

async function chat(alice: Person, bob: Person): Promise<Screen[]> {
  await alice.types("Hello everyone 👋");
  await bob.sees("Hello everyone");
  await bob.types("alice;;Lunch at 12:30? The noodle place, 牛肉面 🍜");
  await alice.sees("The noodle place");
  // Half a line is typed when the answer comes.
  await bob.keys("alice;;I will bri");
  await alice.types("bob;;Yes! 好的, see you there");
  await bob.sees("see you there");
  await alice.types("carol;;Are you coming, too?");
  await alice.sees("offline");
  await bob.keys("ng an umbr");
  await bob.sees(/bring an umbr/);
  return [await alice.screen(), await bob.screen()];
}

/** The SVG. @param port the route's, which is seen in the picture @throws ConfigError when it is taken */
export async function consolePicture(port = 8083): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), "cim-picture-"));
  const people: Person[] = [];
  try {
    await using cim = await createCim({ CIM_ROUTE_PORT: port });
    for (const name of ["alice", "bob"]) {
      const own = await mkdtemp(join(home, name));
      people.push(await Person.sit(name, own, { CIM_ROUTE_URL: cim.routeUrl }));
    }
    const [alice, bob] = people as [Person, Person];
    await alice.joins();
    await bob.joins();
    const carol = { userName: "carol", password: PASSWORD };
    const headers = { "content-type": "application/json" };
    await fetch(`${cim.routeUrl}/registerAccount`, { method: "POST", body: JSON.stringify(carol), headers });
    return terminalPicture(await chat(alice, bob));
  } finally {
    for (const person of people) await person.leaves();
    await rm(home, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  await Bun.write(join(ROOT, "docs/console.svg"), await consolePicture());
  process.exit(0);
}
