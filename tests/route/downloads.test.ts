/** The compiled clients over HTTP, from real files: small ones, since nothing here depends on their size. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cim, createCim } from "../../cim.ts";
import { openDownloads } from "../../route/downloads-files.ts";

const LINUX = "cim-client-linux-x64";
const PROGRAM = new TextEncoder().encode(
  `#!/bin/sh\necho "chatting with $*"\nexit 0\n#${"x".repeat(400_000)}`,
);

let directory: string;
let cim: Cim;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cim-downloads-"));
  await writeFile(join(directory, LINUX), PROGRAM);
  await writeFile(join(directory, "cim-client-windows-arm64.exe"), "MZ");
  for (const other of ["cim-client", "cim-linux-x64", "cim-client-linux-x64.part", "notes.txt"])
    await writeFile(join(directory, other), "not for everyone");
  await mkdir(join(directory, "cim-client-darwin-x64"));
  await symlink("nowhere", join(directory, "cim-client-darwin-arm64"));
  cim = await createCim({ CIM_DOWNLOADS: directory });
});
afterAll(async () => {
  await cim.close();
  await rm(directory, { recursive: true });
});

interface List {
  route: string;
  clients: { platform: string; name: string; size: number; sha256: string; url: string; install: string }[];
}

async function list(): Promise<List> {
  return (await fetch(`${cim.routeUrl}/download`)).json() as Promise<List>;
}

function sha256(data: string | Uint8Array): string {
  return new Bun.CryptoHasher("sha256").update(data).digest("hex");
}

function ask(headers: Record<string, string> = {}, method = "GET"): Promise<Response> {
  return fetch(`${cim.routeUrl}/download/${LINUX}`, { headers, method });
}

/** Runs a program to its end, in a directory that is removed afterwards. */
async function shell(command: string, prepare?: (cwd: string) => Promise<unknown>) {
  const cwd = await mkdtemp(join(tmpdir(), "cim-install-"));
  try {
    await prepare?.(cwd);
    const run = Bun.spawn(["bash", "-c", command], { cwd, stderr: "pipe" });
    const [out, code] = await Promise.all([new Response(run.stdout).text(), run.exited]);
    const file = (name: string) => readFile(join(cwd, name)).catch(() => null);
    return { code, out: out.trim(), client: await file("cim-client") };
  } finally {
    await rm(cwd, { recursive: true });
  }
}

test("the list has every compiled client there is, with size and SHA-256, and nothing else of the directory", async () => {
  const part = `cim-client-${sha256("MZ").slice(0, 8)}`;
  expect(await list()).toEqual({
    route: cim.routeUrl,
    clients: [
      {
        platform: "linux-x64",
        name: LINUX,
        size: PROGRAM.length,
        sha256: sha256(PROGRAM),
        url: `download/${LINUX}`,
        install: expect.stringContaining(`'${cim.routeUrl}/download/${LINUX}'`),
      },
      {
        platform: "windows-arm64",
        name: "cim-client-windows-arm64.exe",
        size: 2,
        sha256: sha256("MZ"),
        url: "download/cim-client-windows-arm64.exe",
        install: `curl.exe -fLC - -o ${part} '${cim.routeUrl}/download/cim-client-windows-arm64.exe'; if ((Get-FileHash ${part}).Hash -eq '${sha256("MZ")}') { Move-Item -Force ${part} cim-client.exe } else { throw 'not all of it, or not the right file' }`,
      },
    ],
  });
});

test("a client that was compiled again has a new checksum at once; one that was not is not read again", async () => {
  const other = await mkdtemp(join(tmpdir(), "cim-downloads-"));
  try {
    const file = join(other, "cim-client-linux-arm64");
    await writeFile(file, new Uint8Array(4_000_000));
    const downloads = openDownloads(other);
    const sums = async () => (await downloads.list()).map((download) => download.sha256);
    const first = await Promise.all([sums(), sums(), sums()]);
    const before = await bytesRead();
    for (let i = 0; i < 5; i++) await sums();
    const readAgain = (await bytesRead()) - before;
    await writeFile(file, new Uint8Array(4_000_000).fill(1));
    expect([first, readAgain < 1_000_000, await sums()]).toEqual([
      Array(3).fill([sha256(new Uint8Array(4_000_000))]),
      true,
      [sha256(new Uint8Array(4_000_000).fill(1))],
    ]);
  } finally {
    await rm(other, { recursive: true });
  }
});

/** What this process has read so far, from files and sockets. */
async function bytesRead(): Promise<number> {
  return Number(/rchar: (\d+)/.exec(await readFile("/proc/self/io", "utf8"))![1]);
}

