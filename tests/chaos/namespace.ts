/**
 * A network namespace with one cable to this machine, that can be cut: packets then vanish both ways and nobody is
 * told. Uses iproute2 and addresses of its own alone.
 */
import { $ } from "bun";

/** Nobody has this address: what is sent to it vanishes on the cable. */
const NOWHERE = "02:00:00:00:00:01";

export class Namespace {
  private constructor(
    readonly name: string,
    readonly cable: string,
    /** This machine, as the namespace sees it. */
    readonly outside: string,
    /** The namespace, as this machine sees it. */
    readonly inside: string,
  ) {}

  /** Answers why not, when this is not permitted here. */
  static async open(): Promise<Namespace | string> {
    if (Bun.which("ip") === null) return "no ip in PATH (iproute2)";
    const number = process.pid % 16_000;
    const subnet = `10.231.${number >> 6}.`;
    const host = (number % 64) * 4;
    const name = `cim-chaos-${process.pid}`;
    const made = new Namespace(name, `cim${process.pid}`, `${subnet}${host + 1}`, `${subnet}${host + 2}`);
    try {
      await made.#make();
      return made;
    } catch (error) {
      await made.close();
      return `ip netns: ${(error as { stderr?: Buffer }).stderr?.toString().trim() || String(error)}`;
    }
  }

  /** What a command begins with that is to run inside. */
  get prefix(): string[] {
    return ["ip", "netns", "exec", this.name];
  }

  async cut(): Promise<void> {
    const { name, cable, inside, outside } = this;
    await $`ip neigh replace ${inside} lladdr ${NOWHERE} dev ${cable} nud permanent`.quiet();
    await $`ip -n ${name} neigh replace ${outside} lladdr ${NOWHERE} dev eth0 nud permanent`.quiet();
  }

  async join(): Promise<void> {
    const { name, cable, inside, outside } = this;
    await $`ip neigh del ${inside} dev ${cable}`.quiet();
    await $`ip -n ${name} neigh del ${outside} dev eth0`.quiet();
  }

  async close(): Promise<void> {
    await $`ip netns del ${this.name}`.quiet().nothrow();
    await $`ip link del ${this.cable}`.quiet().nothrow();
  }

  async #make(): Promise<void> {
    const { name, cable, inside, outside } = this;
    await $`ip netns add ${name}`.quiet();
    await $`ip link add ${cable} type veth peer name eth0 netns ${name}`.quiet();
    await $`ip addr add ${`${outside}/30`} dev ${cable}`.quiet();
    await $`ip link set ${cable} up`.quiet();
    await $`ip -n ${name} addr add ${`${inside}/30`} dev eth0`.quiet();
    await $`ip -n ${name} link set eth0 up`.quiet();
    await $`ip -n ${name} link set lo up`.quiet();
  }
}
