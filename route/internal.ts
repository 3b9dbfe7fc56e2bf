/** What servers call: their clients' words in batches, and the leases of those who keep them here. */
import { z } from "zod";
import type { Link } from "../common/link.ts";
import type { ServerInstance } from "../common/registry/registry.ts";
import type { Leases } from "../common/registry/route.ts";
import { CimError } from "../proto/status.ts";
import { type Call, decodeCall, encodeResults } from "../proto/uplink.ts";
import type { Metrics } from "./metrics.ts";
import { check, readBody, readJson } from "./request.ts";
import { limitedText, wholeNumber } from "./schemas.ts";
import type { Servers } from "./servers.ts";
import type { Uplinks } from "./uplink.ts";

export interface InternalParts {
  link: Link;
  servers: Pick<Servers, "heard">;
  uplinks: Uplinks;
  /** Null when another registry keeps the servers. */
  leases: Leases | null;
  metrics: Metrics;
}

/** A server's batches are far smaller; with this nobody who knows the secret fills the memory by mistake. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;
const MAX_ANNOUNCEMENT_BYTES = 16 * 1024;

const port = wholeNumber(1, 65535);
const bootId = limitedText(64).min(1, { error: "want 1 to 64 characters" });
const flag = z.boolean({ error: "want true or false" });

const announcement = z.object({
  // CIM v2 splits "ip:port:httpPort" at the colons.
  host: z
    .string({ error: "want a host" })
    .regex(/^[\w.-]{1,253}$/, { error: "want a host name or IPv4 address" }),
  port,
  httpPort: port,
  bootId,
  tls: flag,
  version: limitedText(64),
  connections: wholeNumber(0, Number.MAX_SAFE_INTEGER),
  full: flag,
  webSocketUrl: limitedText(1024).optional(),
}) satisfies z.ZodType<ServerInstance>;

const departure = z.object({ address: limitedText(300), bootId });

export type InternalName = "uplink" | "announce" | "leave";

/** Each answers a request that Link.admit let in. */
export function internalCalls(
  parts: InternalParts,
): Record<InternalName, (request: Request) => Promise<Response>> {
  const { servers, uplinks, metrics } = parts;

  return {
    async uplink(request) {
      const call = decodeUplink(await readBody(request, MAX_BODY_BYTES));
      metrics.uplinked(call.items.length);
      servers.heard(call.server, call.bootId);
      const results = encodeResults(await uplinks.handle(call));
      return new Response(results, { headers: { "content-type": "application/x-protobuf" } });
    },

    async announce(request) {
      const server = check(announcement, await readJson(request, MAX_ANNOUNCEMENT_BYTES));
      return Response.json({ leaseMs: leases().announce(server) });
    },

    async leave(request) {
      const { address, bootId } = check(departure, await readJson(request, MAX_ANNOUNCEMENT_BYTES));
      leases().leave(address, bootId);
      return Response.json({});
    },
  };

  function leases(): Leases {
    if (parts.leases) return parts.leases;
    throw new CimError(
      "FAILURE",
      "this route keeps no leases: servers announce themselves elsewhere (CIM_REGISTRY)",
    );
  }
}

function decodeUplink(body: Uint8Array): Call {
  try {
    return decodeCall(body);
  } catch (error) {
    throw new CimError("INVALID", `not an encoded Uplink: ${(error as Error).message}`, { cause: error });
  }
}
