// SPDX-License-Identifier: Apache-2.0
// Runs the query of a panel: one request per change of what it asks, the older one cancelled.
import { useEffect, useRef, useState } from "preact/hooks";
import { remember } from "../../app/history";
import { ApiError, call, type Params } from "../../data/client";
import type { QueryData, Stats } from "../../data/prom";
import { t } from "../../i18n/i18n";
import { toColumns, type Columns } from "./columns";
import { hintsFor, type Hint } from "./hints";
import { stepOf, tooMany, type Panel } from "./state";

export interface Result {
  expr: string;
  tab: "table" | "graph";
  data: QueryData;
  columns?: Columns;
  from: number; // seconds
  to: number;
  step: number;
  warnings: string[];
  infos: string[];
  ms: number;
  bytes: number;
  series: number;
  stats: Stats | undefined;
}

export interface Run {
  result: Result | undefined;
  error: ApiError | undefined;
  hints: Hint[];
  busy: boolean;
  cancel: () => void;
}

/** The endpoint and parameters of what a panel asks now. */
export function requestOf(p: Panel, now_ms: number): { path: string; params: Params; from: number; to: number; step: number } {
  const to = Math.floor(p.end_ms ?? now_ms) / 1000;
  if (p.tab !== "graph") {
    return { path: "query", params: { query: p.expr, time: to, stats: 1 }, from: to, to, step: 0 };
  }
  const step = stepOf(p) / 1000;
  const from = to - p.range_ms / 1000;
  return { path: "query_range", params: { query: p.expr, start: from, end: to, step, stats: 1 }, from, to, step };
}

async function ask(p: Panel, signal: AbortSignal): Promise<Result> {
  const r = requestOf(p, Date.now());
  if (p.tab === "graph" && tooMany(p)) throw new ApiError(t("query.too_many"), "bad_data", 0);
  const a = await call<QueryData>(r.path, r.params, { signal, post: true });
  const { data } = a;
  const rows = data.resultType === "matrix" || data.resultType === "vector" ? data.result.length : 1;
  const result: Result = {
    expr: p.expr, tab: p.tab === "graph" ? "graph" : "table", data, from: r.from, to: r.to, step: r.step,
    warnings: a.warnings, infos: a.infos, ms: a.ms, bytes: a.bytes, series: rows, stats: data.stats,
  };
  if (p.tab === "graph" && data.resultType === "matrix") result.columns = toColumns(data.result, r.from, r.to, r.step);
  return result;
}

export function useRun(p: Panel, tick: number, nudge: number): Run {
  const [state, setState] = useState<Omit<Run, "cancel">>({ result: undefined, error: undefined, hints: [], busy: false });
  const abort = useRef<AbortController>();
  const step = p.tab === "graph" ? stepOf(p) : 0;

  useEffect(() => {
    if (!p.expr.trim() || p.tab === "explain") {
      setState((s) => ({ ...s, busy: false, error: undefined, hints: [], result: p.expr.trim() ? s.result : undefined }));
      return;
    }
    const mine = new AbortController();
    abort.current = mine;
    setState((s) => ({ ...s, busy: true }));
    const fail = (e: Error) => {
      if (mine.signal.aborted) return setState((s) => ({ ...s, busy: false }));
      const error = e instanceof ApiError ? e : new ApiError(e.message, "internal", 0);
      setState((s) => ({ ...s, error, hints: [], busy: false }));
    };
    ask(p, mine.signal).then((result) => {
      if (mine.signal.aborted) return;
      remember(p.expr);
      setState((s) => ({ result, error: undefined, hints: s.result?.expr === p.expr ? s.hints : [], busy: false }));
      void hintsFor(p.expr, result.series === 0).then((hints) => mine.signal.aborted || setState((s) => ({ ...s, hints })), () => undefined);
    }).catch(fail);
    return () => mine.abort();
  }, [p.expr, p.tab, p.end_ms, p.tab === "graph" ? p.range_ms : 0, step, p.end_ms === null ? tick : 0, nudge]);

  return { ...state, cancel: () => abort.current?.abort() };
}
