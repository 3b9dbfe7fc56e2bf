import { afterEach, expect, test } from "bun:test";
import { orV2Route } from "../../server/v2-route.ts";
import { pushV2 } from "../support/cim-v2-route.ts";
import { openTestServer, silent } from "./open-server.ts";

const stops: (() => void)[] = [];

afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

test("under a route of CIM v2 a login is believed, its pushes arrive, and it is told who went", async () => {
  const offLine = Promise.withResolvers<unknown>();
  const url = serve(async (request) => {
    const { pathname: path } = new URL(request.url);
    if (path !== "/offLine")
      return Response.json({ timestamp: "now", status: 404, error: "Not Found", path }, { status: 404 });
    offLine.resolve(await request.json());
    return Response.json({ code: "9000", message: "Success", reqNo: null, dataBody: null });
  });
  const warnings: string[] = [];
  const log = {
    debug() {},
    info() {},
    error() {},
    warn: (_: object, text: string) => void warnings.push(text),
  };
  await using cim = await openTestServer({ CIM_AUTH: "open", CIM_ROUTE_URL: url }, log);
  const bob = await cim.v2(2);
  await pushV2(cim.httpUrl, { userId: 2, msg: "hi", sendUserId: 1, sendUserName: "ann" });
  expect((await bob.next()).text).toBe("hi");
  bob.drop();
  expect(await offLine.promise).toEqual({ userId: 2, msg: "offLine" });
  expect(warnings).toEqual(["the route is one of CIM v2: logins are believed without asking"]);
});

test("an answer that any proxy gives is not taken for a route of CIM v2", async () => {
  const spring = { timestamp: "now", status: 404, error: "Not Found", path: "/internal/uplink" };
  const answers = [
    () => new Response("not found", { status: 404 }),
    () => Response.json({ message: "no route matched" }, { status: 404 }),
    () => Response.json(spring, { status: 503 }),
    () => Response.error(),
  ];
  for (const answer of answers) {
    const post = () => Promise.reject(new Error("the call failed"));
    const call = orV2Route({ routeUrl: "http://route", post, fetch: async () => answer(), log: silent });
    await expect(call(new Uint8Array())).rejects.toThrow("the call failed");
  }
});

function serve(fetch: (request: Request) => Response | Promise<Response>): string {
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch });
  stops.push(() => void server.stop(true));
  return `http://127.0.0.1:${server.port}`;
}