test("a download that broke off goes on where it was, and only the rest is sent", async () => {
  const command = `curl -sfC - -o cim-client -w '%{size_download}' ${cim.routeUrl}/download/${LINUX}`;
  const { code, out, client } = await shell(command, (cwd) =>
    writeFile(join(cwd, "cim-client"), PROGRAM.subarray(0, 123_456)),
  );
  expect([code, out, client && sha256(client)]).toEqual([
    0,
    String(PROGRAM.length - 123_456),
    sha256(PROGRAM),
  ]);
});

test("a part is a part, a wrong one is refused, and a condition that no longer holds gets the whole file", async () => {
  const etag = `"${sha256(PROGRAM)}"`;
  const size = PROGRAM.length;
  const lastModified = (await ask({}, "HEAD")).headers.get("last-modified")!;
  const answers: Record<string, [number, string | null, number]> = {};
  for (const [name, headers] of Object.entries<Record<string, string>>({
    all: {},
    part: { range: "bytes=10-19" },
    end: { range: "bytes=-5" },
    beyond: { range: `bytes=${size}-` },
    several: { range: "bytes=0-1,4-5" },
    unit: { range: "lines=0-1" },
    same: { range: "bytes=10-19", "if-range": etag },
    "same date": { range: "bytes=10-19", "if-range": lastModified },
    other: { range: "bytes=10-19", "if-range": '"other"' },
    weak: { range: "bytes=10-19", "if-range": `W/${etag}` },
    known: { "if-none-match": `"x", W/${etag}` },
  })) {
    const response = await ask(headers);
    const { length } = await response.arrayBuffer().then((data) => new Uint8Array(data));
    answers[name] = [response.status, response.headers.get("content-range"), length];
  }
  const ten = [206, `bytes 10-19/${size}`, 10] as const;
  expect(answers).toEqual({
    all: [200, null, size],
    part: [...ten],
    end: [206, `bytes ${size - 5}-${size - 1}/${size}`, 5],
    beyond: [416, `bytes */${size}`, 0],
    several: [200, null, size],
    unit: [200, null, size],
    same: [...ten],
    "same date": [...ten],
    other: [200, null, size],
    weak: [200, null, size],
    known: [304, null, 0],
  });
});

test("HEAD tells what GET would send, and nothing of a file is shown in a page", async () => {
  const response = await ask({ range: "bytes=0-9" }, "HEAD");
  const names = ["content-length", "etag", "accept-ranges", "content-type", "content-disposition"];
  expect([response.status, ...names.map((name) => response.headers.get(name))]).toEqual([
    200,
    String(PROGRAM.length),
    `"${sha256(PROGRAM)}"`,
    "bytes",
    "application/octet-stream",
    `attachment; filename="${LINUX}"`,
  ]);
});

test("only what is in the list can be fetched", async () => {
  const paths = [
    "cim-client",
    "cim-linux-x64",
    "notes.txt",
    "cim-client-darwin-x64",
    "cim-client-darwin-arm64",
    "constructor",
    "..%2fpackage.json",
    "%2e%2e%2fnotes.txt",
    `.%2f${LINUX}`,
    `${LINUX}%00.txt`,
    `${LINUX}/`,
    `x/../${LINUX}.part`,
  ];
  const statuses = await Promise.all(
    paths.map(async (path) => {
      const command = `curl -s -o /dev/null -w '%{http_code}' --path-as-is '${cim.routeUrl}/download/${path}'`;
      return [path, (await shell(command)).out];
    }),
  );
  expect(statuses).toEqual(paths.map((path) => [path, "404"]));
});

test("the line for Linux installs a client that runs, whenever it was broken off before", async () => {
  const { install, sha256: sum } = (await list()).clients[0]!;
  const command = `${install} && ./cim-client --route here`;
  const says = `cim-client-${sum.slice(0, 8)}: OK\nchatting with --route here`;
  const started = (cwd: string) =>
    writeFile(join(cwd, `cim-client-${sum.slice(0, 8)}`), PROGRAM.subarray(0, 99_999));
  const fetched = (cwd: string) => writeFile(join(cwd, `cim-client-${sum.slice(0, 8)}`), PROGRAM);
  const older = (cwd: string) => writeFile(join(cwd, "cim-client"), "an older one");
  for (const prepare of [undefined, started, fetched, older]) {
    const { code, out, client } = await shell(command, prepare);
    expect([code, out, client && sha256(client)]).toEqual([0, says, sha256(PROGRAM)]);
  }
});

