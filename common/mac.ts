/** HMAC-SHA256 (RFC 2104) with one secret. */
export interface Mac {
  sign(text: string): Uint8Array | Promise<Uint8Array>;
  /** In a time that tells nothing about where `signature` differs. */
  verify(text: string, signature: Uint8Array<ArrayBuffer>): boolean | Promise<boolean>;
}

export type MakeMac = (secret: string) => Mac;

const encoder = new TextEncoder();

/** That of the web platform, which runs anywhere. */
export const webCryptoMac: MakeMac = (secret) => {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, ["sign", "verify"]);
  return {
    sign: async (text) => new Uint8Array(await crypto.subtle.sign("HMAC", await key, encoder.encode(text))),
    verify: async (text, signature) =>
      crypto.subtle.verify("HMAC", await key, signature, encoder.encode(text)),
  };
};
