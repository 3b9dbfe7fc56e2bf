/**
 * Bun's own HMAC, at once: WebCrypto's answers come from another thread, and waking that and being woken costs two
 * system calls and more time than the rest of a login.
 */
import { timingSafeEqual } from "node:crypto";
import type { MakeMac } from "./mac.ts";

export const bunMac: MakeMac = (secret) => {
  const sign = (text: string) => new Bun.CryptoHasher("sha256", secret).update(text).digest();
  return {
    sign,
    verify(text, signature) {
      const right = sign(text);
      return signature.length === right.length && timingSafeEqual(right, signature);
    },
  };
};
