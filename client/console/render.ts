/** Events in words, for people. What others chose of it is made harmless here, and nowhere else. */
import { parseConversation, peerOf } from "../../proto/conversation.ts";
import type { Event, Person, Said } from "./events.ts";
import { harmless, harmlessLine } from "./harmless.ts";
import type { Shown } from "./receipts.ts";
import type { CommandName, InfoName, Texts } from "./texts/texts.ts";

type Style = "dim" | "bold" | "red" | "green" | "yellow" | "cyan";

const SGR: Record<Style, number> = { dim: 2, bold: 1, red: 31, green: 32, yellow: 33, cyan: 36 };
/** Of the 256 colours those that read on black and on white alike, each far from the next. */
const NAME_COLORS = [33, 166, 35, 161, 37, 136, 99, 70, 128, 173, 63, 133];
const SECOND_MS = 1000;
const BELOW = " ".repeat(6);

export class Renderer {
  readonly #texts: Texts;
  readonly #colors: boolean;
  readonly #columns: () => number;

  /** @param columns how wide the screen is now */
  constructor(texts: Texts, colors: boolean, columns = () => Number.POSITIVE_INFINITY) {
    this.#texts = texts;
    this.#colors = colors;
    this.#columns = columns;
  }

  /** Lines without the last line feed. */
  render(event: Shown, now: number = Date.now()): string {
    const texts = this.#texts;
    switch (event.type) {
      case "connecting":
        return this.#style("dim", texts.connecting(event.route));
      case "ready": {
        const user = { ...event.user, userName: harmlessLine(event.user.userName) };
        const registered = event.registered ? `${texts.registered(user)}\n` : "";
        return `${registered}${texts.ready(user, event.route)}\n${this.#style("dim", texts.readyHint)}`;
      }
      case "message":
        return this.#said(event);
      case "skipped":
        return this.#style("dim", texts.skipped(event.count));
      case "queued":
        return this.#style("yellow", `  … ${texts.queued}`);
      case "receipts": {
        const { from, to } = event;
        const line = to.receiverOnline ? texts.accepted : texts.stored;
        const place = from.seq === to.seq ? `#${to.seq}` : `#${from.seq}–#${to.seq}`;
        return this.#style("dim", `  ✓ ${line(this.#to(to.to), place)}`);
      }
      case "refused": {
        const reason = harmlessLine(texts.status(event.status, event.reason));
        return this.#style("red", `  ✗ ${texts.refused(this.#to(event.to), reason)}`);
      }
      case "password-changed":
        return this.#style("green", texts.passwordChanged);
      case "kept":
        return this.#style("yellow", texts.kept(event.count));
      case "disconnected": {
        const seconds = Math.ceil(event.delayMs / SECOND_MS);
        return this.#style("yellow", texts.disconnected(event.reason, harmlessLine(event.text), seconds));
      }
      case "connected":
        return this.#style("green", texts.connected);
      case "commands":
        return this.#commands(event.commands);
      case "users": {
        const people = event.users.map((user) => `  ${this.#colored(user)}`);
        return [texts.users(event.users.length, harmlessLine(event.prefix), event.more), ...people].join(
          "\n",
        );
      }
      case "found": {
        const title = texts.found(harmlessLine(event.keyword), event.said.length, event.total);
        return [title, ...event.said.map((said) => this.#said(said, true))].join("\n");
      }
      case "ai":
        return this.#style("green", event.on ? texts.aiOn : texts.aiOff);
      case "asked":
        return this.#style("dim", `  … ${texts.asked(event.model)}`);
      case "answer":
        return `${event.continued ? "   " : `${this.#style("cyan", "AI")}:`} ${harmless(event.text)}`;
      case "stopped":
        return this.#style("dim", texts.stopped);
      case "info":
        return this.#table(this.#info(event.info));
      case "emoji":
        return `${event.emoji.join(" ")}\n${this.#style("dim", texts.emoji(event.page, event.pages))}`;
      case "delayed": {
        const { id, to, at } = event.delayed;
        return this.#style("dim", `  ${texts.delayed(id, this.#to(to), secondsUntil(at, now))}`);
      }
      case "undelayed":
        return this.#style("dim", `  ${texts.undelayed(event.delayed.id)}`);
      case "delays":
        return event.delays.length === 0
          ? texts.noDelays
          : event.delays
              .map(({ id, to, at, text }) =>
                texts.delay(id, this.#to(to), secondsUntil(at, now), harmlessLine(text)),
              )
              .join("\n");
      case "forgotten":
        return texts.forgotten;
      case "hint":
        return this.#style("dim", texts.quitHint);
      case "problem":
        return this.#style("yellow", harmlessLine(texts.problem(event.problem)));
      case "closed":
        return this.#style("red", texts.closed(event.reason, harmlessLine(event.text)));
    }
  }

  #said(said: Said, withDate = false): string {
    const { from, at, own, text, data } = said;
    const content = text !== undefined ? harmless(text) : `${this.#texts.data(bytesOf(data))} ${data ?? ""}`;
    const time = this.#style("dim", timeOf(at, withDate));
    const name = own ? this.#style("bold", this.#texts.you) : this.#colored(from);
    return `${time} ${name}${this.#peer(said)}: ${content}`;
  }

  /** Who alone it was told; "" for what is told everyone. */
  #peer({ conversation, from, own, to }: Said): string {
    const parsed = parseConversation(conversation);
    if (parsed.kind !== "p2p") return "";
    if (!own) return ` → ${this.#texts.you}`;
    return ` → ${this.#colored(to ?? { userId: peerOf(parsed, from.userId)!, userName: "" })}`;
  }

  #commands(names: CommandName[]): string {
    const { commandsTitle, commands, talking } = this.#texts;
    const rows = names.map((name): [string, string] => [commands[name].usage, commands[name].help]);
    return [commandsTitle, this.#table([...talking, ...rows])].join("\n");
  }

  #info(info: (Event & { type: "info" })["info"]): [string, string][] {
    const { user, device, state, route, server, sessionId, pending, delays, history } = info;
    const values: Record<InfoName, string> = {
      user: this.#person(user),
      device: harmlessLine(device),
      state,
      route,
      server,
      session: sessionId,
      pending: String(pending),
      delays: String(delays),
      history,
    };
    return Object.entries(values).map(([name, value]) => [this.#texts.info[name as InfoName], value]);
  }

  /** In two columns; where the screen is too narrow for them, each value below its name. */
  #table(rows: [string, string][]): string {
    const widest = (cells: string[]) => Math.max(...cells.map((cell) => Bun.stringWidth(cell)));
    const width = widest(rows.map(([name]) => name));
    const columns = this.#columns();
    const fits = widest(rows.map(([, value]) => value)) + width + 4 <= columns;
    const line = ([name, value]: [string, string]) =>
      fits
        ? `${name}${" ".repeat(width - Bun.stringWidth(name))}  ${value}`
        : `${name}\n${Bun.wrapAnsi(value, columns - BELOW.length).replaceAll(/^/gm, BELOW)}`;
    return rows.map((row) => `  ${line(row)}`).join("\n");
  }

  #to(to: Person | null): string {
    return to === null ? this.#texts.everyone : this.#person(to);
  }

  #person(person: Person): string {
    return this.#texts.person({ ...person, userName: harmlessLine(person.userName) });
  }

  /** In a colour of their own, each time the same. */
  #colored(person: Person): string {
    const name = this.#person(person);
    const color = NAME_COLORS[person.userId % NAME_COLORS.length];
    return this.#colors ? `\x1b[38;5;${color}m${name}\x1b[0m` : name;
  }

  #style(style: Style, text: string): string {
    return this.#colors ? `\x1b[${SGR[style]}m${text}\x1b[0m` : text;
  }
}

function timeOf(at: number, withDate: boolean): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const date = new Date(at);
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return withDate ? `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${time}` : time;
}

function secondsUntil(at: number, now: number): number {
  return Math.max(0, Math.ceil((at - now) / SECOND_MS));
}

function bytesOf(data = ""): number {
  return Uint8Array.fromBase64(data).length;
}
