import { existsSync, readFileSync } from "node:fs";

export interface Received {
  conversation: string;
  seq: number;
  text: string;
}

/** What a receiver (receiver.ts) has written down. */
export function received(path: string): Received[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n");
  // A line without its end was being written when the program was killed.
  return lines.slice(0, -1).map((line) => JSON.parse(line));
}
