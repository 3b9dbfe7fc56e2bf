/** What listening comes to, whichever socket it is for: the certificate, and a port that is ours alone. */
import { readFileSync } from "node:fs";
import { type Config, ConfigError, type VariableName } from "./config.ts";

export interface Certificate {
  cert: string;
  key: string;
}

/** Undefined where none is set. @throws ConfigError for a file that cannot be read */
export function readCertificate(config: Pick<Config, "tlsCert" | "tlsKey">): Certificate | undefined {
  if (config.tlsCert === "") return undefined;
  return { cert: readPem("CIM_TLS_CERT", config.tlsCert), key: readPem("CIM_TLS_KEY", config.tlsKey) };
}

function readPem(setting: VariableName, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new ConfigError(`${setting}=${file}: cannot read it: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** A port, and the setting that names it. */
export interface Port {
  setting: VariableName;
  host: string;
  /** 0: a free one. */
  port: number;
}

interface Listening {
  port?: number;
  stop(force: boolean): unknown;
}

/** Listens on a port; shared, others may listen on it as well. */
type Open<T> = (port: number, shared: boolean) => T;

/**
 * Opens a port `count` times, so that a crowd that comes at once has as many queues to stand in (the backlog of one
 * is 512); first once alone, so that sharing it with another process is an error.
 * @param isClaimed others who have agreed on it listen on the port as well
 * @throws ConfigError for a port that is taken, an address that is not ours, a certificate that is none
 */
export function openMany<T extends Listening>(
  wanted: Port,
  count: number,
  open: Open<T>,
  isClaimed = false,
): T[] {
  const port = isClaimed ? wanted.port : claimPort(wanted, open);
  const opened: T[] = [];
  return explained(
    wanted,
    () => {
      for (let i = 0; i < count; i++) opened.push(open(port, true));
      return opened;
    },
    () => {
      for (const one of opened) one.stop(true);
    },
  );
}

/** The port, on which nobody listened until now. @throws ConfigError as openMany */
export function claimPort(wanted: Port, open: Open<Listening>): number {
  return explained(wanted, () => {
    const alone = open(wanted.port, false);
    const { port } = alone;
    alone.stop(true);
    return port!;
  });
}

function explained<T>(wanted: Port, listen: () => T, undo = () => {}): T {
  try {
    return listen();
  } catch (error) {
    undo();
    throw new ConfigError(explain(wanted, error as NodeJS.ErrnoException), { cause: error });
  }
}

function explain({ setting, host, port }: Port, { code, message }: NodeJS.ErrnoException): string {
  if (code === "EADDRINUSE") return `${setting}=${port}: the port is taken`;
  if (code === "EACCES") return `${setting}=${port}: this user may not listen there`;
  if (code === "EADDRNOTAVAIL") return `CIM_HOST=${host}: not an address of this machine`;
  if (code?.startsWith("ERR_OSSL"))
    return `CIM_TLS_CERT, CIM_TLS_KEY: no certificate and key in PEM: ${message}`;
  return `CIM_HOST=${host} ${setting}=${port}: ${message}`;
}
