import { afterAll, beforeAll, expect, test } from "bun:test";
import type { z } from "zod";
import { API, type CallName } from "../../route/api.ts";
import { OpenRoute, PASSWORD } from "./open-route.ts";

let route: OpenRoute;

beforeAll(async () => {
  route = await OpenRoute.start();
});
afterAll(() => route[Symbol.asyncDispose]());

interface Document {
  openapi: string;
  paths: Record<
    string,
    Record<
      string,
      { operationId: string; tags: string[]; requestBody?: Json; parameters?: { name: string }[] }
    >
  >;
}
interface Json {
  content: { "application/json": { schema: { properties: Record<string, unknown>; required: string[] } } };
}

const read = async () => (await route.fetch("/openapi.json")).json() as Promise<Document>;

test("the document names every call, with what it takes", async () => {
  const { openapi, paths } = await read();
  const shown = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId, tags, requestBody, parameters }]) => {
      const body = Object.keys(requestBody?.content["application/json"].schema.properties ?? {});
      return [
        operationId,
        ...tags,
        method,
        path,
        [...body, ...(parameters ?? []).map(({ name }) => name)].sort(),
      ];
    }),
  );
  const table = Object.entries(API).map(([name, { method, path, tag, takes }]) => [
    name,
    tag,
    method.toLowerCase(),
    path,
    Object.keys(takes.shape).sort(),
  ]);
  expect([openapi, shown]).toEqual(["3.1.1", table]);
});

test("what CIM v2 requires is required, and nothing that is new", async () => {
  const { paths } = await read();
  const required = Object.values(paths).flatMap(({ post }) =>
    post ? [[post.operationId, post.requestBody!.content["application/json"].schema.required]] : [],
  );
  expect(Object.fromEntries(required)).toEqual({
    registerAccount: ["userName"],
    login: undefined,
    changePassword: ["password"],
    offLine: ["userId"],
    p2pRoute: ["userId", "receiveUserId"],
    groupRoute: ["userId"],
    fetchOfflineMsgs: ["receiveUserId"],
    history: ["peer"],
  });
});

test("the document holds no schema that refers to something outside of it", async () => {
  expect(JSON.stringify(await read())).not.toMatch(/"\$(ref|schema|id)"/);
});

test("answers are what the document says, to the field", async () => {
  const ann = await route.online("ann");
  const bob = await route.online("bob");
  const { token } = ann;
  const to = { userId: ann.userId, receiveUserId: bob.userId };
  const made: [CallName, unknown][] = [
    ["registerAccount", await route.post("/registerAccount", { userName: "ann", password: PASSWORD })],
    ["login", await route.post("/login", {}, { token })],
    ["p2pRoute", await route.post("/p2pRoute", { ...to, msg: "x" }, { token })],
    ["p2pRoute", await route.post("/p2pRoute", { ...to, batchMsg: ["x", "y"] }, { token })],
    ["groupRoute", await route.post("/groupRoute", { userId: ann.userId, data: "AAEC" }, { token })],
    ["onlineUser", await route.get("/onlineUser", { token })],
    ["fetchOfflineMsgs", await route.post("/fetchOfflineMsgs", { receiveUserId: ann.userId }, { token })],
    ["history", await route.post("/history", { peer: "all" }, { token })],
    ["account", await route.get("/account?name=bob", { token })],
    [
      "changePassword",
      await route.post("/changePassword", { password: PASSWORD, oldPassword: PASSWORD }, { token }),
    ],
    ["offLine", await route.post("/offLine", { userId: ann.userId }, { token })],
  ];
  for (const [name, answer] of made) {
    const { code, dataBody } = answer as { code: string; dataBody: unknown };
    expect([name, code]).toEqual([name, "9000"]);
    // Parsing leaves out what the schema does not know: nothing may be missing then.
    expect([name, (API[name].answers as z.ZodType).parse(dataBody)]).toEqual([name, dataBody]);
  }
});

test("the page comes from this route alone, and may run nothing else", async () => {
  const page = await route.fetch("/docs");
  const html = await page.text();
  const policy = page.headers.get("content-security-policy");
  expect([page.status, page.headers.get("content-type"), policy]).toEqual([
    200,
    "text/html; charset=UTF-8",
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  ]);
  const linked = [...html.matchAll(/(?:src|href)="(?!data:)([^"]+)"/g)].map(([, path]) => path!);
  const answers = await Promise.all(linked.map((path) => route.fetch(`/${path}`)));
  expect([linked, answers.map(({ status }) => status)]).toEqual([
    ["docs/swagger-ui.css", "docs/swagger-ui-bundle.js", "docs/start.js"],
    [200, 200, 200],
  ]);
});

test("the root says where to look", async () => {
  expect(await (await route.fetch("/")).json()).toEqual({
    name: "cim-route",
    version: expect.any(String),
    docs: "/docs",
    openapi: "/openapi.json",
  });
});
