import { expect, test } from "bun:test";
import { ConfigError } from "../../../common/config.ts";
import { parseRedisUrl } from "../../../route/store/redis-url.ts";

const plain = { tls: false, master: "", username: undefined, password: undefined, db: 0 };

test("one Redis, Sentinels and Clusters are told apart, with what each needs", () => {
  const urls = [
    "redis://10.0.0.1:6380",
    "redis://localhost",
    "rediss://:p%40ss%3A%2F@redis.example:6380/3",
    "redis://user:pa:ss@[::1]:6380/0",
    "redis+sentinel://user:pw@a:26379,b,c:26380/mymaster/2",
    "redis+cluster://a:7000,b:7001",
    "rediss+cluster://a",
  ];
  expect(urls.map((url) => parseRedisUrl(url))).toEqual([
    { ...plain, kind: "single", nodes: [{ host: "10.0.0.1", port: 6380 }], shown: urls[0]! },
    { ...plain, kind: "single", nodes: [{ host: "localhost", port: 6379 }], shown: urls[1]! },
    {
      ...plain,
      kind: "single",
      tls: true,
      nodes: [{ host: "redis.example", port: 6380 }],
      password: "p@ss:/",
      db: 3,
      shown: "rediss://redis.example:6380/3",
    },
    {
      ...plain,
      kind: "single",
      nodes: [{ host: "::1", port: 6380 }],
      username: "user",
      password: "pa:ss",
      shown: "redis://[::1]:6380/0",
    },
    {
      ...plain,
      kind: "sentinel",
      nodes: [
        { host: "a", port: 26379 },
        { host: "b", port: 26379 },
        { host: "c", port: 26380 },
      ],
      master: "mymaster",
      username: "user",
      password: "pw",
      db: 2,
      shown: "redis+sentinel://a:26379,b,c:26380/mymaster/2",
    },
    {
      ...plain,
      kind: "cluster",
      nodes: [
        { host: "a", port: 7000 },
        { host: "b", port: 7001 },
      ],
      shown: urls[5]!,
    },
    { ...plain, kind: "cluster", tls: true, nodes: [{ host: "a", port: 6379 }], shown: urls[6]! },
  ]);
});

test("an address that is none is refused in one line, without its password", () => {
  const refusal = (url: string) => {
    try {
      return parseRedisUrl(url);
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigError);
      return (error as Error).message;
    }
  };
  expect(
    [
      "redis://",
      "redis://user:secret@/0",
      "redis://:secret@host:99999",
      "redis://host:port",
      "redis://host/x",
      "redis://host/0/1",
      "redis+sentinel://:secret@host:26379",
      "redis+cluster://host/1",
      "redis://:%zz@host",
    ].map(refusal),
  ).toEqual([
    "CIM_STORE=redis://: want redis://host:port, redis+sentinel:// or redis+cluster://",
    "CIM_STORE=redis://…@/0: want redis://host:port, redis+sentinel:// or redis+cluster://",
    'CIM_STORE=redis://host:99999: want host:port instead of "host:99999"',
    'CIM_STORE=redis://host:port: want host:port instead of "host:port"',
    "CIM_STORE=redis://host/x: want a database's number at the end",
    "CIM_STORE=redis://host/0/1: want no more after the database's number",
    "CIM_STORE=redis+sentinel://host:26379: want the master's name after the Sentinels: …:26379/mymaster",
    "CIM_STORE=redis+cluster://host/1: want no database: a Cluster has one",
    "CIM_STORE=redis://host: want a user, password or name with %xx for its special characters",
  ]);
});
