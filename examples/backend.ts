/**
 * A backend that pushes to its users, over HTTP and with an API key: to one, to several, to everyone. The route is
 * started with the same key: CIM_ADMIN_KEY=… bun run start
 *
 *     CIM_ADMIN_KEY=… bun examples/backend.ts http://127.0.0.1:8083 "Your order was sent" alice bob
 */
const [routeUrl = "http://127.0.0.1:8083", text = "hello", ...names] = process.argv.slice(2);

async function call(path: string, body?: object): Promise<unknown> {
  const headers = {
    authorization: `Bearer ${process.env.CIM_ADMIN_KEY}`,
    "content-type": "application/json",
  };
  const method = body ? "POST" : "GET";
  const response = await fetch(routeUrl + path, { method, headers, body: body && JSON.stringify(body) });
  const { code, message, dataBody } = (await response.json()) as {
    code: string;
    message: string;
    dataBody: unknown;
  };
  // 7000: stored for a receiver who is offline.
  if (code !== "9000" && code !== "7000") throw new Error(`${path}: ${code} ${message}`);
  return dataBody;
}

const shop = (await call("/registerAccount", { userName: "shop" })) as { userId: number };

// The messageId makes a retry safe: the same push, repeated, is not delivered twice.
const messageId = crypto.randomUUID();
if (names.length === 0) await call("/groupRoute", { userId: shop.userId, msg: text, messageId });
for (const name of names) {
  const user = (await call(`/account?name=${encodeURIComponent(name)}`)) as { userId: number };
  await call("/p2pRoute", { userId: shop.userId, receiveUserId: user.userId, msg: text, messageId });
}
console.log(`pushed to ${names.length === 0 ? "everyone" : names.join(", ")}`);
