/** Starting programs of others, each on a free port, with what they keep in the directory of `processes`. */
import { mkdirSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { freePort, type Processes } from "./processes.ts";
import { BenchError } from "./scenario.ts";

const READY_WITHIN_MS = 15_000;
const LOOK_MS = 50;
const ERLANG_LIBRARIES = "/usr/lib/x86_64-linux-gnu";

/** Without ejabberdctl, which would run it as another user, and as a node that others can reach. */
export async function startEjabberd(processes: Processes, modules: string[]) {
  const port = await freePort();
  const config = join(processes.data, "ejabberd.yml");
  const database = join(processes.data, "mnesia");
  mkdirSync(database);
  await Bun.write(
    config,
    [
      "hosts: [localhost]",
      "loglevel: error",
      "listen:",
      `  - { port: ${port}, ip: 127.0.0.1, module: ejabberd_c2s, shaper: none, access: all, backlog: 1000 }`,
      "auth_method: internal",
      "auth_password_format: plain",
      "registration_timeout: infinity",
      "modules:",
      "  mod_register: { ip_access: all, access: all }",
      "  mod_stream_mgmt: {}",
      "  mod_offline: {}",
      ...modules,
      "",
    ].join("\n"),
  );
  const command = [
    "erl",
    "+K",
    "true",
    "-noinput",
    "-mnesia",
    "dir",
    JSON.stringify(database),
    "-s",
    "ejabberd",
  ];
  const environment = {
    EJABBERD_CONFIG_PATH: config,
    EJABBERD_LOG_PATH: join(processes.data, "ejabberd.log"),
    ERL_LIBS: ERLANG_LIBRARIES,
    ERL_MAX_PORTS: "65536",
  };
  return spawn(processes, command, port, environment);
}

/** Starts a program and waits until it takes connections. */
export async function spawn(
  processes: Processes,
  command: string[],
  port: number,
  environment: Record<string, string> = {},
): Promise<{ port: number; pid: number }> {
  const env = { ...process.env, ...environment };
  const child = Bun.spawn(command, { env, cwd: processes.data, stdout: "ignore", stderr: "ignore" });
  processes.adopt(child);
  const late = performance.now() + READY_WITHIN_MS;
  while (!(await answers(port))) {
    if (performance.now() > late) throw new BenchError(`${command[0]} takes no connections on ${port}`);
    await Bun.sleep(LOOK_MS);
  }
  return { port, pid: child.pid };
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
