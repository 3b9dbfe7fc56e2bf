/** A compiled client on its way: offered by a compiled route, behind a proxy that ends TLS and takes a path off; fetched, and run. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { source as axe } from "axe-core";
import { version } from "../../package.json" with { type: "json" };
import { type Platform, programFile } from "../../route/platforms.ts";
import { openBrowser } from "../support/browser.ts";
import { Nginx } from "../support/nginx.ts";
import { freePorts } from "../support/ports.ts";
import { RunningProcess } from "../support/process.ts";

setDefaultTimeout(90_000);

const HERE = `linux-${process.arch}` as Platform;
const PATH = "/team/chat/";

let directory: string;
/** Where clients find the route. */
let url: string;
let nginx: Nginx;
const processes: RunningProcess[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cim-download-"));
  const programs = join(directory, "programs");
  const build = start(["bun", "run", "build", "--platform", HERE, "--outdir", programs, "cim", "cim-client"]);
  if ((await build.exited) !== 0) throw new Error(build.output);
  const [routePort, tcp, http] = (await freePorts(3)) as [number, number, number];
  const ports = ["--route-port", routePort, "--server-port", tcp, "--server-http-port", http].map(String);
  const settings = ["--data", join(directory, "data"), "--trusted-proxies", "1"];
  const route = start([join(programs, programFile("cim", HERE)), ...ports, ...settings]);
  await route.printed("CIM is ready at");
  nginx = await Nginx.start({ path: PATH, routeUrl: `http://127.0.0.1:${routePort}`, serverHttpPort: http });
  url = `${nginx.url}${PATH}`.slice(0, -1);
}, 60_000);

afterAll(async () => {
  await nginx?.close();
  for (const running of processes.splice(0).reverse()) await running.kill();
  if (directory) await rm(directory, { recursive: true });
});

function start(command: string[], env: Record<string, string> = {}): RunningProcess {
  const running = new RunningProcess(command, { env });
  processes.push(running);
  return running;
}

function ask(path: string): Promise<Response> {
  return fetch(`${url}${path}`, { tls: { rejectUnauthorized: false } });
}

interface List {
  clients: { name: string; sha256: string; size: number; install: string }[];
}

describe("the compiled client", () => {
  test("is offered by the compiled route it lies beside, and installs with the line shown", async () => {
    const { clients } = (await (await ask("/download")).json()) as List;
    expect(clients.map(({ name }) => name)).toEqual([programFile("cim-client", HERE)]);
    const home = join(directory, "someone's home");
    await mkdir(home);
    const line = `cd '${home.replaceAll("'", "'\\''")}' && ${clients[0]!.install} && ./cim-client --version`;
    const env = { CURL_CA_BUNDLE: join(nginx.directory, "cert.pem") };
    const install = start(["bash", "-c", line], env);
    await install.printed(new RegExp(`: OK\ncim-client ${version}\n$`), 60_000);
    expect(await install.exited).toBe(0);
  });

  test("is fetched from the page with a click; the page keeps its policy and the rules of accessibility", async () => {
    const { clients } = (await (await ask("/download")).json()) as List;
    const browser = await openBrowser();
    try {
      const seen = [];
      for (const look of [
        { locale: "en-GB", colorScheme: "light", viewport: { width: 1280, height: 800 } },
        { locale: "zh-CN", colorScheme: "dark", viewport: { width: 360, height: 640 } },
      ] as const) {
        const context = await browser.newContext({ ...look, ignoreHTTPSErrors: true });
        const page = await context.newPage();
        const complaints: string[] = [];
        page.on("console", (message) => void complaints.push(message.text()));
        await page.goto(`${url}/download`);
        await page.evaluate(axe);
        const violations = await page.evaluate("axe.run().then((found) => found.violations)");
        const wider = await page.evaluate("document.documentElement.scrollWidth > innerWidth");
        const [download] = await Promise.all([
          page.waitForEvent("download"),
          page.getByRole("link", { name: clients[0]!.name }).click(),
        ]);
        const file = Bun.file(await download.path());
        const hasher = new Bun.CryptoHasher("sha256").update(await file.arrayBuffer());
        const line = await page.getByText(`'${url}/download/${clients[0]!.name}'`).count();
        seen.push([complaints, violations, wider, hasher.digest("hex"), line]);
        await context.close();
      }
      expect(seen).toEqual(Array(2).fill([[], [], false, clients[0]!.sha256, 1]));
    } finally {
      await browser.close();
    }
  });
});
