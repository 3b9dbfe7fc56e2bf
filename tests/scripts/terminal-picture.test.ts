import { describe, expect, test } from "bun:test";
import { terminalPicture } from "../../scripts/terminal-picture.ts";

const CELL = 8.4;

/** What is drawn of one line of a terminal, without its frame: each text with its place and looks. */
function drawn(text: string) {
  const screen = { title: "title", columns: 40, rows: 3, text, cursor: { column: 0, row: 0 } };
  const content = terminalPicture([screen]).split("<g transform")[2]!;
  return [...content.matchAll(/<text (.*?)>(.*?)<\/text>/g)].map(([, attributes, shown]) => {
    const found = Object.fromEntries(
      [...attributes!.matchAll(/([\w:-]+)="(.*?)"/g)].map(([, name, value]) => [name, value]),
    );
    const { x, textLength, "text-anchor": anchor, y, lengthAdjust, "xml:space": space, ...looks } = found;
    const left = anchor ? Number(x) / CELL - 1 : Number(x) / CELL;
    const width = anchor ? 2 : Number(textLength) / CELL;
    return { text: shown, cells: [Math.round(left), Math.round(width)], ...looks };
  });
}

describe("a line", () => {
  test("of narrow characters is stretched to its cells", () => {
    expect(drawn("hello, you")).toEqual([{ text: "hello, you", cells: [0, 10] }]);
  });

  test("with wide characters has each in the middle of its two cells, and goes on after them", () => {
    expect(drawn("a牛肉 👋🏽 👨‍👩‍👧!")).toEqual([
      { text: "a", cells: [0, 1] },
      { text: "牛", cells: [1, 2] },
      { text: "肉", cells: [3, 2] },
      { text: "👋🏽", cells: [6, 2] },
      { text: "👨‍👩‍👧", cells: [9, 2] },
      { text: "!", cells: [11, 1] },
    ]);
  });

  test("keeps combining marks with their letter", () => {
    expect(drawn("ne\u0301e")).toEqual([{ text: "ne\u0301e", cells: [0, 3] }]);
  });

  test("has the colours and looks it was given, until they end", () => {
    expect(drawn("\x1b[36mcyan\x1b[39m \x1b[2mdim\x1b[0m\x1b[1;3;4;91mall\x1b[m")).toEqual([
      { text: "cyan", cells: [0, 4], fill: "#6fd6e8" },
      { text: "dim", cells: [5, 3], opacity: "0.62" },
      {
        text: "all",
        cells: [8, 3],
        fill: "#ffada6",
        "font-weight": "700",
        "font-style": "italic",
        "text-decoration": "underline",
      },
    ]);
  });

  test("knows 256 and true colours", () => {
    const codes = ["38;5;9", "38;5;196", "38;5;244", "38;2;1;2;255", "38:2:1:2:255"];
    const fills = codes.map((code) => drawn(`\x1b[${code}mx`)[0] as unknown as { fill: string });
    expect(fills.map(({ fill }) => fill)).toEqual(["#ffada6", "#ff0000", "#808080", "#0102ff", "#0102ff"]);
  });

  test("is text, whatever it says", () => {
    expect(drawn("<script>&amp;</script>")).toEqual([
      { text: "&lt;script&gt;&amp;amp;&lt;/script&gt;", cells: [0, 22] },
    ]);
  });
});

test("a style goes on in the next line, and no more lines are drawn than there are rows", () => {
  expect(drawn("\x1b[31mred\nstill\x1b[0m\nplain\nbelow")).toEqual([
    { text: "red", cells: [0, 3], fill: "#ff8a80" },
    { text: "still", cells: [0, 5], fill: "#ff8a80" },
    { text: "plain", cells: [0, 5] },
  ]);
});

test("screens stand side by side, each with its title", () => {
  const screen = { columns: 10, rows: 2, text: "x", cursor: { column: 1, row: 0 } };
  const svg = terminalPicture([
    { ...screen, title: "alice" },
    { ...screen, title: "bob & co" },
  ]);
  expect([/viewBox="(.*?)"/.exec(svg)![1], svg.match(/<g transform="translate\(\d+ 0\)">/g), svg]).toEqual([
    "0 0 242 100",
    ['<g transform="translate(0 0)">', '<g transform="translate(130 0)">'],
    expect.stringMatching(/>alice<[\s\S]*>bob &amp; co</),
  ]);
});
