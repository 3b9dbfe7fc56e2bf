/** Debian's nginx before a system, as an operator puts it there: it ends TLS, and the path is another one. */
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts } from "./ports.ts";
import { RunningProcess } from "./process.ts";
import { until } from "./until.ts";

const NGINX = "/usr/sbin/nginx";

export interface ProxyOptions {
  /** The path under which everything is found. */
  path: string;
  routeUrl: string;
  serverHttpPort: number;
}

export class Nginx {
  private constructor(
    readonly url: string,
    readonly process: RunningProcess,
    readonly directory: string,
  ) {}

  /** Serves the route at `path` and the server's WebSocket at `path`ws/<its port>, both over TLS. */
  static async start({ path, routeUrl, serverHttpPort }: ProxyOptions): Promise<Nginx> {
    const directory = await mkdtemp(join(tmpdir(), "cim-nginx-"));
    // What a client is slow to take it keeps in files there, as a user of its own.
    await chmod(directory, 0o755);
    const [port] = await freePorts(1);
    await certificate(directory);
    await Bun.write(
      join(directory, "nginx.conf"),
      `daemon off; worker_processes 1; pid ${directory}/pid; error_log stderr warn;
       events { worker_connections 256; }
       http {
         access_log off;
         ${["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${directory}/${kind};`).join(" ")}
         server {
           listen 127.0.0.1:${port} ssl;
           ssl_certificate ${directory}/cert.pem;
           ssl_certificate_key ${directory}/key.pem;
           location ${path} {
             proxy_pass ${routeUrl}/;
             proxy_set_header X-Forwarded-For $remote_addr;
             proxy_set_header X-Forwarded-Proto $scheme;
             proxy_set_header X-Forwarded-Host $http_host;
             proxy_set_header X-Forwarded-Prefix ${path};
           }
           location ${path}ws/${serverHttpPort} {
             proxy_pass http://127.0.0.1:${serverHttpPort}/socket;
             proxy_http_version 1.1;
             proxy_set_header Upgrade $http_upgrade;
             proxy_set_header Connection upgrade;
             proxy_read_timeout 180s;
           }
         }
       }`,
    );
    const process = new RunningProcess([NGINX, "-p", directory, "-c", join(directory, "nginx.conf")]);
    const nginx = new Nginx(`https://127.0.0.1:${port}`, process, directory);
    await until(`nginx serves; it printed: ${process.output}`, async () => {
      return (await fetch(`${nginx.url}${path}health`, { tls: { rejectUnauthorized: false } })).status < 500;
    });
    return nginx;
  }

  async close(): Promise<void> {
    await this.process.kill();
    await rm(this.directory, { recursive: true });
  }
}

/** Makes cert.pem and key.pem for this machine in `directory`. */
export async function certificate(directory: string): Promise<void> {
  const how = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
  const forWhom = "-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1";
  const files = ["-keyout", join(directory, "key.pem"), "-out", join(directory, "cert.pem")];
  const made = Bun.spawn(["openssl", ...how.split(" "), ...forWhom.split(" "), ...files], {
    stdout: "ignore",
    stderr: "pipe",
  });
  if ((await made.exited) !== 0) throw new Error(await new Response(made.stderr).text());
}
