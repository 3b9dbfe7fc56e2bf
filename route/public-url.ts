/** Where clients reach this route, for what they are told to type. */

/** What can be typed into any shell: nothing else in these headers gets into a command. */
const HOST = /^([a-z0-9.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?$/i;
const PREFIX = /^((?:\/[a-z0-9._~-]+)*)\/*$/i;

/**
 * The route's URL as the caller of `request` has it: what the request says, and behind `trustedProxies` proxies what
 * the first of them says in X-Forwarded-Proto, -Host and -Prefix (for a path that it takes off). Null when that is no
 * URL to show.
 */
export function publicUrl(request: Request, trustedProxies: number): string | null {
  const forwarded = (name: string) => {
    const hops = request.headers.get(`x-forwarded-${name}`)?.split(",") ?? [];
    return (trustedProxies > 0 && hops.slice(-trustedProxies)[0]?.trim()) || null;
  };
  const url = new URL(request.url);
  const scheme = forwarded("proto") ?? url.protocol.slice(0, -1);
  const host = forwarded("host") ?? url.host;
  const [, prefix] = PREFIX.exec(forwarded("prefix") ?? "") ?? [];
  if (!/^https?$/.test(scheme) || !HOST.test(host) || prefix === undefined) return null;
  return `${scheme}://${host}${prefix}`;
}
