/** Where a compiled program runs, by the names that `bun build --target` and our files have for it. */
export const PLATFORMS = {
  "linux-x64": "Linux x64",
  "linux-arm64": "Linux arm64",
  "linux-x64-musl": "Linux x64, musl (Alpine)",
  "linux-arm64-musl": "Linux arm64, musl (Alpine)",
  "darwin-arm64": "macOS, Apple silicon",
  "darwin-x64": "macOS, Intel",
  "windows-x64": "Windows x64",
  "windows-arm64": "Windows arm64",
} as const;

export type Platform = keyof typeof PLATFORMS;

/** The file of a program for a platform: `cim-client-windows-x64.exe`. */
export function programFile(program: string, platform: Platform): string {
  return `${program}-${platform}${platform.startsWith("windows") ? ".exe" : ""}`;
}
