// SPDX-License-Identifier: Apache-2.0
// Calls of the HTTP API. Addresses are relative to <base>, so a route prefix needs no care.

/** The part of a query that an error or a remark speaks of; line and column count from 1. */
export interface Position {
  line: number;
  col: number;
}

export class ApiError extends Error {
  readonly kind: string;
  readonly status: number;
  constructor(text: string, kind: string, status: number) {
    super(text);
    this.kind = kind;
    this.status = status;
  }
}

export interface Answer<T> {
  data: T;
  warnings: string[];
  infos: string[];
  bytes: number;
  ms: number;
}

export type Params = Record<string, string | number | string[] | undefined>;

export interface CallOptions {
  signal?: AbortSignal;
  /** Sends the parameters as a form: for queries that may be too long for an address. */
  post?: boolean;
}

export function encode(params: Params): URLSearchParams {
  const out = new URLSearchParams();
  for (const [k, v] of Object.entries(params)) {
    if (v === undefined) continue;
    for (const one of Array.isArray(v) ? v : [v]) out.append(k, String(one));
  }
  return out;
}

export function apiUrl(path: string, params: Params = {}): string {
  const query = encode(params).toString();
  return new URL(`api/v1/${path}${query ? `?${query}` : ""}`, document.baseURI).href;
}

interface Body {
  status?: string;
  data?: unknown;
  error?: string;
  errorType?: string;
  warnings?: string[];
  infos?: string[];
}

/** Calls one endpoint and returns its `data`. Throws ApiError, or the AbortError of the signal. */
export async function call<T>(path: string, params: Params = {}, options: CallOptions = {}): Promise<Answer<T>> {
  const began = performance.now();
  const init: RequestInit = { headers: { Accept: "application/json" }, credentials: "same-origin", cache: "no-store" };
  if (options.signal) init.signal = options.signal;
  if (options.post) {
    init.method = "POST";
    init.body = encode(params);
  }
  let response: Response;
  let text: string;
  try {
    response = await fetch(apiUrl(path, options.post ? {} : params), init);
    text = await response.text();
  } catch (e) {
    if ((e as Error).name === "AbortError") throw e;
    throw new ApiError((e as Error).message, "unreachable", 0);
  }
  const ms = performance.now() - began;
  let body: Body | undefined;
  try {
    body = JSON.parse(text) as Body;
  } catch {
    throw new ApiError(text.trim().slice(0, 500) || response.statusText, `HTTP ${response.status}`, response.status);
  }
  if (body.status !== "success") {
    throw new ApiError(body.error ?? response.statusText, body.errorType ?? `HTTP ${response.status}`, response.status);
  }
  return { data: body.data as T, warnings: body.warnings ?? [], infos: body.infos ?? [], bytes: text.length, ms };
}

/** Finds where in the query a message points: `1:5: parse error: …` or `… (1:5)` at its end. */
export function positionOf(message: string): Position | undefined {
  const m = /(?:^|[^\d:])(\d+):(\d+): parse error/.exec(message) ?? /\((\d+):(\d+)\)\s*$/.exec(message);
  return m ? { line: Number(m[1]), col: Number(m[2]) } : undefined;
}

/** Offset in the text of a position; positions count characters (Prometheus counts bytes: see below). */
export function offsetOf(text: string, at: Position): number {
  let start = 0;
  for (let line = 1; line < at.line; line++) {
    const next = text.indexOf("\n", start);
    if (next < 0) return text.length;
    start = next + 1;
  }
  // Columns are bytes of UTF-8: walk the characters until as many bytes went by.
  let bytes = at.col - 1;
  let i = start;
  while (bytes > 0 && i < text.length) {
    const code = text.codePointAt(i) ?? 0;
    bytes -= code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    i += code > 0xffff ? 2 : 1;
  }
  return Math.min(i, text.length);
}

/** The curl command that asks the same question. It never holds a secret. */
export function curlOf(path: string, params: Params): string {
  const quote = (s: string) => `'${s.replaceAll("'", "'\\''")}'`;
  const parts = ["curl", "-sS", quote(apiUrl(path))];
  for (const [k, v] of encode(params)) parts.push("--data-urlencode", quote(`${k}=${v}`));
  return parts.join(" ");
}
