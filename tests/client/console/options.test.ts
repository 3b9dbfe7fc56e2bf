import { expect, test } from "bun:test";
import { helpText } from "../../../client/console/help.ts";
import { OPTIONS, readOptions } from "../../../client/console/options.ts";
import { LANGUAGES, languageOf } from "../../../client/console/texts/language.ts";

test("flags come before the environment, and that before the defaults", () => {
  const env = {
    CIM_ROUTE_URL: "http://route:1/",
    CIM_USER: "bob",
    CIM_PASSWORD: "secret",
    LANG: "zh_CN.UTF-8",
  };
  expect([readOptions(["--user", "alice", "--json"], env), readOptions(["--user", " 张三 "], {})]).toEqual([
    {
      route: "http://route:1",
      user: "alice",
      device: "default",
      language: "zh-CN",
      json: true,
      newPassword: false,
      password: "secret",
    },
    {
      route: "http://127.0.0.1:8083",
      user: "张三",
      device: "default",
      language: "en",
      json: false,
      newPassword: false,
      password: undefined,
    },
  ]);
});

test.each([
  [[], {}, "--user is missing: want a name of 1 to 64 characters"],
  [["--user", " "], {}, "--user  : want a name of 1 to 64 characters"],
  [["--user", "a", "--route", "ftp://x"], {}, "--route ftp://x: want an http:// or https:// URL"],
  [["--user", "a"], { CIM_ROUTE_URL: "nowhere" }, "CIM_ROUTE_URL=nowhere: want an http:// or https:// URL"],
  [["--user", "a", "--lang", "fr"], {}, "--lang fr: want en or zh-CN"],
  [["--user", "--json"], {}, "--user is missing: want a name of 1 to 64 characters"],
  [["--json=yes"], {}, "--json=yes: want --json alone"],
  [["--nope"], {}, "--nope: no such flag; --help lists those there are"],
  [["alice"], {}, '"alice" belongs to no flag: want --user alice? --help lists the flags'],
  [["--nope", "--lang", "zh-CN"], {}, "没有选项 --nope：--help 列出全部选项"],
  [["--route", "x", "--user", "a"], { LANG: "zh_CN.UTF-8" }, "--route x：应为 http:// 或 https:// 地址"],
])("%j with %j is refused, naming the option, its value and what was wanted", (argv, env, message) => {
  expect(() => readOptions(argv, env)).toThrow(message);
});

test("--help names every option, and --version is one", () => {
  const helps = Object.values(LANGUAGES).map((texts) => helpText("1.2.3", texts));
  const missing = Object.keys(OPTIONS).filter((name) => helps.some((help) => !help.includes(`--${name}`)));
  expect([missing, readOptions(["-h"], {}), readOptions(["--version"], {})]).toEqual([[], "help", "version"]);
});

test.each([
  [{ LC_ALL: "zh_CN.UTF-8", LANG: "en_US.UTF-8" }, "zh-CN"],
  [{ LC_MESSAGES: "zh", LANG: "C" }, "zh-CN"],
  [{ LC_ALL: "C", LANG: "zh_CN.UTF-8" }, "en"],
  [{ LANG: "zha_CN" }, "en"],
  [{}, "en"],
] as const)("the locale %j asks for %s", (env, language) => {
  expect(languageOf(env)).toBe(language);
});
