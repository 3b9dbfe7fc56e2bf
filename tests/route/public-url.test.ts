import { expect, test } from "bun:test";
import { publicUrl } from "../../route/public-url.ts";

function seen(
  headers: Record<string, string>,
  trustedProxies: number,
  url = "http://10.0.0.5:8083/download",
) {
  return publicUrl(new Request(url, { headers }), trustedProxies);
}

const FORWARDED = {
  "x-forwarded-proto": "https",
  "x-forwarded-host": "chat.example:8443",
  "x-forwarded-prefix": "/team/chat/",
};

test("without a proxy that is trusted, it is where the request went", () => {
  expect([seen({}, 0), seen(FORWARDED, 0), seen({}, 1)]).toEqual(Array(3).fill("http://10.0.0.5:8083"));
});

test("behind one, it is what the proxy was asked for: its scheme, host and path", () => {
  expect([
    seen(FORWARDED, 1),
    seen({ "x-forwarded-proto": "https", "x-forwarded-host": "chat.example" }, 1),
    seen({ "x-forwarded-host": "[2001:db8::1]:8443" }, 1),
  ]).toEqual(["https://chat.example:8443/team/chat", "https://chat.example", "http://[2001:db8::1]:8443"]);
});

test("of several proxies the outermost that is trusted counts, whatever was claimed before it", () => {
  const hosts = { "x-forwarded-host": "claimed.example, outer.example, inner.example" };
  expect([seen(hosts, 2), seen(hosts, 1), seen(hosts, 5)]).toEqual([
    "http://outer.example",
    "http://inner.example",
    "http://claimed.example",
  ]);
});

test("nothing that a shell would take for more than a URL gets into it", () => {
  const hostile: Record<string, string>[] = [
    { "x-forwarded-host": "a.example';rm -rf ~;'" },
    { "x-forwarded-host": "$(reboot)" },
    { "x-forwarded-host": "a.example/path" },
    { "x-forwarded-host": "a.example:port" },
    { "x-forwarded-proto": "javascript" },
    { "x-forwarded-prefix": "/x'y" },
    { "x-forwarded-prefix": "//evil.example" },
    { "x-forwarded-prefix": "no-slash" },
    { "x-forwarded-prefix": "/a b" },
  ];
  expect(hostile.map((headers) => seen(headers, 1))).toEqual(hostile.map(() => null));
});

// Each took the square of its length, half a second: together they would run out of the time a test has.
test("a path of nothing but slashes, and then not, is no more work than any other", () => {
  const prefix = `${"/".repeat(15_000)}x`;
  expect(Array.from({ length: 20 }, () => seen({ "x-forwarded-prefix": prefix }, 1))).toEqual(
    Array(20).fill(null),
  );
});
