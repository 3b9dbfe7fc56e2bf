/** Parts of a file (https://www.rfc-editor.org/rfc/rfc9110#section-14): one range of bytes at a time. */

export interface Part {
  /** First byte. */
  from: number;
  /** The byte after the last one. */
  to: number;
}

// More digits than any size has are beyond the end all the same.
const RANGE = /^bytes=(\d{0,15})-(\d{0,15})$/;

/** What a Range header asks for; null for all of it, which also is the answer to what is not understood. */
export function partOf(header: string | null, size: number): Part | "unsatisfiable" | null {
  const [, first, last] = RANGE.exec(header?.replaceAll(" ", "") ?? "") ?? [];
  if (first === undefined || last === undefined || (first === "" && last === "")) return null;
  if (first !== "" && last !== "" && +last < +first) return null;
  const from = first === "" ? Math.max(0, size - +last) : +first;
  const to = first === "" || last === "" ? size : Math.min(size, +last + 1);
  return from < to ? { from, to } : "unsatisfiable";
}
