/** Accounts that log in over HTTP: what a load generator connects with. */

export interface Account {
  userId: number;
  /** Of the server it was given. */
  ip: string;
  port: number;
  token: string;
}

const LOGINS_AT_ONCE = 32;

/** Registers and logs in `count` accounts, in order, and hands each on at once: a claim lapses after 15 s. */
export async function logIn(
  routeUrl: string,
  count: number,
  take: (accounts: Account[]) => void,
): Promise<void> {
  for (let first = 0; first < count; first += LOGINS_AT_ONCE) {
    const some = Array.from({ length: Math.min(LOGINS_AT_ONCE, count - first) }, (_, i) => first + i);
    take(await Promise.all(some.map((i) => logInOne(routeUrl, `load-${i}`))));
  }
}

async function logInOne(routeUrl: string, userName: string): Promise<Account> {
  const { userId } = await post<{ userId: number }>(routeUrl, "/registerAccount", { userName });
  const place = await post<{ ip: string; cimServerPort: number; token: string }>(routeUrl, "/login", {
    userId,
    userName,
    device: "load",
  });
  return { userId, ip: place.ip, port: place.cimServerPort, token: place.token };
}

async function post<T>(routeUrl: string, path: string, body: object): Promise<T> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(routeUrl + path, { method: "POST", headers, body: JSON.stringify(body) });
  const answer = (await response.json()) as { code: string; message: string; dataBody: T };
  if (answer.code !== "9000") throw new Error(`${path}: ${answer.code} ${answer.message}`);
  return answer.dataBody;
}
