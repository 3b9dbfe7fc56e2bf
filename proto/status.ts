/** Everything a caller can be told: the code on the wire, its text, and whether the same call may succeed later. */
export const STATUS = {
  SUCCESS: { code: "9000", text: "Success", retry: false },
  FALLBACK: { code: "8000", text: "The system cannot do this right now", retry: true },
  INVALID: { code: "3000", text: "Invalid argument", retry: false },
  FAILURE: { code: "4000", text: "Failure", retry: true },
  REPEAT_LOGIN: { code: "5000", text: "Logged in already", retry: true },
  RATE_LIMITED: { code: "6000", text: "Too many requests", retry: true },
  RECEIVER_OFFLINE: { code: "7000", text: "The receiver is offline, the message is stored", retry: false },
  NO_SERVER: { code: "7100", text: "No server available", retry: true },
  RECONNECT_FAILED: { code: "7200", text: "Reconnect failed", retry: true },
  ACCOUNT_MISMATCH: { code: "9100", text: "Account and credentials do not match", retry: false },
  UNAUTHORIZED: { code: "9110", text: "A valid token is required", retry: false },
  FORBIDDEN: { code: "9120", text: "The token does not allow this", retry: false },
  OFFLINE_STORE_FAILED: { code: "9200", text: "Storing the offline message failed", retry: true },
  OFFLINE_FETCH_FAILED: { code: "9201", text: "Fetching offline messages failed", retry: true },
  OFFLINE_DELETE_FAILED: { code: "9202", text: "Deleting offline messages failed", retry: true },
} as const satisfies Record<string, { code: string; text: string; retry: boolean }>;

export type StatusName = keyof typeof STATUS;

const NAMES = new Map<string, StatusName>(
  Object.entries(STATUS).map(([name, row]) => [row.code, name as StatusName]),
);

/** A failure a caller is told about: a row of the table, and what exactly was wrong. */
export class CimError extends Error {
  readonly status: StatusName;

  /** @param detail names the thing, the value and the limit; the row's text when left out */
  constructor(status: StatusName, detail?: string, options?: ErrorOptions) {
    super(detail ?? STATUS[status].text, options);
    this.name = "CimError";
    this.status = status;
  }

  get code(): string {
    return STATUS[this.status].code;
  }

  /** Whether the same call may succeed later. */
  get retry(): boolean {
    return STATUS[this.status].retry;
  }

  /** The error another process answered with; an unknown code counts as a failure worth another try. */
  static fromCode(code: string, detail: string): CimError {
    return new CimError(NAMES.get(code) ?? "FAILURE", detail || undefined);
  }
}

/** What a client whose connection ends should do: come back, log in anew, or stay away. */
export type Advice = "reconnect" | "login" | "stop";

/** Why a server ends a connection. The name is the `reason` of the Goodbye frame. */
export const GOODBYES = {
  shutdown: { text: "the server is shutting down", advice: "reconnect" },
  slow: { text: "the connection did not take what was sent to it", advice: "reconnect" },
  silent: { text: "nothing was heard for two and a half heartbeats", advice: "reconnect" },
  full: { text: "the server has no room for more connections", advice: "login" },
  unavailable: { text: "the session cannot be checked right now", advice: "reconnect" },
  replaced: { text: "the same session connected again", advice: "stop" },
  wrong_server: { text: "the token is for another server", advice: "login" },
  session_over: { text: "the session is over", advice: "login" },
  kicked: { text: "the account logged in elsewhere", advice: "stop" },
  logged_out: { text: "the session was logged out", advice: "stop" },
  bad_token: { text: "the token is not valid", advice: "stop" },
  bad_frame: { text: "a frame could not be understood", advice: "stop" },
  no_login: { text: "no login came in time", advice: "reconnect" },
} as const satisfies Record<string, { text: string; advice: Advice }>;

export type GoodbyeReason = keyof typeof GOODBYES;

/** The table's row, or advice to come back for a reason a newer server may have. */
export function goodbye(reason: string): { text: string; advice: Advice } {
  return Object.hasOwn(GOODBYES, reason)
    ? GOODBYES[reason as GoodbyeReason]
    : { text: reason, advice: "reconnect" };
}
