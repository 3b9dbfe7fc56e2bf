/** What the page remembers in this browser. Passwords are not part of it, and a token only for as long as was asked. */
import type { User } from "../sdk/types.ts";

export interface RememberedSession extends User {
  token: string;
  device: string;
}

/** A conversation in the list, and how far it was read. */
export interface RememberedChat {
  conversation: string;
  peer: User | null;
  read: number | null;
}

/** A message that has no receipt yet: sent again after a reload, under the same name. */
export interface Unsent {
  conversation: string;
  messageId: string;
  text: string;
  at: number;
}

/** The part of the browser's storage that is used. */
export type Box = Pick<Storage, "getItem" | "setItem" | "removeItem">;

export interface Boxes {
  /** Kept until it is cleared, and shared by all tabs. */
  local: Box | null;
  /** Kept for one tab, also over a reload. */
  tab: Box | null;
  /** Tells several routes of one host apart. */
  prefix: string;
}

const MAX_CHATS = 200;

export class Memory {
  readonly #boxes: Boxes;

  /** @param boxes null where the browser allows none: then nothing outlives the page */
  constructor(boxes: Boxes) {
    this.#boxes = boxes;
  }

  /** This tab's session; in a new tab the one that was begun last. */
  get session(): RememberedSession | null {
    const userId = this.#get<number>("tab", "user") ?? this.#get<number>("local", "user");
    return this.#get("tab", "session") ?? this.#get("local", `session ${userId}`);
  }

  /** @param forLong whether it outlives the tab */
  remember(session: RememberedSession, forLong: boolean): void {
    const { userId } = session;
    this.#set("tab", "user", userId);
    this.#set("tab", "session", forLong ? null : session);
    this.#set("local", `session ${userId}`, forLong ? session : null);
    if (forLong) this.#set("local", "user", userId);
  }

  /** The session has a new token: it takes the place of the old one, wherever that is. */
  renew(userId: number, token: string): void {
    const { session } = this;
    if (session?.userId !== userId) return;
    this.remember({ ...session, token }, this.#get("tab", "session") === null);
  }

  /** The session is over; what was not sent is kept for the next. */
  forgetSession(userId: number): void {
    for (const name of ["user", "session"]) this.#set("tab", name, null);
    this.#set("local", `session ${userId}`, null);
    if (this.#get("local", "user") === userId) this.#set("local", "user", null);
  }

  /** Forgets everything about an account. */
  forget(userId: number): void {
    this.forgetSession(userId);
    this.#set("local", `chats ${userId}`, null);
    this.#set("local", `unsent ${userId}`, null);
  }

  /** This browser's name among the devices of an account. */
  get device(): string {
    const known = this.#get<string>("local", "device");
    if (known) return known;
    const made = `web-${crypto.getRandomValues(new Uint8Array(6)).toHex()}`;
    this.#set("local", "device", made);
    return made;
  }

  chats(userId: number): RememberedChat[] {
    return this.#get("local", `chats ${userId}`) ?? [];
  }

  setChats(userId: number, chats: RememberedChat[]): void {
    this.#set("local", `chats ${userId}`, chats.slice(0, MAX_CHATS));
  }

  unsent(userId: number): Unsent[] {
    return this.#get("local", `unsent ${userId}`) ?? [];
  }

  addUnsent(userId: number, message: Unsent): void {
    this.#set("local", `unsent ${userId}`, [...this.unsent(userId), message]);
  }

  dropUnsent(userId: number, messageId: string): void {
    const left = this.unsent(userId).filter((message) => message.messageId !== messageId);
    this.#set("local", `unsent ${userId}`, left.length > 0 ? left : null);
  }

  setting(name: "language" | "theme"): string | null {
    return this.#get("local", name);
  }

  setSetting(name: "language" | "theme", value: string): void {
    this.#set("local", name, value);
  }

  #get<T>(box: "local" | "tab", name: string): T | null {
    try {
      return JSON.parse(this.#boxes[box]?.getItem(this.#key(name)) ?? "null");
    } catch {
      return null;
    }
  }

  // A full or forbidden storage must not keep anyone from chatting.
  #set(box: "local" | "tab", name: string, value: unknown): void {
    try {
      if (value === null) this.#boxes[box]?.removeItem(this.#key(name));
      else this.#boxes[box]?.setItem(this.#key(name), JSON.stringify(value));
    } catch {}
  }

  #key(name: string): string {
    return `cim ${this.#boxes.prefix} ${name}`;
  }
}
