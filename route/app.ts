/** The route's HTTP: every call of the table, one way to answer, and one place where errors become answers. */
import { type Context, Hono } from "hono";
import type { Config } from "../common/config.ts";
import type { Link } from "../common/link.ts";
import type { Logger } from "../common/logger.ts";
import { CimError, STATUS, type StatusName } from "../proto/status.ts";
import { clientAddress } from "./address.ts";
import { API, type CallName, type Endpoint } from "./api.ts";
import type { Caller, Callers } from "./caller.ts";
import type { Answer, Calls } from "./calls.ts";
import { crossOrigin } from "./cross-origin.ts";
import { type Assets, docs } from "./docs.ts";
import { type Downloads, downloads } from "./downloads.ts";
import { envelope, type Reply } from "./envelope.ts";
import type { InternalName, internalCalls } from "./internal.ts";
import type { Origin } from "./login.ts";
import type { Metrics } from "./metrics.ts";
import { openApi, version } from "./openapi.ts";
import { type Page, page } from "./page.ts";
import { check, readJson, show } from "./request.ts";

export interface AppParts {
  config: Pick<Config, "maxBodyBytes" | "trustedProxies" | "routeUrl" | "allowOrigins">;
  calls: Calls;
  internal: ReturnType<typeof internalCalls>;
  callers: Callers;
  link: Link;
  metrics: Metrics;
  /** What keeps the route from serving, in words. */
  troubles: () => string[];
  assets: Assets;
  /** Null for a route without one. */
  page: (() => Promise<Page>) | null;
  downloads: Downloads | null;
  logger: Logger;
}

export interface Env {
  Bindings: { client?: { readonly address: string | undefined } };
  Variables: { asked: Asked };
}

/** What an answer tells of its request, in itself or in the metrics. */
interface Asked {
  call: string;
  started: number;
  reqNo: string | null;
}

/** HTTP statuses of internal calls and downloads that failed; those of the API are always 200. */
const INTERNAL_STATUS: Partial<Record<StatusName, number>> = {
  UNAUTHORIZED: 401,
  INVALID: 400,
  FAILURE: 500,
};
const UNAVAILABLE = 503;

type Handler = (given: unknown, origin: Origin) => Promise<Answer<unknown>>;

export function createApp(parts: AppParts): Hono<Env> {
  const { config, calls, internal, callers, link, metrics, logger } = parts;
  const app = new Hono<Env>();
  if (config.allowOrigins.length > 0) app.use(crossOrigin(config.allowOrigins));

  for (const [name, endpoint] of Object.entries(API) as [CallName, Endpoint][]) {
    const handler = calls[name] as Handler;
    app.on(endpoint.method, endpoint.path, async (c) => {
      const asked = begin(c, name);
      const given =
        endpoint.method === "POST" ? await readJson(c.req.raw, config.maxBodyBytes) : c.req.query();
      if (typeof given.reqNo === "string") asked.reqNo = given.reqNo;
      const takes = check(endpoint.takes, given);
      const caller = await callers.identify(c.req.raw.headers.get("authorization"));
      return reply(asked, await handler(takes, new CallOrigin(caller, c, config.trustedProxies)));
    });
  }

  for (const [name, answer] of Object.entries(internal) as [
    InternalName,
    (request: Request) => Promise<Response>,
  ][]) {
    app.post(`/internal/${name}`, async (c) => {
      const { started } = begin(c, name);
      await link.admit(c.req.raw, "server");
      const response = await answer(c.req.raw);
      metrics.answered(name, STATUS.SUCCESS.code, performance.now() - started);
      return response;
    });
  }

  app.get("/health", (c) => {
    const troubles = parts.troubles();
    return c.json(
      { status: troubles.length === 0 ? "ok" : "trouble", troubles },
      troubles.length === 0 ? 200 : UNAVAILABLE,
    );
  });
  app.get("/metrics", (c) => {
    const { text, contentType } = metrics.render();
    return c.body(text, 200, { "content-type": contentType });
  });
  if (parts.page) app.route("/", page(parts.page));
  else app.get("/", (c) => c.json({ name: "cim-route", version, docs: "/docs", openapi: "/openapi.json" }));
  app.get("/openapi.json", (c) => c.body(openApi(), 200, { "content-type": "application/json" }));
  app.route("/docs", docs(parts.assets));
  if (parts.downloads) app.route("/download", downloads(parts.downloads, config));

  app.notFound((c) => {
    const asked = begin(c, "other");
    const called = Object.values(API).find(({ path }) => path === c.req.path);
    const hint = called ? `want ${called.method}` : "there is no such call, /docs lists those there are";
    const detail = `${c.req.method} ${show(c.req.path)}: ${hint}`;
    return reply(asked, { status: "INVALID", detail, httpStatus: 404 });
  });

  app.onError((error, c) => {
    const asked: Asked = c.get("asked") ?? begin(c, "other");
    const failure = error instanceof CimError ? error : bug(error, asked);
    if (failure.status === "FALLBACK")
      logger.warn({ call: asked.call, error: whole(error) }, "a call could not be served");
    const tellsByStatus = /^\/(internal|download)\b/.test(c.req.path);
    const httpStatus = tellsByStatus ? (INTERNAL_STATUS[failure.status] ?? UNAVAILABLE) : 200;
    return reply(asked, { status: failure.status, detail: failure.message, httpStatus });
  });

  return app;

  function begin(c: Context<Env>, call: string): Asked {
    const asked = { call, started: performance.now(), reqNo: null };
    c.set("asked", asked);
    return asked;
  }

  function reply({ call, started, reqNo }: Asked, answer: Reply): Response {
    metrics.answered(call, STATUS[answer.status ?? "SUCCESS"].code, performance.now() - started);
    return envelope(answer, reqNo);
  }

  // Logged whole, told without detail: what was wrong is ours, and may hold what is not the caller's to see.
  function bug(error: Error, { call }: Asked): CimError {
    logger.error({ call, error: whole(error) }, "a call failed");
    return new CimError("FAILURE");
  }
}

/** Few calls ask for the address, so it is looked up only then. */
class CallOrigin implements Origin {
  readonly #c: Context<Env>;
  readonly #trustedProxies: number;

  constructor(
    readonly caller: Caller,
    c: Context<Env>,
    trustedProxies: number,
  ) {
    this.#c = c;
    this.#trustedProxies = trustedProxies;
  }

  get address(): string | null {
    const { env, req } = this.#c;
    return clientAddress(env?.client?.address, req.raw.headers.get("x-forwarded-for"), this.#trustedProxies);
  }
}

function whole(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : `\ncaused by ${whole(error.cause)}`;
  return `${error.stack ?? String(error)}${cause}`;
}
