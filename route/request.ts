/** From a request to checked input: limits before reading, and errors that name the field, the value and the limit. */
import type { z } from "zod";
import { CimError } from "../proto/status.ts";

const JSON_TYPE = "application/json";
const MAX_SHOWN = 40;
// Never part of an answer or a log.
const SECRET_FIELDS = new Set(["password", "oldPassword"]);

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * The JSON object in a request's body.
 * @throws CimError INVALID for another content type, a body over the limit (of which no more is read), or no JSON object
 */
export async function readJson(request: Request, maxBytes: number): Promise<Record<string, unknown>> {
  const type = request.headers.get("content-type");
  if (type !== JSON_TYPE && !/^application\/json(;|$)/i.test(type?.trim() ?? "")) {
    throw new CimError("INVALID", `content-type ${show(type ?? "")}: want application/json`);
  }
  const value = parse(await readBody(request, maxBytes));
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new CimError("INVALID", `body ${show(value)}: want a JSON object`);
  }
  return value as Record<string, unknown>;
}

/** @throws CimError INVALID for a body over the limit, before it is read where its length is announced */
export async function readBody(
  request: Pick<Request, "headers" | "body" | "arrayBuffer">,
  maxBytes: number,
): Promise<Uint8Array> {
  const announced = Number(request.headers.get("content-length"));
  if (announced > maxBytes) throw tooLarge(announced, maxBytes);
  try {
    // A body with a length is as long as it says: the HTTP server holds it to that.
    const body = announced > 0 ? request.arrayBuffer() : readChunks(request.body, maxBytes);
    return new Uint8Array(await body);
  } catch (error) {
    if (error instanceof CimError) throw error;
    throw new CimError("INVALID", "the body breaks off", { cause: error });
  }
}

async function readChunks(body: ReadableStream<Uint8Array> | null, maxBytes: number): Promise<ArrayBuffer> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLarge(bytes, maxBytes);
    chunks.push(chunk as Uint8Array<ArrayBuffer>);
  }
  return new Blob(chunks).arrayBuffer();
}

/** @throws CimError INVALID for the first field that is not what the schema wants */
export function check<S extends z.ZodType>(schema: S, given: unknown): z.output<S> {
  const result = schema.safeParse(given);
  if (result.success) return result.data;
  throw new CimError("INVALID", explain(result.error.issues[0]!, given));
}

function explain(issue: z.core.$ZodIssue, given: unknown): string {
  let value = given;
  let field = "";
  for (const step of issue.path) {
    value = (value as Record<PropertyKey, unknown> | undefined)?.[step];
    field += typeof step === "number" ? `[${step}]` : String(step);
  }
  if (value === undefined || value === null) return `${field} is missing: ${issue.message}`;
  return SECRET_FIELDS.has(field)
    ? `${field}: ${issue.message}`
    : `${field}=${show(value)}: ${issue.message}`;
}

/** A value from outside, short and on one line. */
export function show(value: unknown): string {
  // Each part takes a character or more: no more of them are looked at, however many there are, or one in another.
  let left = MAX_SHOWN + 1;
  const cut = (_: string, part: unknown) => {
    if (left-- <= 0) return null;
    return typeof part === "string" ? part.slice(0, MAX_SHOWN + 1) : part;
  };
  const shown = JSON.stringify(value, cut) ?? String(value);
  return shown.length > MAX_SHOWN ? `${shown.slice(0, MAX_SHOWN)}…` : shown;
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(utf8.decode(body));
  } catch (error) {
    const start = new TextDecoder().decode(body.subarray(0, MAX_SHOWN + 1));
    throw new CimError("INVALID", `body ${show(start)}: not JSON in UTF-8`, { cause: error });
  }
}

function tooLarge(bytes: number, limit: number): CimError {
  return new CimError("INVALID", `body of ${bytes} bytes or more, limit ${limit}`);
}
