/** The API's description, made from the table that requests are checked against (https://spec.openapis.org/oas/v3.1.1). */
import { z } from "zod";
import packageJson from "../package.json" with { type: "json" };
import { STATUS, type StatusName } from "../proto/status.ts";
import { API, type Endpoint } from "./api.ts";

export const version = packageJson.version;

const ALWAYS = ["SUCCESS", "INVALID", "FAILURE"] as const;

const DESCRIPTION = `Accounts, logins and messages of CIM. To begin, make an account with \`/registerAccount\` and log in
with \`/login\`: its token goes with every other call, as \`Authorization: Bearer <token>\`.

A call that was understood is answered with HTTP 200, whatever became of it: the \`code\` says that, and \`message\` what
exactly was wrong. Requests with none but CIM v2's fields are answered with none but those.`;

const TOKEN: Record<Endpoint["token"], string> = {
  none: "",
  any: "Needs a token with `CIM_AUTH=password`.",
  "user's": "Needs the token of that very user, or the admin key, with `CIM_AUTH=password`.",
};

let made: string | null = null;

/** The document, as JSON text. */
export function openApi(): string {
  made ??= JSON.stringify({
    openapi: "3.1.1",
    info: {
      title: "CIM route",
      version,
      description: DESCRIPTION,
      license: { name: "MIT", identifier: "MIT" },
    },
    paths: Object.fromEntries(
      Object.entries(API).map(([name, endpoint]) => [endpoint.path, path(name, endpoint)]),
    ),
    components: {
      securitySchemes: {
        token: { type: "http", scheme: "bearer", description: "The token of a login, or the admin key" },
      },
    },
  });
  return made;
}

function path(name: string, endpoint: Endpoint) {
  const { method, tag, summary, token, takes, example, answers, may } = endpoint;
  const operation = {
    operationId: name,
    tags: [tag],
    summary,
    description: TOKEN[token],
    security: token === "none" ? [{}, { token: [] }] : [{ token: [] }, {}],
    ...(method === "POST"
      ? { requestBody: { required: true, ...json(schemaOf(takes, "input"), example) } }
      : { parameters: query(takes) }),
    responses: {
      "200": {
        description: codes([...ALWAYS, ...may]),
        ...json(envelopeOf(schemaOf(answers, "output"))),
      },
    },
  };
  return { [method.toLowerCase()]: operation };
}

function json(schema: object, example?: object) {
  return { content: { "application/json": { schema, example } } };
}

function envelopeOf(dataBody: object) {
  return {
    type: "object",
    properties: {
      code: { type: "string", examples: [STATUS.SUCCESS.code] },
      message: { type: "string", examples: [STATUS.SUCCESS.text] },
      reqNo: { type: ["string", "null"], description: "The request's", examples: [null] },
      dataBody: { anyOf: [dataBody, { type: "null" }], description: "null unless the code is 9000 or 7000" },
    },
    required: ["code", "message", "reqNo", "dataBody"],
  };
}

function query(takes: z.ZodObject) {
  return Object.entries(takes.shape as Record<string, z.ZodType>).map(([name, field]) => ({
    name,
    in: "query",
    description: field.meta()?.description,
    required: !field.safeParse(undefined).success,
    schema: schemaOf(field, "input"),
  }));
}

function schemaOf(schema: z.ZodType, io: "input" | "output"): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io });
  return rest;
}

function codes(names: StatusName[]): string {
  const line = ({ code, text, retry }: (typeof STATUS)[StatusName]) =>
    `- \`${code}\` ${text}${retry ? " (trying again may help)" : ""}`;
  return names.map((name) => line(STATUS[name])).join("\n");
}
