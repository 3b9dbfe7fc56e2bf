/**
 * Signed tokens: `cim1.<payload>.<signature>`, both parts base64url, HMAC-SHA256 (RFC 2104) over `cim1.<payload>`.
 * The payload names its kind, so that a token made for one purpose never passes for another.
 */
import { CimError } from "../proto/status.ts";
import { type MakeMac, webCryptoMac } from "./mac.ts";

/** What a login answers: who, on which device, in which session, on which start of which server, until when. */
export interface SessionToken {
  kind: "session";
  userId: number;
  userName: string;
  sessionId: string;
  device: string;
  bootId: string;
  /** Milliseconds since 1970. */
  issuedAt: number;
  expiresAt: number;
}

/** What servers and routes show one another. */
export interface ServiceToken {
  kind: "service";
  role: "server" | "route";
  expiresAt: number;
}

export type Token = SessionToken | ServiceToken;

export const SERVICE_TOKEN_LIFE_MS = 60 * 1000;

const PREFIX = "cim1";
const MAX_TOKEN_LENGTH = 2048;
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Signs and checks tokens with one secret. */
export class Tokens {
  readonly #mac: ReturnType<MakeMac>;

  constructor(secret: string, makeMac: MakeMac = webCryptoMac) {
    this.#mac = makeMac(secret);
  }

  async sign(token: Token): Promise<string> {
    const signed = `${PREFIX}.${base64url(encoder.encode(JSON.stringify(token)))}`;
    return `${signed}.${base64url(await this.#mac.sign(signed))}`;
  }

  /**
   * The token, if this secret signed it, it is of this kind and has not expired at `now`.
   * @throws CimError UNAUTHORIZED, which says what is wrong and never quotes the token
   */
  async check<K extends Token["kind"]>(
    text: string,
    kind: K,
    now = Date.now(),
  ): Promise<Token & { kind: K }> {
    const [prefix, payload, signature, ...more] = text.length > MAX_TOKEN_LENGTH ? [] : text.split(".");
    if (prefix !== PREFIX || !payload || !signature || more.length > 0) throw refused("is malformed");
    const given = fromBase64url(signature);
    const answer = given !== null && this.#mac.verify(`${prefix}.${payload}`, given);
    // Awaited only where it is not there yet: a crowd's logins come through here.
    if (!(typeof answer === "boolean" ? answer : await answer)) throw refused("has a wrong signature");
    const token = JSON.parse(decoder.decode(fromBase64url(payload)!)) as Token;
    if (token.kind !== kind) throw refused(`is a ${token.kind} token, want a ${kind} token`);
    if (token.expiresAt <= now) throw refused(`expired at ${new Date(token.expiresAt).toISOString()}`);
    return token as Token & { kind: K };
  }
}

/** Whether it is meant to be a token, valid or not. */
export function isToken(text: string): boolean {
  return text.startsWith(`${PREFIX}.`);
}

/** The token of an `Authorization: Bearer …` header (RFC 6750); null without one. */
export function bearer(header: string | null | undefined): string | null {
  return /^Bearer +(\S+)$/i.exec(header ?? "")?.[1] ?? null;
}

/** Compares two secrets in a time that tells nothing about where they differ. */
export async function equalSecrets(a: string, b: string): Promise<boolean> {
  const key = await crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["sign", "verify"]);
  const mac = await crypto.subtle.sign("HMAC", key, encoder.encode(a));
  return crypto.subtle.verify("HMAC", key, mac, encoder.encode(b));
}

function refused(why: string): CimError {
  return new CimError("UNAUTHORIZED", `the token ${why}`);
}

function base64url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

function fromBase64url(text: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.fromBase64(text, { alphabet: "base64url" });
  } catch {
    return null;
  }
}
