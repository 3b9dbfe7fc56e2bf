/** What the page keeps out, and where it works all the same: strange texts, a strict policy, a proxy before everything. */
import { describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createCim } from "../../cim.ts";
import { Person } from "../support/browser.ts";
import { join as joinChat } from "../support/chat.ts";
import { certificate, Nginx } from "../support/nginx.ts";
import { visit } from "../support/visit.ts";

const here = visit();

const STRANGE = [
  "<img src=x onerror=alert(1)>",
  "<script>alert(2)</script>",
  "javascript:alert(3)",
  "&lt;b&gt; &amp; \u0000 \u202eturned around",
  '"><svg onload=alert(4)>',
];

test("texts and names never become markup, wherever they are shown", async () => {
  const system = await here.system();
  const ann = await here.join(system, "<i>ann</i>");
  await using eve = await joinChat(system, "<u>eve</u>");
  for (const text of STRANGE) await eve.sendAll(text);
  await eve.sendTo((await eve.findUser("<i>ann</i>"))!.userId, STRANGE[0]!);
  expect(await ann.count(STRANGE.length)).toEqual(STRANGE);
  await ann.open("<u>eve</u>");
  expect(await ann.count(1)).toEqual([STRANGE[0]!]);
  await ann.page.getByRole("button", { name: "Search in this conversation" }).click();
  await ann.page.getByRole("searchbox", { name: "Search in this conversation" }).fill("<img");
  await ann.page.getByRole("search").getByRole("listitem").waitFor();
  const made = await ann.page.evaluate(
    () =>
      document.querySelectorAll("body :is(i, u, b, script, svg[onload], img:not([src='icon.svg']))").length,
  );
  expect(made).toBe(0);
});

test("bytes that a device sends are shown as what they are", async () => {
  const system = await here.system();
  const ann = await here.join(system, "ann");
  await using device = await joinChat(system, "device");
  await device.sendAll(new Uint8Array([0xca, 0xfe, 0x00]));
  expect(await ann.count(1)).toEqual(["3 bytes cafe00"]);
});

describe("the policy", () => {
  test("is kept by the page, and keeps out what would be put into it", async () => {
    const system = await here.system();
    const ann = await here.join(system, "ann");
    await ann.write("hello");
    await ann.marked("Sent");
    expect(ann.complaints).toEqual([]);
    const tried = await ann.page.evaluate(async () => {
      const broken: string[] = [];
      document.addEventListener("securitypolicyviolation", (event) => broken.push(event.effectiveDirective));
      const inline = document.createElement("script");
      let asText = "";
      try {
        inline.text = "document.title = 'taken'";
      } catch (error) {
        asText = (error as Error).name;
      }
      const elsewhere = document.createElement("img");
      elsewhere.src = "https://example.com/x.png";
      const refused = fetch("http://127.0.0.1:1/").catch(() => "refused");
      document.body.append(elsewhere);
      await refused;
      await new Promise((resolve) => setTimeout(resolve));
      elsewhere.remove();
      return { asText, broken: broken.sort(), title: document.title };
    });
    expect(tried).toEqual({
      asText: "TypeError",
      broken: ["connect-src", "img-src", "require-trusted-types-for"],
      title: "CIM",
    });
    // What the browser says of these three is wanted.
    expect(ann.complaints.splice(0)).not.toEqual([]);
  });

  test("no token is ever in an address, nor a password in the browser's storage", async () => {
    const system = await here.system();
    const addresses: string[] = [];
    const ann = here.watch(await Person.come(here.browser, system.routeUrl, "ann"));
    ann.page.on("request", (request) => addresses.push(request.url()));
    ann.page.on("websocket", (socket) => addresses.push(socket.url()));
    ann.page.on("framenavigated", (frame) => addresses.push(frame.url()));
    await ann.register();
    await ann.write("hello");
    await ann.marked("Sent");
    await ann.page.reload();
    await ann.ready();
    expect(addresses.length).toBeGreaterThan(5);
    expect(addresses.filter((address) => address.includes("cim1"))).toEqual([]);
    const kept = await ann.page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }));
    expect(kept).toContain("cim1.");
    expect(kept).not.toContain("horse");
  });
});

test("everything works over TLS of its own", async () => {
  const directory = await mkdtemp(join(tmpdir(), "cim-tls-"));
  here.defer(() => rm(directory, { recursive: true }));
  await certificate(directory);
  const cim = await createCim({
    CIM_TLS_CERT: join(directory, "cert.pem"),
    CIM_TLS_KEY: join(directory, "key.pem"),
  });
  here.defer(() => cim.close());
  const ann = await here.join(cim, "ann", { ignoreHTTPSErrors: true });
  await ann.write("over TLS");
  await ann.marked("Sent");
  expect([new URL(ann.page.url()).protocol, await ann.texts()]).toEqual(["https:", ["over TLS"]]);
});

test("everything works behind a proxy that ends TLS and changes the path", async () => {
  const system = await here.system({ env: { CIM_WEBSOCKET_URL: "/deep/down/ws/{port}" } });
  const { routeUrl, serverHttpPort } = system;
  const nginx = await Nginx.start({ path: "/deep/down/", routeUrl, serverHttpPort });
  here.defer(() => nginx.close());
  const url = `${nginx.url}/deep/down`;
  const options = { ignoreHTTPSErrors: true };
  const ann = here.watch(await Person.join(here.browser, url, "ann", options));
  const bob = here.watch(await Person.join(here.browser, url, "bob", options));
  const sockets: string[] = [];
  ann.page.on("websocket", (socket) => sockets.push(socket.url()));
  await ann.page.reload();
  await ann.ready();
  expect(sockets).toEqual([`wss://${new URL(url).host}/deep/down/ws/${serverHttpPort}`]);
  await ann.open("bob");
  await ann.write("through the proxy");
  await ann.marked("Delivered");
  await bob.open("ann");
  expect(await bob.count(1)).toEqual(["through the proxy"]);
  await bob.write("and back");
  await ann.count(2);
  expect(ann.page.url()).toBe(`${url}/`);
});
