// SPDX-License-Identifier: Apache-2.0
// Durations and instants: as PromQL writes them, and as people read them.

const UNITS: [string, number][] = [
  ["y", 365 * 86400000], ["w", 7 * 86400000], ["d", 86400000], ["h", 3600000], ["m", 60000], ["s", 1000], ["ms", 1],
];

/** Reads `1h30m`, `500ms`; a bare number counts seconds. Undefined when it is neither. */
export function parseDuration(text: string): number | undefined {
  const s = text.trim();
  if (/^\d+(\.\d+)?$/.test(s)) return Number(s) * 1000;
  if (!/^(\d+(ms|y|w|d|h|m|s))+$/.test(s)) return undefined;
  let sum = 0;
  let last = Infinity;
  for (const [, n, unit] of s.matchAll(/(\d+)(ms|y|w|d|h|m|s)/g)) {
    const ms = UNITS.find(([u]) => u === unit)![1];
    if (ms >= last) return undefined;
    last = ms;
    sum += Number(n) * ms;
  }
  return sum;
}

/** Writes milliseconds as PromQL does: weeks and years only when they come out whole. */
export function formatDuration(ms: number): string {
  if (!ms) return "0s";
  let out = ms < 0 ? "-" : "";
  let rest = Math.abs(Math.round(ms));
  for (const [unit, size] of UNITS) {
    if ((unit === "y" || unit === "w") && rest % size !== 0) continue;
    const n = Math.floor(rest / size);
    if (n > 0) out += `${n}${unit}`;
    rest -= n * size;
  }
  return out;
}

/** A short measured duration for people: 340µs, 12.3ms, 4.2s, 5m 3s. */
export function humanSeconds(s: number): string {
  if (!Number.isFinite(s)) return "—";
  if (s === 0) return "0s";
  if (s < 0.001) return `${(s * 1e6).toFixed(0)}µs`;
  if (s < 1) return `${Number((s * 1000).toPrecision(3))}ms`;
  if (s < 60) return `${Number(s.toPrecision(3))}s`;
  const units: [string, number][] = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];
  const first = units.findIndex(([, n]) => s >= n);
  return units.slice(first, first + 2).map(([u, n], i) => `${Math.floor(i ? (s % units[first]![1]) / n : s / n)}${u}`)
    .filter((p, i) => i === 0 || !p.startsWith("0")).join(" ");
}

const two = (n: number) => String(n).padStart(2, "0");

/** `2026-01-02 14:00:00`, in UTC or in the zone of the browser. */
export function formatInstant(ms: number, utc: boolean): string {
  const d = new Date(ms);
  if (!Number.isFinite(ms) || Number.isNaN(d.getTime())) return "—";
  const p = utc
    ? [d.getUTCFullYear(), d.getUTCMonth() + 1, d.getUTCDate(), d.getUTCHours(), d.getUTCMinutes(), d.getUTCSeconds()]
    : [d.getFullYear(), d.getMonth() + 1, d.getDate(), d.getHours(), d.getMinutes(), d.getSeconds()];
  return `${p[0]}-${two(p[1]!)}-${two(p[2]!)} ${two(p[3]!)}:${two(p[4]!)}:${two(p[5]!)}`;
}

/**
 * Reads an instant: `now`, `now-1h`, `2026-01-02`, `2026-01-02 14:00[:05]`, `14:00` of today, RFC 3339, or an epoch
 * in seconds or milliseconds. Undefined when it is none of these.
 */
export function parseInstant(text: string, now: number, utc: boolean): number | undefined {
  const s = text.trim();
  const rel = /^now\s*(?:([-+])\s*(\S+))?$/.exec(s);
  if (rel) {
    if (!rel[1]) return now;
    const d = parseDuration(rel[2]!);
    return d === undefined ? undefined : now + (rel[1] === "-" ? -d : d);
  }
  if (/^\d{9,11}(\.\d+)?$/.test(s)) return Number(s) * 1000;
  if (/^\d{12,14}$/.test(s)) return Number(s);
  const clock = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/.exec(s);
  if (clock) return parseInstant(`${formatInstant(now, utc).slice(0, 10)} ${s.padStart(clock[3] ? 8 : 5, "0")}`, now, utc);
  const m = /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(\.\d+)?)?)?(Z|[+-]\d{2}:\d{2})?$/.exec(s);
  if (!m) return undefined;
  const iso = `${m[1]}-${m[2]}-${m[3]}T${m[4] ?? "00"}:${m[5] ?? "00"}:${m[6] ?? "00"}${m[7] ?? ""}`;
  const ms = Date.parse(iso + (m[8] ?? (utc ? "Z" : "")));
  return Number.isNaN(ms) ? undefined : ms;
}
