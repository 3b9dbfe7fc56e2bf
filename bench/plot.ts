/** Bars as SVG: a group for each case, a bar for each measurement with a tick for each trial, and beside it its floor. */
import type { CaseReport, Measurement } from "./report.ts";
import type { Plot } from "./scenario.ts";

const WIDTH = 760;
const LEFT = 210;
const RIGHT = 90;
const LEGEND_TOP = 34;
const LEGEND_ROW = 20;
const BOTTOM = 48;
const BAR = 16;
const GAP = 14;
const TICKS = 5;

/** Colours that can be told apart without colour vision, on white and on black. */
const STYLE = `
    .page { fill: #ffffff; stroke: #d0d7de; }
    text { font: 13px system-ui, sans-serif; fill: #1f2328; }
    .title { font-size: 15px; font-weight: 600; }
    .axis { stroke: #8c959f; }
    .grid { stroke: #d0d7de; }
    .trial { stroke: #1f2328; stroke-width: 1.5; }
    .bar0 { fill: #2f74c0; } .bar1 { fill: #c4661f; } .bar2 { fill: #4b8b3b; } .bar3 { fill: #8a5aa8; }
    .floor { fill: #b6bec7; }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117; stroke: #30363d; }
      text { fill: #e6edf3; }
      .axis { stroke: #7d8590; }
      .grid { stroke: #30363d; }
      .trial { stroke: #e6edf3; }
      .bar0 { fill: #4a94e6; } .bar1 { fill: #e08b45; } .bar2 { fill: #6cb55a; } .bar3 { fill: #b083cf; }
      .floor { fill: #57606a; }
    }`;

const FLOOR = "floor";

interface Bar {
  label: string;
  style: string;
  measurement: Measurement;
}

/** The drawing; null when none of the cases has any of the measurements. */
export function draw(plot: Plot, cases: readonly CaseReport[]): string | null {
  const groups = cases
    .filter(({ name }) => name.includes(plot.cases ?? ""))
    .map((one) => ({ name: one.name, bars: barsOf(plot, one) }))
    .filter(({ bars }) => bars.length > 0);
  if (groups.length === 0) return null;
  const all = groups.flatMap(({ bars }) => bars);
  const legend = drawLegend(labelsOf(plot, all));
  const { ticks, place } = (plot.log ? logarithmic : linear)(all.flatMap((bar) => bar.measurement.trials));
  const x = (value: number) => LEFT + Math.max(0, place(value)) * (WIDTH - LEFT - RIGHT);
  const first = LEGEND_TOP + legend.rows * LEGEND_ROW + GAP;
  const bottom = first + groups.length * GAP + all.length * BAR;
  const parts = ticks.map((value) => tick(x(value), value, first, bottom));
  let y = first;
  for (const { name, bars } of groups) {
    parts.push(text(LEFT - 8, y + (bars.length * BAR) / 2 + 4, name, "end"));
    for (const bar of bars) {
      parts.push(drawBar(bar, x, y));
      y += BAR;
    }
    y += GAP;
  }
  parts.push(`<line class="axis" x1="${LEFT}" y1="${first - 6}" x2="${LEFT}" y2="${bottom}"/>`);
  parts.push(text((LEFT + WIDTH - RIGHT) / 2, bottom + BOTTOM - 10, all[0]!.measurement.unit, "middle"));
  const title = text(12, 22, plot.title, "start", "title");
  return document(plot.title, bottom + BOTTOM, [title, ...legend.parts, ...parts]);
}

/** In the order of the plot, whichever case has them. */
function labelsOf(plot: Plot, bars: Bar[]): Bar[] {
  const order = [...plot.measurements, FLOOR];
  const first = new Map(bars.toReversed().map((bar) => [bar.label, bar]));
  return order.flatMap((label) => first.get(label) ?? []);
}

function barsOf(plot: Plot, { measurements }: CaseReport): Bar[] {
  const find = (name?: string) => measurements.find((one) => one.name === name);
  return plot.measurements.flatMap((name, i) => {
    const measurement = find(name);
    if (!measurement) return [];
    const bar = { label: name, style: `bar${i % 4}`, measurement };
    const floor = find(measurement.floor);
    return floor ? [bar, { label: FLOOR, style: "floor", measurement: floor }] : [bar];
  });
}

function drawBar({ style, measurement }: Bar, x: (value: number) => number, y: number): string {
  const { median, trials } = measurement;
  const end = x(median);
  const marks = trials.map((value) => {
    const at = x(value).toFixed(1);
    return `<line class="trial" x1="${at}" y1="${y + 4}" x2="${at}" y2="${y + BAR - 4}"/>`;
  });
  const width = Math.max(1, end - LEFT).toFixed(1);
  return [
    `<rect class="${style}" x="${LEFT}" y="${y + 1}" width="${width}" height="${BAR - 2}"/>`,
    ...marks,
    text(Math.max(end, ...trials.map(x)) + 6, y + 12, number(median), "start"),
  ].join("\n  ");
}

function tick(at: number, value: number, top: number, bottom: number): string {
  const x = at.toFixed(1);
  return [
    `<line class="grid" x1="${x}" y1="${top - 6}" x2="${x}" y2="${bottom}"/>`,
    text(at, bottom + 16, number(value), "middle"),
  ].join("\n  ");
}

function drawLegend(bars: Bar[]): { parts: string[]; rows: number } {
  let x = LEFT;
  let y = LEGEND_TOP;
  const parts = bars.map(({ label, style }) => {
    const width = 34 + label.length * 7;
    if (x > LEFT && x + width > WIDTH) {
      x = LEFT;
      y += LEGEND_ROW;
    }
    const at = x;
    x += width;
    const box = `<rect class="${style}" x="${at}" y="${y}" width="12" height="12"/>`;
    return `${box}\n  ${text(at + 18, y + 11, label, "start")}`;
  });
  return { parts, rows: (y - LEGEND_TOP) / LEGEND_ROW + 1 };
}

function document(title: string, height: number, parts: string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img">
  <title>${escaped(title)}</title>
  <style>${STYLE}
  </style>
  <rect class="page" x="0.5" y="0.5" width="${WIDTH - 1}" height="${height - 1}" rx="6"/>
  ${parts.join("\n  ")}
</svg>
`;
}

function text(x: number, y: number, words: string, anchor: string, style?: string): string {
  const named = style ? ` class="${style}"` : "";
  return `<text${named} x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${escaped(words)}</text>`;
}

function escaped(words: string): string {
  return words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

interface Axis {
  ticks: number[];
  /** Where on the axis a value is: 0 at its beginning, 1 at its end. */
  place: (value: number) => number;
}

/** From 0, in few steps of 1, 2 or 5 times a power of ten. */
function linear(values: number[]): Axis {
  const largest = Math.max(...values) || 1;
  const rough = largest / TICKS;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough)!;
  const steps = Math.ceil(largest / step);
  return {
    ticks: Array.from({ length: steps + 1 }, (_, i) => Number((i * step).toPrecision(6))),
    place: (value) => value / (steps * step),
  };
}

/** From the power of ten below the least value above 0 to the one above the largest. */
function logarithmic(values: number[]): Axis {
  const positive = values.filter((value) => value > 0);
  if (positive.length === 0) return linear(values);
  const low = Math.floor(Math.log10(Math.min(...positive)));
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...positive))));
  return {
    ticks: Array.from({ length: high - low + 1 }, (_, i) => 10 ** (low + i)),
    place: (value) => (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low),
  };
}

/** As a person reads it: thousands apart, three digits below. */
export function number(value: number): string {
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}
