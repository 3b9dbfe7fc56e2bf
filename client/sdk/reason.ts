/** Why a fetch failed, in a few words: Bun ends its message with a question to the reader. */
export function whyNot(error: unknown): string {
  return (error as Error).message.replace(/\. Is the computer able to access the url\?$/, "");
}
