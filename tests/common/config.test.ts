import { describe, expect, test } from "bun:test";
import { ConfigError, flagOf, readConfig, VARIABLES } from "../../common/config.ts";

describe("settings", () => {
  test("have the defaults of the design when nothing is set", () => {
    expect(readConfig({})).toMatchObject({
      host: "127.0.0.1",
      advertise: "",
      routePort: 8083,
      serverPort: 11211,
      serverHttpPort: 8081,
      routeUrl: "http://127.0.0.1:8083",
      data: "./data",
      store: "",
      registry: "route",
      auth: "password",
      secret: "",
      adminKey: "",
      loginPolicy: "reject",
      pick: "round-robin",
      heartbeatMs: 60_000,
      retentionMs: 7 * 24 * 60 * 60 * 1000,
      maxBodyBytes: 1024 * 1024,
      maxUnsentBytes: 1024 * 1024,
      log: "info",
    });
  });

  test("an empty variable is one that is not set", () => {
    expect(readConfig({ CIM_ROUTE_PORT: "", CIM_SECRET: "" })).toEqual(readConfig({}));
  });

  test("durations are in milliseconds, URLs end without a slash", () => {
    const { heartbeatMs, leaseMs, tokenMs, routeUrl } = readConfig({
      CIM_HEARTBEAT_SECONDS: "2",
      CIM_LEASE_SECONDS: "3",
      CIM_TOKEN_DAYS: "1",
      CIM_ROUTE_URL: "https://cim.example/route/",
    });
    expect({ heartbeatMs, leaseMs, tokenMs, routeUrl }).toEqual({
      heartbeatMs: 2000,
      leaseMs: 3000,
      tokenMs: 24 * 60 * 60 * 1000,
      routeUrl: "https://cim.example/route",
    });
  });

  test("each is a flag too", () => {
    expect([flagOf("CIM_ROUTE_PORT"), flagOf("CIM_LOG")]).toEqual(["--route-port", "--log"]);
  });

  test("each has a meaning, and a default that is a value of it", () => {
    for (const [name, variable] of Object.entries(VARIABLES)) {
      expect([name, variable.meaning, variable.parse(variable.default)]).toEqual([
        name,
        expect.stringMatching(/\w+/),
        expect.anything(),
      ]);
    }
  });
});

describe("a wrong value stops the start with a line that names it:", () => {
  test.each<[Record<string, string>, string]>([
    [{ CIM_ROUTE_PORT: "abc" }, "CIM_ROUTE_PORT=abc: want a whole number from 0 to 65535"],
    [{ CIM_ROUTE_PORT: "65536" }, "CIM_ROUTE_PORT=65536: want a whole number from 0 to 65535"],
    [{ CIM_ROUTE_PORT: "-1" }, "CIM_ROUTE_PORT=-1: want a whole number from 0 to 65535"],
    [{ CIM_ROUTE_PORT: "8083.5" }, "CIM_ROUTE_PORT=8083.5: want a whole number from 0 to 65535"],
    [{ CIM_ROUTE_PORT: "0x1f" }, "CIM_ROUTE_PORT=0x1f: want a whole number from 0 to 65535"],
    [{ CIM_HEARTBEAT_SECONDS: "0" }, "CIM_HEARTBEAT_SECONDS=0: want a whole number from 1 to 3600"],
    [{ CIM_AUTH: "none" }, "CIM_AUTH=none: want password or open"],
    [{ CIM_LOGIN_POLICY: "toString" }, "CIM_LOGIN_POLICY=toString: want reject or kick or multi"],
    [{ CIM_ROUTE_URL: "127.0.0.1:8083" }, "CIM_ROUTE_URL=127.0.0.1:8083: want an http:// or https:// URL"],
    [
      { CIM_ALLOW_ORIGINS: "https://a.example/" },
      "CIM_ALLOW_ORIGINS=https://a.example/: want origins as in https://app.example:8443, with commas between them, or * for all",
    ],
    [
      { CIM_ALLOW_ORIGINS: "https://a.example,*" },
      "CIM_ALLOW_ORIGINS=https://a.example,*: want origins as in https://app.example:8443, with commas between them, or * for all",
    ],
    [{ CIM_TLS_CERT: "cert.pem" }, "CIM_TLS_CERT and CIM_TLS_KEY: want both or neither"],
  ])("%j", (env, message) => {
    expect(() => readConfig(env)).toThrow(new ConfigError(message));
  });

  test.each(["CIM_SECRET", "CIM_ADMIN_KEY"])("%s, which is not shown", (name) => {
    expect(() => readConfig({ [name]: "hunter2" })).toThrow(
      new ConfigError(`${name}=(7 characters): want at least 16 characters without spaces`),
    );
  });
});

test("an error never shows the password in a URL", () => {
  expect(() => readConfig({ CIM_STORE: "redis+odd://user:s3cret@host:6379" })).toThrow(
    "CIM_STORE=redis+odd://…@host:6379: want ",
  );
});
