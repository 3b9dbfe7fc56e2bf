import { expect, test } from "bun:test";
import { type AppParts, createApp } from "../../route/app.ts";

test("any path is found by one look into a table, with all that the route may serve", async () => {
  // Only paths are looked at, and nothing is called.
  const parts = {
    config: { maxBodyBytes: 1, trustedProxies: 0, routeUrl: "", allowOrigins: ["https://example.com"] },
    calls: {},
    internal: { uplink: null, announce: null, leave: null },
    troubles: () => [],
    page: async () => [],
    downloads: {},
  } as unknown as AppParts;
  const app = createApp(parts);
  expect((await app.request("/health")).status).toBe(200);
  expect(app.router.name).toBe("SmartRouter + RegExpRouter");
});
