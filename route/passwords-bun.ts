import type { Passwords } from "./passwords.ts";

// OWASP's least for argon2id: 19 MiB, two passes.
const ARGON2ID = { algorithm: "argon2id", memoryCost: 19 * 1024, timeCost: 2 } as const;

/** argon2id as Bun computes it, off the main thread. */
export const passwords: Passwords = {
  hash: (password) => Bun.password.hash(password, ARGON2ID),
  verify: (password, hash) => Bun.password.verify(password, hash),
};
