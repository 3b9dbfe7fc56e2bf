/** What a name may be: of an account, and of a device. */
import { CimError } from "../proto/status.ts";

export const MAX_NAME_LENGTH = 64;
export const MIN_PASSWORD_LENGTH = 8;
export const MAX_PASSWORD_BYTES = 256;
/** UTF-16 units of a name or a password before it is normalized, however it is spelled: to normalize more takes its square. */
const MAX_SPELLED_LENGTH = 1024;

// Controls and line breaks, and what turns the direction of the text around it: a name must not be able to pass for
// another, or for the line of a log it stands in (https://www.unicode.org/reports/tr36/#Bidirectional_Text_Spoofing).
const FORBIDDEN = /[\p{Cc}\u2028\u2029\u202A-\u202E\u2066-\u2069]/u;
const VISIBLE = /[\p{L}\p{N}\p{P}\p{S}]/u;

const encoder = new TextEncoder();

/** The one spelling of a name: NFC, without space around it. */
export function normalName(given: string): string {
  return normalText(given.trim()).trim();
}

/**
 * The same characters are typed as different code points on different keyboards: this is NFC. A text that is far too
 * long to be a name or a password stays as it is.
 */
export function normalText(given: string): string {
  return given.length > MAX_SPELLED_LENGTH ? given : given.normalize("NFC");
}

/** @throws CimError INVALID for a normal name that nobody may have */
export function checkName(name: string): void {
  // Code points: characters as people see them are counted differently by every library and version of Unicode.
  const length = Array.from(name).length;
  if (length < 1 || length > MAX_NAME_LENGTH) {
    throw new CimError("INVALID", `${length} characters, want 1 to ${MAX_NAME_LENGTH}`);
  }
  const forbidden = FORBIDDEN.exec(name)?.[0];
  if (forbidden !== undefined) throw new CimError("INVALID", `a name with ${codePoint(forbidden)} in it`);
  if (!name.isWellFormed()) throw new CimError("INVALID", "a lone surrogate, want well-formed Unicode");
  if (!VISIBLE.test(name)) throw new CimError("INVALID", "want a letter, digit or sign that can be seen");
}

/** @throws CimError INVALID for a password that may not be chosen; never quotes it */
export function checkPassword(password: string): void {
  const length = Array.from(password).length;
  const bytes = encoder.encode(password).length;
  if (length < MIN_PASSWORD_LENGTH) {
    throw new CimError("INVALID", `${length} characters, want at least ${MIN_PASSWORD_LENGTH}`);
  }
  if (bytes > MAX_PASSWORD_BYTES) {
    throw new CimError("INVALID", `${bytes} bytes, limit ${MAX_PASSWORD_BYTES}`);
  }
}

function codePoint(character: string): string {
  return `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`;
}
