/**
 * Pages of other origins that may call this route (https://fetch.spec.whatwg.org/#http-cors-protocol). For all others
 * a browser neither sends a body of JSON nor shows an answer, so that they get no token, and no server talks to them.
 */
import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";

const MAX_AGE_SECONDS = 10 * 60;

/** @param allowed origins; "*" for all: what proves who calls is a token, which a browser never adds by itself */
export function crossOrigin(allowed: readonly string[]): MiddlewareHandler {
  return cors({
    origin: allowed.includes("*") ? "*" : [...allowed],
    allowMethods: ["GET", "POST"],
    allowHeaders: ["authorization", "content-type"],
    // Where the next page of an answer is.
    exposeHeaders: ["link"],
    maxAge: MAX_AGE_SECONDS,
  });
}
