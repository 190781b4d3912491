// SPDX-License-Identifier: Apache-2.0
// A range answer as columns on one time axis: what the chart draws.
import { seriesText, type MatrixRow } from "../../data/prom";

export interface Columns {
  times: number[]; // seconds
  names: string[];
  values: (number | null)[][];
  rows: MatrixRow[];
  histograms: number; // series that hold histograms only, which the chart does not draw
}

/** Puts every series on the grid start, start+step … end. Missing steps, NaN and infinities become gaps. */
export function toColumns(rows: MatrixRow[], start: number, end: number, step: number): Columns {
  const n = Math.floor((end - start) / step + 1e-6) + 1;
  const times = Array.from({ length: n }, (_, i) => start + i * step);
  const out: Columns = { times, names: [], values: [], rows: [], histograms: 0 };
  for (const row of rows) {
    if (!row.values?.length) {
      out.histograms++;
      continue;
    }
    const column = new Array<number | null>(n).fill(null);
    for (const [at, text] of row.values) {
      const i = Math.round((at - start) / step);
      const v = Number(text);
      if (i >= 0 && i < n && Number.isFinite(v)) column[i] = v;
    }
    out.names.push(seriesText(row.metric));
    out.values.push(column);
    out.rows.push(row);
  }
  return out;
}

/** One line per time, one column per series. */
export function toCsv(c: Columns): string {
  const quote = (s: string) => `"${s.replaceAll('"', '""')}"`;
  const lines = [["time", ...c.names.map(quote)].join(",")];
  c.times.forEach((at, i) => lines.push([new Date(at * 1000).toISOString(), ...c.values.map((v) => v[i] ?? "")].join(",")));
  return lines.join("\n");
}
