import type { Door } from "./open-files.ts";

type HttpServer = Pick<Bun.Server<undefined>, "port" | "stop">;

/** The HTTP servers of one port, which can be shut and opened again. Who is being answered when it is shut still is. */
export class HttpDoor implements Door {
  readonly port: number;
  readonly #listen: (port: number) => readonly HttpServer[];
  #servers: readonly HttpServer[];
  /** Shut, with requests or WebSockets in them that go on. */
  readonly #shut = new Set<HttpServer>();

  /** @param listen on the port, to which others of ours may listen as well */
  constructor(servers: readonly HttpServer[], listen: (port: number) => readonly HttpServer[]) {
    this.#servers = servers;
    this.#listen = listen;
    this.port = servers[0]!.port!;
  }

  shut(): void {
    for (const server of this.#servers) {
      this.#shut.add(server);
      void server.stop().then(() => this.#shut.delete(server));
    }
    this.#servers = [];
  }

  open(): void {
    if (this.#servers.length === 0) this.#servers = this.#listen(this.port);
  }

  /** What is under way may end in this time; connections that are only kept alive would not. */
  async close(withinMs: number): Promise<void> {
    const all = [...this.#servers, ...this.#shut];
    await Promise.race([Promise.all(all.map((server) => server.stop())), Bun.sleep(withinMs)]);
    await Promise.all(all.map((server) => server.stop(true)));
  }
}
