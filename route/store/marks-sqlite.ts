/** Which of the messages that have settled are still to be pushed. Few: nearly all are pushed before they settle. */
import type { SqliteFile } from "./sqlite-file.ts";

export class Marks {
  readonly #insert;
  readonly #forget;
  readonly #forgetOld;
  readonly #oldest;

  constructor(file: SqliteFile) {
    this.#insert = file.prepare<unknown, [number, number, number]>(
      "INSERT INTO marks (conversation, seq, at) VALUES (?, ?, ?)",
    );
    this.#forget = file.prepare<unknown, [number, number]>(
      "DELETE FROM marks WHERE conversation = ? AND seq = ?",
    );
    this.#forgetOld = file.prepare<unknown, [number, number, number, number]>(
      "DELETE FROM marks WHERE conversation = ? AND seq BETWEEN ? AND ? AND at < ?",
    );
    this.#oldest = file.prepare<{ conversation: number; seq: number }, [number, number]>(
      `SELECT conversation, seq FROM marks INDEXED BY marks_at WHERE at < ?
       ORDER BY at LIMIT cast(? AS INTEGER)`,
    );
  }

  add(conversation: number, seq: number, at: number): void {
    this.#insert.run(conversation, seq, at);
  }

  remove(conversation: number, seq: number): void {
    this.#forget.run(conversation, seq);
  }

  /** Those of messages accepted before `at`, from seq `first` to `last`. */
  removeOld(conversation: number, first: number, last: number, at: number): void {
    this.#forgetOld.run(conversation, first, last, at);
  }

  /** Of messages accepted before `at`, at most `limit`, in seq order within each conversation, which a clock may not be. */
  before(at: number, limit: number): { conversation: number; seq: number }[] {
    return this.#oldest.all(at, limit).sort((a, b) => a.conversation - b.conversation || a.seq - b.seq);
  }
}
