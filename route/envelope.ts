/** The one form of every answer, CIM v2's: `{"code":"9000","message":"Success","reqNo":null,"dataBody":…}`. */
import { STATUS, type StatusName } from "../proto/status.ts";

const HEADERS = {
  "content-type": "application/json",
  // Answers hold tokens and other people's messages.
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
};

export interface Reply {
  status: StatusName;
  /** Default the status's own text. */
  detail?: string;
  reqNo: string | null;
  dataBody?: unknown;
  /** Default 200, whatever the status: only internal calls have another. */
  httpStatus?: number;
  headers?: Record<string, string>;
}

export function envelope({ status, detail, reqNo, dataBody = null, httpStatus, headers }: Reply): Response {
  const { code, text } = STATUS[status];
  const body = JSON.stringify({ code, message: detail || text, reqNo, dataBody });
  return new Response(body, { status: httpStatus ?? 200, headers: { ...HEADERS, ...headers } });
}