test("the line leaves no client behind whose checksum is wrong", async () => {
  const { install, sha256: sum } = (await list()).clients[0]!;
  const spoiled = (cwd: string) => writeFile(join(cwd, `cim-client-${sum.slice(0, 8)}`), "spoiled");
  const { code, client } = await shell(install, spoiled);
  expect([code, client]).toEqual([1, null]);
});

test("the page begins with the client for the system it is read on, and follows a link's language", async () => {
  const first = async (agent: string) => {
    const headers = { accept: "text/html", "user-agent": agent };
    const text = await (await fetch(`${cim.routeUrl}/download?lang=zh-CN`, { headers })).text();
    return [/<html lang="(.*?)">/.exec(text)![1], /<section>\s*<h2>(.*?)</.exec(text)![1]];
  };
  const agents = ["Mozilla/5.0 (Windows NT 10.0; Win64; x64)", "Mozilla/5.0 (X11; Linux x86_64)", "curl/8"];
  expect(await Promise.all(agents.map(first))).toEqual([
    ["zh-CN", "Windows arm64"],
    ["zh-CN", "Linux x64"],
    ["zh-CN", "Linux x64"],
  ]);
});

test("the page speaks the reader's language, runs no script, and links relative to where it was found", async () => {
  const page = async (language: string) => {
    const headers = { accept: "text/html,application/xml;q=0.9,*/*;q=0.8", "accept-language": language };
    const response = await fetch(`${cim.routeUrl}/download`, { headers });
    const text = await response.text();
    return { policy: response.headers.get("content-security-policy")!, text };
  };
  const pages = await Promise.all(["de,en;q=0.5", "en;q=0.9,zh-TW", "en-GB,zh;q=0.3", ""].map(page));
  expect(pages.map(({ text }) => /<html lang="(.*?)">/.exec(text)![1])).toEqual(["en", "zh-CN", "en", "en"]);
  const { policy, text } = pages[0]!;
  expect({
    policy: policy.split("; ").slice(0, 2),
    scripts: /<script|\son\w+=|style=/.test(text),
    links: [...text.matchAll(/(?:href|src)="(.*?)"/g)].map(([, link]) => link),
    sum: text.includes(sha256(PROGRAM)),
    size: text.includes("0.4 MiB"),
  }).toEqual({
    policy: ["default-src 'none'", "style-src 'self'"],
    scripts: false,
    links: [
      "icon.svg",
      "download/page.css",
      `download/${LINUX}`,
      "download/cim-client-windows-arm64.exe",
      "./",
    ],
    sum: true,
    size: true,
  });
});

test("behind a trusted proxy the lines lead to the proxy; a host that is none leads to CIM_ROUTE_URL", async () => {
  const routeUrl = "http://127.0.0.1:9999";
  await using proxied = await createCim({
    CIM_DOWNLOADS: directory,
    CIM_TRUSTED_PROXIES: 1,
    CIM_ROUTE_URL: routeUrl,
  });
  const routes = async (host: string) => {
    const headers = {
      "x-forwarded-proto": "https",
      "x-forwarded-host": host,
      "x-forwarded-prefix": "/chat",
    };
    const response = await fetch(`${proxied.routeUrl}/download`, { headers });
    const { route, clients } = (await response.json()) as List;
    return [route, /'(http.*?)'/.exec(clients[0]!.install)![1], response.headers.get("cache-control")];
  };
  expect([await routes("cim.example"), await routes("'; reboot; '")]).toEqual([
    ["https://cim.example/chat", `https://cim.example/chat/download/${LINUX}`, "no-store"],
    [routeUrl, `${routeUrl}/download/${LINUX}`, "no-store"],
  ]);
});

test("without clients the page says how to make them, and CIM_DOWNLOADS must be a directory", async () => {
  const empty = await mkdtemp(join(tmpdir(), "cim-downloads-"));
  await using without = await createCim({ CIM_DOWNLOADS: empty });
  const page = await fetch(`${without.routeUrl}/download`, { headers: { accept: "text/html" } });
  const text = await page.text();
  await rm(empty, { recursive: true });
  // Gone while the route runs: there is nothing to list.
  const gone = (await (await fetch(`${without.routeUrl}/download`)).json()) as List;
  const wrong = createCim({ CIM_DOWNLOADS: empty });
  expect([text.includes("bun run build --all"), gone.clients, await wrong.catch(String)]).toEqual([
    true,
    [],
    `ConfigError: CIM_DOWNLOADS=${empty}: not a directory`,
  ]);
});
