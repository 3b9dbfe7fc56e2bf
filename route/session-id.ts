/**
 * Ids of sessions: `<login>.<number>.<random>`. When a device takes its own session over, with its token, the new one
 * is of the same login and has a higher number, so that of two it can be said which is the later, wherever they are.
 */
const LOGIN_BYTES = 10;
const RANDOM_BYTES = 5;

/** Of a login with credentials. */
export function firstSessionId(): string {
  return make(random(LOGIN_BYTES), 1);
}

/** The next of the same login, later than all of these. */
export function nextSessionId(before: readonly [string, ...string[]]): string {
  return make(parse(before[0]).login, 1 + Math.max(...before.map((id) => parse(id).number)));
}

export function isSameLogin(a: string, b: string): boolean {
  return parse(a).login === parse(b).login;
}

/** Whether `a` is of the same login as `b`, and came after it. */
export function isLater(a: string, b: string): boolean {
  return isSameLogin(a, b) && parse(a).number > parse(b).number;
}

function make(login: string, number: number): string {
  return `${login}.${number}.${random(RANDOM_BYTES)}`;
}

function parse(id: string): { login: string; number: number } {
  const [login = "", number = "1"] = id.split(".");
  return { login, number: Number(number) };
}

function random(bytes: number): string {
  return crypto.getRandomValues(new Uint8Array(bytes)).toHex();
}
