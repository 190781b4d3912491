// SPDX-License-Identifier: Apache-2.0
// Small advice on a query, from what the server knows of its metrics. Cheap: no tree, only names and types.
import { call } from "../../data/client";
import type { Metadata } from "../../data/prom";

let names: Promise<string[]> | undefined;
let types: Promise<Record<string, Metadata[]>> | undefined;
let fetched = 0;

function fresh(): void {
  if (performance.now() - fetched < 60_000) return;
  fetched = performance.now();
  names = undefined;
  types = undefined;
}

/** All metric names; asked for once a minute at most. */
export function metricNames(): Promise<string[]> {
  fresh();
  names ??= call<string[]>("label/__name__/values").then((a) => a.data, () => ((names = undefined), []));
  return names;
}

export function metadata(): Promise<Record<string, Metadata[]>> {
  fresh();
  types ??= call<Record<string, Metadata[]>>("metadata", { limit_per_metric: 1 }).then((a) => a.data, () => ((types = undefined), {}));
  return types;
}

const WORDS = new Set(["by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool", "and", "or", "unless", "inf", "nan", "start", "end", "atan2"]);

/** Names in a query that look like metrics: not functions, labels, strings or durations. */
export function metricsIn(expr: string): string[] {
  const text = expr
    .replace(/#.*$/gm, " ")
    .replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`/g, '""')
    .replace(/\{[^}]*\}/g, "{}")
    .replace(/\[[^\]]*\]/g, "[]")
    .replace(/\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)/gi, " ");
  const out = new Set<string>();
  for (const m of text.matchAll(/(?<![\w:.])([a-zA-Z_:][\w:]*)(\s*\()?/g)) {
    if (!m[2] && !WORDS.has(m[1]!.toLowerCase())) out.add(m[1]!);
  }
  for (const m of expr.matchAll(/__name__\s*=\s*"([^"]+)"/g)) out.add(m[1]!);
  // In `sum (x) by (job)` and `offset 5m` the rest was taken away above; aggregations before `by (…)` are functions.
  const aggregations = /^(sum|avg|min|max|count|stddev|stdvar|topk|bottomk|quantile|count_values|group|limitk|limit_ratio)$/;
  return [...out].filter((n) => !aggregations.test(n));
}

/** Edit distance, cut off at `max`. */
export function distance(a: string, b: string, max: number): number {
  if (Math.abs(a.length - b.length) > max) return max + 1;
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    row = next;
  }
  return row[b.length]!;
}

/** Known names that a mistyped one may have meant, nearest first. */
export function nearest(name: string, known: string[]): string[] {
  const max = Math.max(2, Math.floor(name.length / 4));
  const low = name.toLowerCase();
  return known
    .map((k) => ({ k, d: k.toLowerCase().includes(low) && low.length > 3 ? 1 : distance(low, k.toLowerCase(), max) }))
    .filter((x) => x.d <= max)
    .sort((a, b) => a.d - b.d || a.k.length - b.k.length)
    .slice(0, 3)
    .map((x) => x.k);
}

export type Hint =
  | { kind: "unknown"; name: string; near: string[] }
  | { kind: "counter"; name: string; fix: string };

/** What to say of a query that ran: metrics that do not exist, and a bare counter that wants a rate. */
export async function hintsFor(expr: string, empty: boolean): Promise<Hint[]> {
  const used = metricsIn(expr);
  if (empty) {
    const known = await metricNames();
    const set = new Set(known);
    if (!known.length) return [];
    return used.filter((n) => !set.has(n)).map((name) => ({ kind: "unknown", name, near: nearest(name, known) }));
  }
  const bare = /^\s*[a-zA-Z_:][\w:]*\s*(\{[^}]*\})?\s*$/.test(expr);
  const name = used[0];
  if (!bare || !name) return [];
  const known = await metadata();
  const type = known[name]?.[0]?.type ?? (/_(total|sum|count|bucket)$/.test(name) ? known[name.replace(/_(total|sum|count|bucket)$/, "")]?.[0]?.type : undefined);
  if (type !== "counter" && !(type === "histogram" && /_(sum|count|bucket)$/.test(name))) return [];
  return [{ kind: "counter", name, fix: `rate(${expr.trim()}[5m])` }];
}
