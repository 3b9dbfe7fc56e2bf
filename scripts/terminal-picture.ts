/** Draws what a terminal shows, as `tmux capture-pane -e` tells it, as SVG: each character in its own cell. */

export interface Screen {
  title: string;
  columns: number;
  rows: number;
  /** Lines of text with escape sequences for their style. */
  text: string;
  /** Where the cursor stands, counted from 0. */
  cursor: { column: number; row: number };
}

interface Style {
  color: string | null;
  background: string | null;
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
  inverse: boolean;
}

interface Piece {
  text: string;
  column: number;
  /** In cells. */
  width: number;
  style: Style;
}

const PLAIN: Style = {
  color: null,
  background: null,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  inverse: false,
};

const CELL = { width: 8.4, height: 19 };
const FONT_SIZE = 14;
/** Where letters stand in a cell. */
const BASELINE = 14;
const PADDING = 14;
const TITLE_HEIGHT = 34;
const GAP = 18;

const PAPER = "#10131a";
const INK = "#e8ebf2";
const FRAME = "#2a303d";
const BAR = "#1c212c";
const TITLE = "#9ca6b9";
const DIMMED = 0.62;
/** Black, red, green, yellow, blue, magenta, cyan, white; then the bright ones. */
const PALETTE = [
  ..."#2b3040 #ff8a80 #6fd39d #f2cc60 #82aaff #d9a6ff #6fd6e8 #d5dae5".split(" "),
  ..."#7c8699 #ffada6 #98e6bb #ffe08a #a9c4ff #e9c9ff #9fe9f5 #ffffff".split(" "),
];

/** The screens side by side. */
export function terminalPicture(screens: readonly Screen[]): string {
  const frames = screens.map(({ columns, rows }) => ({
    width: Math.ceil(columns * CELL.width + 2 * PADDING),
    height: rows * CELL.height + TITLE_HEIGHT + 2 * PADDING,
  }));
  const width = frames.reduce((sum, frame) => sum + frame.width + GAP, -GAP);
  const height = Math.max(...frames.map((frame) => frame.height));
  let x = 0;
  const drawn = screens.map((screen, i) => {
    const at = x;
    x += frames[i]!.width + GAP;
    return window(screen, frames[i]!, at);
  });
  const font = `font-family="ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace"`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" ${font} font-size="${FONT_SIZE}" role="img">`,
    `<title>${markup(screens.map(({ title }) => title).join(", "))}</title>`,
    ...drawn,
    "</svg>\n",
  ].join("\n");
}

function window(screen: Screen, frame: { width: number; height: number }, x: number): string {
  const { title, text, cursor } = screen;
  const buttons = ["#ff8a80", "#f2cc60", "#6fd39d"].map(
    (color, i) => `<circle cx="${20 + 18 * i}" cy="17" r="5.5" fill="${color}"/>`,
  );
  const lines = text.split("\n").slice(0, screen.rows);
  let style = PLAIN;
  const rows = lines.map((line, row) => {
    const parsed = parseLine(line, style);
    style = parsed.style;
    return parsed.pieces.map((piece) => draw(piece, row)).join("");
  });
  const block = `<rect x="${px(cursor.column * CELL.width)}" y="${cursor.row * CELL.height}" width="${CELL.width}" height="${CELL.height - 1}" fill="${INK}" opacity="0.75"/>`;
  return [
    `<g transform="translate(${x} 0)">`,
    `<rect x="0.5" y="0.5" width="${frame.width - 1}" height="${frame.height - 1}" rx="10" fill="${PAPER}" stroke="${FRAME}"/>`,
    `<path d="M1 ${TITLE_HEIGHT}V11A10 10 0 0 1 11 1H${frame.width - 11}A10 10 0 0 1 ${frame.width - 1} 11V${TITLE_HEIGHT}Z" fill="${BAR}"/>`,
    ...buttons,
    `<text x="${frame.width / 2}" y="22" fill="${TITLE}" font-size="13" text-anchor="middle">${markup(title)}</text>`,
    `<g transform="translate(${PADDING} ${TITLE_HEIGHT + PADDING})" fill="${INK}">`,
    ...rows.filter((row) => row !== ""),
    block,
    "</g>",
    "</g>",
  ].join("\n");
}

