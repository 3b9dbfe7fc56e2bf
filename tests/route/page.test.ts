import { expect, test } from "bun:test";
import { page } from "../../route/page.ts";
import { page as assets } from "../../route/page-assets.ts";

const BUDGET_BYTES = 40_000;
const FILES = ["", "page.js", "page.css", "icon.svg"];

const app = page(assets);
const get = async (name: string, headers: Record<string, string> = {}) =>
  await app.request(`http://route/${name}`, { headers });

test("all of the page together stays within its budget, compressed", async () => {
  const responses = await Promise.all(FILES.map((name) => get(name, { "accept-encoding": "gzip" })));
  const sizes = await Promise.all(responses.map(async (response) => (await response.bytes()).length));
  expect(responses.map((response) => response.headers.get("content-encoding"))).toEqual(
    FILES.map(() => "gzip"),
  );
  expect(sizes.reduce((sum, size) => sum + size)).toBeLessThan(BUDGET_BYTES);
});

test("whoever takes no compression gets the same", async () => {
  for (const name of FILES) {
    const plain = await get(name);
    const compressed = await get(name, { "accept-encoding": "gzip, br" });
    expect(plain.headers.get("content-encoding")).toBeNull();
    expect(await plain.text()).toBe(new TextDecoder().decode(Bun.gunzipSync(await compressed.bytes())));
  }
});

test("what a browser has already is not sent again", async () => {
  const etag = (await get("page.js")).headers.get("etag")!;
  const again = await get("page.js", { "if-none-match": etag });
  const other = await get("page.js", { "if-none-match": 'W/"another"' });
  expect([again.status, await again.text(), other.status]).toEqual([304, "", 200]);
});

test("nothing comes from elsewhere, nothing is inline, and the policy says so", async () => {
  const response = await get("");
  const html = await response.text();
  const linked = [...html.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, address]) => address);
  expect(linked).toEqual(["icon.svg", "page.css", "page.js"]);
  expect(html).not.toMatch(/<style|style=|<script(?![^>]* src=)| on\w+=/);
  expect(response.headers.get("content-security-policy")!.split("; ")).toEqual([
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self' ws: wss:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ]);
  const css = await (await get("page.css")).text();
  expect(css).not.toMatch(/url\(|@import|https?:/);
});
