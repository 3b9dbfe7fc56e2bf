import { describe, expect, test } from "bun:test";
import { webCryptoMac } from "../../common/mac.ts";
import { bunMac } from "../../common/mac-bun.ts";
import { bearer, equalSecrets, type SessionToken, Tokens } from "../../common/token.ts";
import { CimError } from "../../proto/status.ts";

const NOW = 1_800_000_000_000;
const session: SessionToken = {
  kind: "session",
  userId: 7,
  userName: "张三 🦊",
  sessionId: "s-1",
  device: "phone",
  bootId: "boot-1",
  issuedAt: NOW - 1000,
  expiresAt: NOW + 1000,
};

describe.each([
  ["the web platform", webCryptoMac],
  ["Bun", bunMac],
] as const)("a token by the HMAC of %s", (_, mac) => {
  const tokens = new Tokens("a secret", mac);

  async function refusal(text: string, now = NOW): Promise<string> {
    const error = await tokens.check(text, "session", now).then(
      () => "accepted",
      (error: CimError) => error,
    );
    return error instanceof CimError && error.code === "9110" ? error.message : `not a refusal: ${error}`;
  }

  test("says what was signed, until it expires", async () => {
    const text = await tokens.sign(session);
    expect(await tokens.check(text, "session", NOW + 999)).toEqual(session);
    expect(await refusal(text, NOW + 1000)).toBe("the token expired at 2027-01-15T08:00:01.000Z");
  });

  test("may stand in a header", async () => {
    expect(await tokens.sign(session)).toMatch(/^cim1\.[\w-]+\.[\w-]{43}$/);
  });

  test("is the same bytes for the same content: a change to the format shows here", async () => {
    const service = await tokens.sign({ kind: "service", role: "route", expiresAt: NOW });
    expect(service).toBe(
      "cim1.eyJraW5kIjoic2VydmljZSIsInJvbGUiOiJyb3V0ZSIsImV4cGlyZXNBdCI6MTgwMDAwMDAwMDAwMH0.H3kSg3dtsFb7pkkBU3wOY62HMwbROdZXWTFwWxBqI9M",
    );
  });

  test("passes for nothing but its kind", async () => {
    const service = await tokens.sign({ kind: "service", role: "server", expiresAt: NOW + 1000 });
    expect(await refusal(service)).toBe("the token is a service token, want a session token");
  });

  test("of another secret is refused", async () => {
    expect(await refusal(await new Tokens("another secret", mac).sign(session))).toBe(
      "the token has a wrong signature",
    );
  });

  test("with any one character changed is refused", async () => {
    const text = await tokens.sign(session);
    const accepted = [];
    for (let i = 0; i < text.length; i++) {
      const bent = `${text.slice(0, i)}${text[i] === "A" ? "B" : "A"}${text.slice(i + 1)}`;
      const passed = await tokens.check(bent, "session", NOW).then(
        () => true,
        (error) => !(error instanceof CimError && error.code === "9110"),
      );
      // The last character of 43 holds two bits that count for nothing.
      if (passed && i < text.length - 1) accepted.push(i);
    }
    expect(accepted).toEqual([]);
  });

  test.each([
    "",
    "x",
    "cim1",
    "cim1..",
    "cim1.a",
    "cim1.a.",
    "cim2.e30.e30",
    "cim1.e30.e30.e30",
    "cim1.e30.e30",
    ".",
  ])("is not %j", async (text) => {
    expect(await refusal(text)).toMatch(/^the token (is malformed|has a wrong signature)$/);
  });

  test("is not looked at beyond 2048 characters", async () => {
    expect(await refusal(`cim1.${"a".repeat(1_000_000)}.a`)).toBe("the token is malformed");
  });
});

test("a bearer header holds a token and nothing else", () => {
  const headers = ["Bearer abc", "bearer  abc", "Bearer", "Bearer a b", "Basic abc", "", null, undefined];
  expect(headers.map(bearer)).toEqual(["abc", "abc", null, null, null, null, null, null]);
});

test("secrets are equal only when they are the same", async () => {
  const answers = await Promise.all(
    [
      ["same", "same"],
      ["same", "sam"],
      ["same", "Same"],
      ["", "x"],
    ].map(([a, b]) => equalSecrets(a!, b!)),
  );
  expect(answers).toEqual([true, false, false, false]);
});