/** A run of narrow characters is stretched to its cells, whatever font is there; a wide one stands in the middle of its two. */
function draw({ text, column, width, style }: Piece, row: number): string {
  const [x, y] = [column * CELL.width, row * CELL.height];
  const [color, background] = style.inverse
    ? [style.background ?? PAPER, style.color ?? INK]
    : [style.color, style.background];
  const paper = background
    ? `<rect x="${px(x)}" y="${y}" width="${px(width * CELL.width)}" height="${CELL.height}" fill="${background}"/>`
    : "";
  if (text.trim() === "") return paper;
  const looks = [
    color && `fill="${color}"`,
    style.bold && 'font-weight="700"',
    style.italic && 'font-style="italic"',
    style.underline && 'text-decoration="underline"',
    style.dim && `opacity="${DIMMED}"`,
  ];
  const wide = isWide(text);
  const place = wide
    ? `x="${px(x + (width * CELL.width) / 2)}" text-anchor="middle"`
    : `x="${px(x)}" textLength="${px(width * CELL.width)}" lengthAdjust="spacingAndGlyphs" xml:space="preserve"`;
  const attributes = [place, `y="${y + BASELINE}"`, ...looks].filter(Boolean).join(" ");
  return `${paper}<text ${attributes}>${markup(text)}</text>`;
}

const graphemes = new Intl.Segmenter("en", { granularity: "grapheme" });

/** A line in pieces of one style, each wide character a piece of its own; and the style that goes on after it. */
function parseLine(line: string, before: Style): { pieces: Piece[]; style: Style } {
  const pieces: Piece[] = [];
  let style = before;
  let column = 0;
  // biome-ignore lint/complexity/useRegexLiterals: an escape is more readable than the character
  for (const part of line.split(new RegExp("(\\x1b\\[[\\d;:]*m)"))) {
    const codes = part.startsWith("\x1b[") ? part.slice(2, -1) : null;
    if (codes !== null) {
      style = restyle(style, codes);
      continue;
    }
    for (const { segment } of graphemes.segment(part)) {
      const width = Bun.stringWidth(segment);
      const last = pieces.at(-1);
      if (last && last.style === style && width < 2 && !isWide(last.text)) {
        last.text += segment;
        last.width += width;
      } else pieces.push({ text: segment, column, width, style });
      column += width;
    }
  }
  return { pieces: pieces.map(withoutEnd), style };
}

function isWide(text: string): boolean {
  return Bun.stringWidth(text) >= 2 && [...graphemes.segment(text)].length === 1;
}

function withoutEnd(piece: Piece): Piece {
  if (piece.style.background || piece.style.inverse || piece.style.underline) return piece;
  const text = piece.text.trimEnd();
  return { ...piece, text, width: piece.width - (piece.text.length - text.length) };
}

/** SGR, as in ECMA-48 8.3.117, with 256 and with true colours. */
function restyle(before: Style, codes: string): Style {
  let style = { ...before };
  const numbers = codes.split(/[;:]/).map(Number);
  while (numbers.length > 0) {
    const code = numbers.shift()!;
    if (code === 0) style = { ...PLAIN };
    else if (code === 1) style.bold = true;
    else if (code === 2) style.dim = true;
    else if (code === 3) style.italic = true;
    else if (code === 4) style.underline = true;
    else if (code === 7) style.inverse = true;
    else if (code === 22) style.bold = style.dim = false;
    else if (code === 23) style.italic = false;
    else if (code === 24) style.underline = false;
    else if (code === 27) style.inverse = false;
    else if (code === 39) style.color = null;
    else if (code === 49) style.background = null;
    else if (code === 38) style.color = extended(numbers);
    else if (code === 48) style.background = extended(numbers);
    else if (code >= 30 && code <= 37) style.color = PALETTE[code - 30]!;
    else if (code >= 90 && code <= 97) style.color = PALETTE[code - 90 + 8]!;
    else if (code >= 40 && code <= 47) style.background = PALETTE[code - 40]!;
    else if (code >= 100 && code <= 107) style.background = PALETTE[code - 100 + 8]!;
  }
  return style;
}

/** Takes the numbers of a colour off the front. */
function extended(numbers: number[]): string | null {
  const kind = numbers.shift();
  if (kind === 2) return hex(numbers.splice(0, 3));
  const index = numbers.shift();
  if (kind !== 5 || index === undefined) return null;
  if (index < PALETTE.length) return PALETTE[index]!;
  if (index >= 232) return hex(Array(3).fill(8 + 10 * (index - 232)));
  const levels = [0, 95, 135, 175, 215, 255];
  const cube = index - 16;
  return hex([Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map((level) => levels[level]!));
}

function hex(rgb: number[]): string {
  return `#${rgb.map((value) => value.toString(16).padStart(2, "0")).join("")}`;
}

/** No more digits than can be seen. */
function px(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function markup(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
