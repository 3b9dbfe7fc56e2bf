import { parseConversation } from "../../proto/conversation.ts";
import type { Recent } from "./recent-sqlite.ts";
import type { SqliteFile } from "./sqlite-file.ts";

/** A conversation: its row, its highest seq, and up to where its messages have settled. */
export interface Place {
  readonly id: number;
  readonly name: string;
  head: number;
  settled: number;
  /** Its messages after `settled`, without holes. */
  readonly recent: Recent[];
}

type Row = Omit<Place, "recent">;

const COLUMNS = "id, name, head, settled";
export class Places {
  readonly #most: number;
  readonly #known = new Map<string, Place>();
  readonly #byName;
  readonly #byId;
  readonly #make;

  /** @param most that are remembered */
  constructor(file: SqliteFile, most: number) {
    this.#most = most;
    this.#byName = file.prepare<Row, [string]>(`SELECT ${COLUMNS} FROM conversations WHERE name = ?`);
    this.#byId = file.prepare<Row, [number]>(`SELECT ${COLUMNS} FROM conversations WHERE id = ?`);
    this.#make = file.prepare<Row, [string, number | null, number | null]>(
      `INSERT INTO conversations (name, head, low, high) VALUES (?, 0, ?, ?) RETURNING ${COLUMNS}`,
    );
  }

  find(name: string): Place | null {
    const known = this.#known.get(name);
    if (known) return known;
    const row = this.#byName.get(name);
    return row && this.remember({ ...row, recent: [] });
  }

  byId(id: number): Place {
    return this.find(this.#byId.get(id)!.name)!;
  }

  /** Finds or makes it, in the transaction under way; a new one is to be remembered once that stands. */
  open(name: string): Place {
    const found = this.find(name);
    if (found) return found;
    const kind = parseConversation(name);
    const members: [number | null, number | null] =
      kind.kind === "p2p" ? [kind.low, kind.high] : [null, null];
    return { ...this.#make.get(name, ...members)!, recent: [] };
  }

  remember(place: Place): Place {
    this.#known.set(place.name, place);
    if (this.#known.size > this.#most) this.#forgetOne();
    return place;
  }

  #forgetOne(): void {
    let left = this.#known.size;
    for (const place of this.#known.values()) {
      if (left-- === 0) return;
      this.#known.delete(place.name);
      if (place.recent.length === 0) return;
      // What has not settled is known nowhere else: behind the others.
      this.#known.set(place.name, place);
    }
  }
}
