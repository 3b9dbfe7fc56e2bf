/** The one form of every answer, CIM v2's: `{"code":"9000","message":"Success","reqNo":null,"dataBody":…}`. */
import { STATUS, type StatusName } from "../proto/status.ts";

const HEADERS = {
  "content-type": "application/json",
  // Answers hold tokens and other people's messages.
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
};

// Nearly every answer's: copied as a whole instead of name by name, which takes a tenth of a bare answer's time.
const USUAL = { headers: new Headers(HEADERS) };

export interface Reply {
  /** Default SUCCESS. */
  status?: StatusName;
  /** Default the status's own text. */
  detail?: string;
  dataBody?: unknown;
  /** Default 200, whatever the status: only internal calls have another. */
  httpStatus?: number;
  headers?: Record<string, string>;
}

/** @param reqNo of the request, which is answered as it came */
export function envelope(reply: Reply, reqNo: string | null): Response {
  const { status = "SUCCESS", detail, dataBody = null, httpStatus, headers } = reply;
  const { code, text } = STATUS[status];
  const body = JSON.stringify({ code, message: detail || text, reqNo, dataBody });
  if (httpStatus === undefined && headers === undefined) return new Response(body, USUAL);
  return new Response(body, { status: httpStatus ?? 200, headers: { ...HEADERS, ...headers } });
}
