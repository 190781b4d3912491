// SPDX-License-Identifier: Apache-2.0
// The answer of an instant query.
import { useRef } from "preact/hooks";
import { prefs } from "../../app/prefs";
import { SeriesName } from "../../components/series";
import { useVirtual } from "../../components/virtual";
import { short } from "../../data/format";
import { seriesText, type Histogram, type MatrixRow, type QueryData, type VectorRow } from "../../data/prom";
import { t } from "../../i18n/i18n";
import { formatInstant } from "../../time/time";
import s from "./query.module.css";

/** Count, sum and buckets of a native histogram; buckets drawn by their count. */
function HistogramView({ h }: { h: Histogram }) {
  const buckets = h.buckets ?? [];
  const top = Math.max(...buckets.map((b) => Number(b[3])), 1e-300);
  return (
    <div>
      <div>{t("query.histogram", { count: h.count, sum: h.sum })}</div>
      {buckets.length > 0 && (
        <div class={s["hist"]} role="img" aria-label={t("query.histogram", { count: h.count, sum: h.sum })}>
          {buckets.map((b, i) => <i key={i} style={{ height: `${(100 * Number(b[3])) / top}%` }} title={`(${short(Number(b[1]))}, ${short(Number(b[2]))}] ${b[3]}`} />)}
        </div>
      )}
    </div>
  );
}

function Values({ row }: { row: MatrixRow }) {
  const utc = prefs.zone.value === "utc";
  const lines = (row.values ?? []).map(([at, v]) => `${v} @${at}`);
  const title = row.values?.length ? `${formatInstant(row.values[0]![0] * 1000, utc)} – ${formatInstant(row.values[row.values.length - 1]![0] * 1000, utc)}` : "";
  return (
    <td class={s["vals"]} title={title}>
      {lines.join("\n")}
      {row.histograms?.map(([at, h]) => <div key={at}>@{at}<HistogramView h={h} /></div>)}
    </td>
  );
}

function Cells({ row, pick }: { row: VectorRow & MatrixRow; pick: (expr: string) => void }) {
  return (
    <>
      <td onDblClick={() => pick(seriesText(row.metric))}><SeriesName labels={row.metric} /></td>
      {row.value ? <td class={s["val"]}>{row.value[1]}</td> : row.histogram ? <td class={s["vals"]}><HistogramView h={row.histogram[1]} /></td> : <Values row={row} />}
    </>
  );
}

export function ResultTable({ data, pick }: { data: QueryData; pick: (expr: string) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const rows: (VectorRow & MatrixRow)[] = data.resultType === "vector" || data.resultType === "matrix" ? data.result : [];
  const view = useVirtual(rows.length, 24, box, false, data);
  if (data.resultType === "scalar" || data.resultType === "string") {
    return (
      <div class={`scroll-x ${s["results"]}`}>
        <table><tbody><tr><td class="muted">{data.resultType}</td><td class={s["val"]}>{data.result[1]}</td></tr></tbody></table>
      </div>
    );
  }
  return (
    <div class={`scroll-x ${s["results"]}`} ref={box}>
      <table aria-rowcount={rows.length + 1}>
        <thead class="sr"><tr><th scope="col">{t("query.col_series")}</th><th scope="col">{t("query.col_value")}</th></tr></thead>
        <tbody>
          {view.before > 0 && <tr aria-hidden="true" style={{ height: `${view.before}px` }} />}
          {rows.slice(view.start, view.end).map((row, k) => (
            <tr key={view.start + k} ref={view.measure(view.start + k)} aria-rowindex={view.start + k + 2}><Cells row={row} pick={pick} /></tr>
          ))}
          {view.after > 0 && <tr aria-hidden="true" style={{ height: `${view.after}px` }} />}
        </tbody>
      </table>
    </div>
  );
}
