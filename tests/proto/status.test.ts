import { expect, test } from "bun:test";
import { CimError, GOODBYES, goodbye, STATUS } from "../../proto/status.ts";

test("no two rows share a code, and CIM v2's codes are where it has them", () => {
  const codes = Object.values(STATUS).map((row) => row.code);
  expect(new Set(codes).size).toBe(codes.length);
  expect(codes).toEqual(
    expect.arrayContaining([
      "9000",
      "8000",
      "3000",
      "4000",
      "5000",
      "6000",
      "7000",
      "7100",
      "7200",
      "9100",
      "9200",
      "9201",
      "9202",
    ]),
  );
});

test("an error carries its row's code, its text unless it has a better one, and whether trying again helps", () => {
  const cause = new Error("disk");
  const plain = new CimError("NO_SERVER");
  const detailed = new CimError("INVALID", "userName of 65 characters, limit 64", { cause });
  expect(
    [plain, detailed].map((error) => [error.name, error.code, error.message, error.retry, error.cause]),
  ).toEqual([
    ["CimError", "7100", "No server available", true, undefined],
    ["CimError", "3000", "userName of 65 characters, limit 64", false, cause],
  ]);
});

test("a code from another process becomes its row again; one nobody knows is a failure worth another try", () => {
  const errors = [
    CimError.fromCode("9120", "not yours"),
    CimError.fromCode("9120", ""),
    CimError.fromCode("1234", "?"),
  ];
  expect(errors.map(({ status, message, retry }) => [status, message, retry])).toEqual([
    ["FORBIDDEN", "not yours", false],
    ["FORBIDDEN", "The token does not allow this", false],
    ["FAILURE", "?", true],
  ]);
});

test("a goodbye nobody knows advises to come back; names of Object's own are not known", () => {
  expect([goodbye("kicked"), goodbye("from the future"), goodbye("constructor")]).toEqual([
    GOODBYES.kicked,
    { text: "from the future", advice: "reconnect" },
    { text: "constructor", advice: "reconnect" },
  ]);
});
