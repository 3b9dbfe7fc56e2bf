/** Times and names as people read them. */
import type { User } from "../sdk/types.ts";
import type { Texts } from "./texts/texts.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const formats = new Map<string, Intl.DateTimeFormat>();

export function clock(at: Date, { language }: Texts): string {
  return format(language, { hour: "2-digit", minute: "2-digit", hour12: false }).format(at);
}

/** Today, yesterday, or the date. */
export function day(at: Date, { language }: Texts, now = new Date()): string {
  const days = Math.round((midnight(at) - midnight(now)) / DAY_MS);
  if (days > -2 && days < 1) {
    const word = new Intl.RelativeTimeFormat(language, { numeric: "auto" }).format(days, "day");
    return word.charAt(0).toLocaleUpperCase(language) + word.slice(1);
  }
  const year = at.getFullYear() === now.getFullYear() ? undefined : ("numeric" as const);
  return format(language, { weekday: "long", day: "numeric", month: "long", year }).format(at);
}

/** In a list: the time if it was today, else the date. */
export function brief(at: Date, texts: Texts, now = new Date()): string {
  if (midnight(at) === midnight(now)) return clock(at, texts);
  return format(texts.language, { day: "numeric", month: "short" }).format(at);
}

export function full(at: Date, { language }: Texts): string {
  return format(language, { dateStyle: "long", timeStyle: "medium" }).format(at);
}

export function nameOf(user: User | null, texts: Texts): string {
  if (user === null) return texts.everyone;
  return user.userName || texts.user(user.userId);
}

/** A colour's hue that stays with an account. */
export function hueOf(userId: number): number {
  // The golden angle: neighbours differ.
  return Math.round((userId * 137.508) % 360);
}

/** What stands for a name in a circle. */
export function initial(name: string): string {
  const [first = ""] = new Intl.Segmenter().segment(name);
  return typeof first === "string" ? first : first.segment.toLocaleUpperCase();
}

function midnight(at: Date): number {
  return new Date(at).setHours(0, 0, 0, 0);
}

function format(language: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = language + JSON.stringify(options);
  const known = formats.get(key) ?? new Intl.DateTimeFormat(language, options);
  formats.set(key, known);
  return known;
}
