/** One line that fetches a client, goes on where it was broken off, checks the sum, and makes it ready to run. */
import type { Platform } from "./platforms.ts";

interface Client {
  platform: Platform;
  sha256: string;
}

// Names what is on its way, so that the rest of one version is never put to the beginning of another.
const VERSION_CHARACTERS = 8;

/**
 * The checksum alone decides: curl complains, too, when there is nothing left to fetch.
 * @param url must have nothing in it that a shell, in single quotes, would not take as it is
 */
export function installLine({ platform, sha256 }: Client, url: string): string {
  const part = `cim-client-${sha256.slice(0, VERSION_CHARACTERS)}`;
  if (platform.startsWith("windows")) {
    return [
      `curl.exe -fLC - -o ${part} '${url}'`,
      `if ((Get-FileHash ${part}).Hash -eq '${sha256}') { Move-Item -Force ${part} cim-client.exe } else { throw 'not all of it, or not the right file' }`,
    ].join("; ");
  }
  const check = platform.startsWith("darwin") ? "shasum -a 256 -c" : "sha256sum -c";
  const steps = [`echo '${sha256}  ${part}' | ${check}`, `chmod +x ${part}`, `mv ${part} cim-client`];
  return `curl -fLC - -o ${part} '${url}'; ${steps.join(" && ")}`;
}

/** How to start what was installed. */
export function startLine(route: string): string {
  return `./cim-client --route ${route} --user alice`;
}
