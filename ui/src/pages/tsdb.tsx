// SPDX-License-Identifier: Apache-2.0
// How many series there are and what makes them many.
import { useParams } from "../app/params";
import { prefs } from "../app/prefs";
import { Shown } from "../components/parts";
import { call } from "../data/client";
import { bytes } from "../data/format";
import { useLoad } from "../data/load";
import type { NameValue, TsdbStatus } from "../data/prom";
import { count, t, type Key } from "../i18n/i18n";
import { formatInstant } from "../time/time";

function Top({ title, column, rows, show = count, query }: { title: Key; column: Key; rows: NameValue[] | null; show?: (n: number) => string; query: (name: string) => string }) {
  const list = rows ?? [];
  const top = Math.max(...list.map((r) => r.value), 1);
  return (
    <section class="card">
      <header><h2>{t(title)}</h2></header>
      {list.length === 0 ? <div class="empty">{t("common.nothing")}</div> : (
        <table>
          <thead><tr><th scope="col">{t("tsdb.name")}</th><th scope="col" class="num">{t(column)}</th><th aria-hidden="true" /></tr></thead>
          <tbody>
            {list.map((r) => (
              <tr key={r.name}>
                <td class="mono breaks"><a href={`query?${new URLSearchParams({ "g0.expr": query(r.name), "g0.tab": "table" })}`}>{r.name}</a></td>
                <td class="num">{show(r.value)}</td>
                <td style={{ width: "20%", verticalAlign: "middle" }}><span class="bar"><i style={{ width: `${(100 * r.value) / top}%` }} /></span></td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function Head({ d }: { d: TsdbStatus }) {
  const h = d.headStats;
  const utc = prefs.zone.value === "utc";
  const instant = (ms: number) => (ms > 0 && ms < 8e15 ? formatInstant(ms, utc) : "—");
  const cells: [Key, string][] = [
    ["tsdb.series", count(h.numSeries)], ["tsdb.chunks", count(h.chunkCount)], ["tsdb.pairs", count(h.numLabelPairs)],
    ["tsdb.oldest", instant(h.minTime)], ["tsdb.newest", instant(h.maxTime)],
  ];
  return (
    <section class="card">
      <header><h2>{t("tsdb.head")}</h2></header>
      <dl style={{ display: "flex", flexWrap: "wrap", gap: "8px 32px", padding: "10px 12px" }}>
        {cells.map(([k, v]) => <div key={k}><dt class="meta">{t(k)}</dt><dd style={{ fontSize: "20px", whiteSpace: "nowrap" }}>{v}</dd></div>)}
      </dl>
    </section>
  );
}

const LIMITS = ["10", "25", "50", "100", "500"];

export default function TsdbPage() {
  const [params, set] = useParams();
  const limit = params.get("limit") ?? "10";
  const loaded = useLoad(async (signal) => (await call<TsdbStatus>("status/tsdb", { limit }, { signal })).data, [limit]);
  const label = (name: string) => (/^[a-zA-Z_]\w*$/.test(name) ? name : JSON.stringify(name));
  return (
    <div class="stack">
      <div class="tools">
        <span class="muted">{t("tsdb.about")}</span>
        <span class="grow" />
        <label class="field">{t("tsdb.limit")}
          <select class="select" value={limit} onChange={(e) => set({ limit: e.currentTarget.value === "10" ? "" : e.currentTarget.value })}>{LIMITS.map((l) => <option key={l} value={l}>{l}</option>)}</select>
        </label>
      </div>
      <Shown of={loaded}>
        {(d) => (
          <>
            <Head d={d} />
            <div class="grid2">
              <Top title="tsdb.by_metric" column="tsdb.series" rows={d.seriesCountByMetricName} query={(n) => (/^[a-zA-Z_:][\w:]*$/.test(n) ? n : `{${JSON.stringify(n)}}`)} />
              <Top title="tsdb.by_pair" column="tsdb.series" rows={d.seriesCountByLabelValuePair}
                query={(n) => `count by (__name__) ({${label(n.slice(0, n.indexOf("=")))}=${JSON.stringify(n.slice(n.indexOf("=") + 1))}})`} />
              <Top title="tsdb.by_label" column="tsdb.values" rows={d.labelValueCountByLabelName} query={(n) => `count by (${label(n)}) ({${label(n)}!=""})`} />
              <Top title="tsdb.memory" column="tsdb.bytes" rows={d.memoryInBytesByLabelName} show={bytes} query={(n) => `count by (${label(n)}) ({${label(n)}!=""})`} />
            </div>
          </>
        )}
      </Shown>
    </div>
  );
}
