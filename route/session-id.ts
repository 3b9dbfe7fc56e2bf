/**
 * Ids of sessions: `<login>.<number>.<random>`. When a device takes its own session over, with its token, the new one
 * is of the same login and has a higher number, so that of two it can be said which is the later, wherever they are.
 * A login is `<random>`, and `<random>-<generation>` after its user was signed out everywhere: those of generations
 * before are good for nothing, whoever still has their tokens.
 */
const LOGIN_BYTES = 10;
const RANDOM_BYTES = 5;
const GENERATION_RADIX = 36;

/** When a user was last signed out everywhere, and the one login that was spared ("": none). */
export interface SignOut {
  /** What the logins after it carry: milliseconds since 1970, but for clocks that step back higher each time. */
  generation: number;
  spared: string;
}

/** Of a login with credentials. @param generation of the user's logins by now; 0 when it was never signed out */
export function firstSessionId(generation = 0): string {
  const login = random(LOGIN_BYTES);
  return make(generation === 0 ? login : `${login}-${generation.toString(GENERATION_RADIX)}`, 1);
}

export function loginOf(id: string): string {
  return parse(id).login;
}

/** Whether the session's user was signed out after its login. */
export function isSignedOut(id: string, signOut: SignOut): boolean {
  const login = loginOf(id);
  const generation = Number.parseInt(login.split("-")[1] ?? "0", GENERATION_RADIX);
  return generation < signOut.generation && login !== signOut.spared;
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
