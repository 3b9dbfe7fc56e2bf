/** Real ZooKeepers on free loopback ports, one alone or an ensemble of three, that can be hung, killed and restarted. */
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subprocess } from "bun";
import { freePorts } from "./ports.ts";
import { until } from "./until.ts";

const JARS = ["/usr/share/java/zookeeper.jar", "/usr/share/java/slf4j-simple.jar"];
const SMALL_HEAP = ["-Xms32m", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
const QUIET = ["-Dzookeeper.jmx.log4j.disable=true", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"];
const READY_MS = 15 * 1000;

/** Why no ZooKeeper can be started here; null when one can. */
export const zookeeperMissing: string | null = await findMissing();

export interface ZooKeeperOptions {
  /** ZooKeeper's unit of time; sessions last two of them at least. Default 250. */
  tickMs?: number;
  /** Whether quotas set in its tree are held to. Default no. */
  enforceQuota?: boolean;
}

/** One ZooKeeper process at a time, always on the same port and data. */
export class ZooKeeper {
  #process: Subprocess | null = null;

  constructor(
    readonly directory: string,
    readonly port: number,
    readonly mainClass: string,
  ) {}

  /** As a client names it: host:port. */
  get host(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Starts it, without waiting for it to serve. */
  launch(): void {
    const config = join(this.directory, "zoo.cfg");
    const command = ["java", ...SMALL_HEAP, ...QUIET, "-cp", JARS.join(":"), this.mainClass, config];
    this.#process = Bun.spawn(command, { stdin: "ignore", stdout: "ignore", stderr: "ignore" });
  }

  async start(): Promise<void> {
    this.launch();
    await this.serving();
  }

  /** Resolves once it answers with the part it plays: `ruok` would be answered too early. */
  async serving(): Promise<void> {
    await until(`zookeeper ${this.host} serves`, () => this.mode(), READY_MS);
  }

  /** "standalone", "leader" or "follower"; null while it does not serve. */
  async mode(): Promise<string | null> {
    const answer = await this.ask("srvr");
    return /^Mode: (\w+)$/m.exec(answer)?.[1] ?? null;
  }

  /** The answer to one of ZooKeeper's four letter words; "" when nobody answers. */
  ask(word: string): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>();
    let answer = "";
    const socket = connect(this.port, "127.0.0.1", () => socket.write(word));
    socket.setTimeout(1000, () => socket.destroy());
    socket.on("data", (bytes) => {
      answer += bytes.toString();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => resolve(answer));
    return promise;
  }

  /** Hangs it: its port still takes connections, and nothing is answered. */
  pause(): void {
    this.#process?.kill("SIGSTOP");
  }

  resume(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Ends it as a power cut would, and waits until it is gone. */
  async kill(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#process?.exited;
    this.#process = null;
  }

  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** One ZooKeeper, serving. */
export async function startZooKeeper(options: ZooKeeperOptions = {}): Promise<ZooKeeper> {
  const zookeeper = await prepareZooKeeper(options);
  await zookeeper.start();
  return zookeeper;
}

/** One ZooKeeper that has its port and is not started yet. */
export async function prepareZooKeeper(options: ZooKeeperOptions = {}): Promise<ZooKeeper> {
  const [port] = await freePorts(1);
  const directory = await mkdtemp(join(tmpdir(), "cim-zookeeper-"));
  await Bun.write(join(directory, "zoo.cfg"), configuration(directory, port!, options));
  return new ZooKeeper(directory, port!, "org.apache.zookeeper.server.ZooKeeperServerMain");
}

/** Three ZooKeepers that elect a leader. */
export class Ensemble {
  constructor(readonly members: readonly ZooKeeper[]) {}

  /** As a client names it: host:port,host:port,host:port. */
  get hosts(): string {
    return this.members.map((member) => member.host).join(",");
  }

  /** The leader; waits for one while they elect. */
  leader(): Promise<ZooKeeper> {
    return until(`zookeepers ${this.hosts} have a leader`, async () => {
      for (const member of this.members) if ((await member.mode()) === "leader") return member;
      return null;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map((member) => member[Symbol.asyncDispose]()));
  }
}

export async function startEnsemble(options: ZooKeeperOptions = {}): Promise<Ensemble> {
  const ports = await freePorts(9);
  const peers = [1, 2, 3].map((id) => `server.${id}=127.0.0.1:${ports[id + 2]}:${ports[id + 5]}`);
  const quorum = [...peers, "initLimit=40", "syncLimit=4", ""].join("\n");
  const members: ZooKeeper[] = [];
  for (const id of [1, 2, 3]) {
    const directory = await mkdtemp(join(tmpdir(), "cim-zookeeper-"));
    await mkdir(join(directory, "data"));
    await Bun.write(join(directory, "data", "myid"), String(id));
    await Bun.write(join(directory, "zoo.cfg"), configuration(directory, ports[id - 1]!, options) + quorum);
    members.push(
      new ZooKeeper(directory, ports[id - 1]!, "org.apache.zookeeper.server.quorum.QuorumPeerMain"),
    );
  }
  const ensemble = new Ensemble(members);
  await Promise.all(members.map((member) => member.start()));
  return ensemble;
}

function configuration(directory: string, port: number, options: ZooKeeperOptions): string {
  const { tickMs = 250, enforceQuota = false } = options;
  return [
    `tickTime=${tickMs}`,
    `enforceQuota=${enforceQuota}`,
    `dataDir=${join(directory, "data")}`,
    `clientPort=${port}`,
    "clientPortAddress=127.0.0.1",
    "admin.enableServer=false",
    "maxClientCnxns=0",
    "4lw.commands.whitelist=*",
    "",
  ].join("\n");
}

async function findMissing(): Promise<string | null> {
  if (Bun.which("java") === null) return "no java in PATH";
  for (const jar of JARS) if (!(await Bun.file(jar).exists())) return `no ${jar}`;
  return null;
}
