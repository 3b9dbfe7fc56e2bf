/** What the page says, in one language. */
import type { StatusName } from "../../../proto/status.ts";

export interface Texts {
  /** As in the lang attribute. */
  language: string;
  /** The other language, by its own name. */
  otherLanguage: string;
  tagline: string;
  signIn: string;
  createAccount: string;
  userName: string;
  password: string;
  passwordHint: string;
  showPassword: string;
  staySignedIn: string;
  staySignedInHint: string;
  signingIn: string;
  noName: string;
  longName: string;
  shortPassword: string;
  nameTaken: string;
  wrongCredentials: string;
  signedInElsewhere: string;
  /** A refusal in words; `detail` is the route's own, in English. */
  status(status: StatusName | undefined, detail: string): string;
  sessionOver: string;
  chats: string;
  everyone: string;
  everyoneHint: string;
  online: string;
  offline: string;
  peopleOnline: string;
  showMore: string;
  nobodyOnline: string;
  nobodyFound: string;
  searchChats: string;
  searchMessages: string;
  searchFurther: string;
  searching: string;
  found(count: number): string;
  foundAll(count: number): string;
  close: string;
  back: string;
  unread(count: number): string;
  you: string;
  /** An account of which only the id is known. */
  user(userId: number): string;
  data(bytes: number): string;
  newMessages: string;
  beginning: string;
  loadingOlder: string;
  noMessages: string;
  toLatest: string;
  message: string;
  messageTo(name: string): string;
  send: string;
  emoji: string;
  tooLong(bytes: number, limit: number): string;
  mark: Record<"queued" | "sent" | "stored" | "delivered" | "failed", string>;
  tryAgain: string;
  discard: string;
  connecting: string;
  noConnection: string;
  nextTry(seconds: number): string;
  queued(count: number): string;
  tryNow: string;
  elsewhereTab: string;
  elsewhereDevice: string;
  useHere: string;
  signOut: string;
  unsentLost(count: number): string;
  theme: Record<"system" | "light" | "dark", string>;
  messages: string;
  changePassword: string;
  oldPassword: string;
  newPassword: string;
  wrongOldPassword: string;
  passwordChanged: string;
  /** A link to the console's download. */
  forTerminal: string;
  inNewTab: string;
}
