/** Text that others chose, made harmless for a terminal: nothing of it moves the cursor, rings, hides or turns around. */

// Controls but tab and line feed; line and paragraph separators; what turns the direction of text.
const CONTROL = /[\0-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const INDENT = "    ";
const C0_PICTURES = 0x2400;
const DEL = 0x7f;
const DEL_PICTURE = "\u2421";

/** On one line. */
export function harmlessLine(text: string): string {
  return harmless(text).replaceAll(/\s*\n\s*/g, " ");
}

/** Further lines are indented, so that none of them passes for a line of the console. */
export function harmless(text: string): string {
  return text
    .replaceAll("\r\n", "\n")
    .replaceAll(CONTROL, visible)
    .replaceAll("\t", INDENT)
    .replaceAll("\n", `\n${INDENT}`);
}

function visible(character: string): string {
  const code = character.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(C0_PICTURES + code);
  if (code === DEL) return DEL_PICTURE;
  return `\\u{${code.toString(16)}}`;
}
