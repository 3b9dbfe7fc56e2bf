/** A compiled client on its way: offered by a compiled route, behind a proxy that ends TLS and takes a path off; fetched, and run. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { source as axe } from "axe-core";
import { version } from "../../package.json" with { type: "json" };
import { type Platform, programFile } from "../../route/platforms.ts";
import { openBrowser } from "../support/browser.ts";
import { freePorts } from "../support/ports.ts";
import { RunningProcess } from "../support/process.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(90_000);

const HERE = `linux-${process.arch}` as Platform;
const PREFIX = "/team/chat";
const nginx = Bun.which("nginx", { PATH: `${process.env.PATH}:/usr/sbin` });
const missing = [nginx ? [] : "nginx", Bun.which("openssl") ? [] : "openssl"].flat();

let directory: string;
/** Where clients find the route. */
let url: string;
const processes: RunningProcess[] = [];

beforeAll(async () => {
  if (missing.length > 0) return;
  directory = await mkdtemp(join(tmpdir(), "cim-download-"));
  // nginx keeps what a client is slow to take in files there, as a user of its own.
  await chmod(directory, 0o755);
  const programs = join(directory, "programs");
  const build = ["bun", "run", "build", "--platform", HERE, "--outdir", programs, "cim", "cim-client"];
  await done(build);
  const [routePort, tcp, http, proxyPort] = (await freePorts(4)) as [number, number, number, number];
  const ports = ["--route-port", routePort, "--server-port", tcp, "--server-http-port", http].map(String);
  const settings = ["--data", join(directory, "data"), "--trusted-proxies", "1"];
  const route = start([join(programs, programFile("cim", HERE)), ...ports, ...settings]);
  await route.printed("CIM is ready at");
  url = `https://localhost:${proxyPort}${PREFIX}`;
  await startProxy(proxyPort, routePort);
});

afterAll(async () => {
  for (const running of processes.splice(0).reverse()) await running.kill();
  if (directory) await rm(directory, { recursive: true });
});

function start(command: string[], env: Record<string, string> = {}): RunningProcess {
  const running = new RunningProcess(command, { env });
  processes.push(running);
  return running;
}

async function done(command: string[]): Promise<void> {
  const run = start(command);
  if ((await run.exited) !== 0) throw new Error(`${command.join(" ")}:\n${run.output}`);
}

async function startProxy(port: number, routePort: number): Promise<void> {
  const [certificate, key] = [join(directory, "cert.pem"), join(directory, "key.pem")];
  const name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"];
  const pair = ["-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "1"];
  await done(["openssl", "req", "-x509", ...pair, ...name]);
  const written = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (kind) => `${kind}_temp_path ${directory}/${kind};`,
  );
  const configuration = `events {}
http {
  ${written.join("\n  ")}
  access_log off;
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${certificate};
    ssl_certificate_key ${key};
    location ${PREFIX}/ {
      proxy_pass http://127.0.0.1:${routePort}/;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Prefix ${PREFIX};
    }
  }
}`;
  const file = join(directory, "nginx.conf");
  await Bun.write(file, configuration);
  const global = `daemon off; pid ${directory}/nginx.pid; error_log stderr;`;
  start([nginx!, "-e", "stderr", "-p", directory, "-c", file, "-g", global]);
  await until("the proxy serves", async () => (await ask("/health")).ok);
}

function ask(path: string): Promise<Response> {
  return fetch(`${url}${path}`, { tls: { rejectUnauthorized: false } });
}

interface List {
  clients: { name: string; sha256: string; size: number; install: string }[];
}

describe.skipIf(missing.length > 0)(
  missing.length > 0 ? `without ${missing.join(" and ")}` : "the compiled client",
  () => {
    test("is offered by the compiled route it lies beside, and installs with the line shown", async () => {
      const { clients } = (await (await ask("/download")).json()) as List;
      expect(clients.map(({ name }) => name)).toEqual([programFile("cim-client", HERE)]);
      const home = join(directory, "someone's home");
      await mkdir(home);
      const line = `cd '${home.replaceAll("'", "'\\''")}' && ${clients[0]!.install} && ./cim-client --version`;
      const env = { CURL_CA_BUNDLE: join(directory, "cert.pem") };
      const install = start(["bash", "-c", line], env);
      expect([await install.exited, install.output]).toEqual([
        0,
        expect.stringMatching(new RegExp(`: OK\ncim-client ${version}\n$`)),
      ]);
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
  },
);
