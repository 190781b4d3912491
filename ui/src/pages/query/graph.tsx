// SPDX-License-Identifier: Apache-2.0
// The chart of a range query with its tooltip and legend.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { dark, prefs } from "../../app/prefs";
import { SeriesName } from "../../components/series";
import { useVirtual } from "../../components/virtual";
import { short } from "../../data/format";
import { distinctLabels, seriesText } from "../../data/prom";
import { t, tn } from "../../i18n/i18n";
import { colorOf, slots, SLOTS } from "../../plot/palette";
import type { Plot, PlotCursor, PlotData } from "../../plot/plot";
import { formatInstant } from "../../time/time";
import type { Columns } from "./columns";
import s from "./query.module.css";
import type { Result } from "./run";
import type { Panel } from "./state";

const TIP_ROWS = 14;
const EMPTY: Columns = { times: [], names: [], values: [], rows: [], histograms: 0 };

/** One sentence on what the chart shows, for those who do not see it. */
function summary(c: Columns, utc: boolean): string {
  let top = -Infinity;
  let where = 0;
  let who = "";
  c.values.forEach((v, k) => v.forEach((x, i) => {
    if (x !== null && x > top) {
      top = x;
      where = c.times[i]!;
      who = c.names[k]!;
    }
  }));
  if (!who) return t("graph.nothing");
  return t("graph.summary", { series: tn("query.series", c.names.length), max: short(top), at: formatInstant(where * 1000, utc), name: who });
}

/** Value at an index; when it is a gap, the last one before it. */
function lastOf(values: (number | null)[], index: number): number | null {
  for (let i = Math.min(index, values.length - 1); i >= 0; i--) if (values[i] != null) return values[i]!;
  return null;
}

function Tip({ c, brief, cursor, colors, shown, pinned, utc, width }: { c: Columns; brief: string[]; cursor: PlotCursor; colors: string[]; shown: boolean[]; pinned: boolean; utc: boolean; width: number }) {
  const rows = c.values
    .map((v, k) => ({ k, v: v[cursor.index] ?? null }))
    .filter((r): r is { k: number; v: number } => r.v !== null && (shown[r.k] ?? true))
    .sort((a, b) => b.v - a.v);
  if (!rows.length) return null;
  const near = rows.findIndex((r) => r.k === cursor.near);
  const from = near < TIP_ROWS ? 0 : Math.min(near - TIP_ROWS + 2, rows.length - TIP_ROWS);
  const some = rows.slice(from, from + TIP_ROWS);
  const side = cursor.x > width / 2 ? { right: `${width - cursor.x + 24}px` } : { left: `${cursor.x + 24}px` };
  return (
    <div class={`pop ${s["tip"]} ${pinned ? s["pinned"] : ""}`} style={{ ...side, top: "8px" }}>
      <div class="meta">{formatInstant(c.times[cursor.index]! * 1000, utc)}</div>
      <table>
        <tbody>
          {some.map(({ k, v }) => (
            <tr key={k} class={k === cursor.near ? s["near"] : ""}>
              <td><span class={s["swatch"]} style={{ background: colors[k] }} /></td>
              <td class="mono">{k === cursor.near || pinned ? c.names[k] : brief[k]}</td>
              <td>{short(v)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > some.length && <div class="meta">{tn("graph.more", rows.length - some.length)}</div>}
    </div>
  );
}

function Legend({ c, colors, dashed, shown, set, focus }: { c: Columns; colors: string[]; dashed: boolean[]; shown: boolean[]; set: (s: boolean[]) => void; focus: (k: number) => void }) {
  const box = useRef<HTMLDivElement>(null);
  const n = c.names.length;
  const view = useVirtual(n, 22, box, true, c);
  const click = (k: number, e: MouseEvent) => {
    if (e.ctrlKey || e.metaKey) set(shown.map((x, i) => (i === k ? !x : x)));
    else if (shown[k] && shown.filter(Boolean).length === 1) set(shown.map(() => true));
    else set(shown.map((_, i) => i === k));
  };
  return (
    <div class={s["legend"]} ref={box} role="group" aria-label={t("graph.legend")} onPointerLeave={() => focus(-1)}>
      <div style={{ height: `${view.before}px` }} />
      {Array.from({ length: view.end - view.start }, (_, j) => view.start + j).map((k) => (
        <button key={k} ref={view.measure(k)} class={`${s["key"]} ${shown[k] ? "" : s["off"]}`} aria-pressed={shown[k]} title={t("graph.legend_hint")}
          onClick={(e) => click(k, e)} onPointerEnter={() => shown[k] && focus(k)}>
          <span class={s["swatch"]} style={{ background: dashed[k] ? `repeating-linear-gradient(90deg, ${colors[k]} 0 4px, transparent 4px 6px)` : colors[k] }} />
          <SeriesName labels={c.rows[k]!.metric} />
          <span class={s["last"]}>{short(lastOf(c.values[k]!, c.times.length - 1) ?? NaN)}</span>
        </button>
      ))}
      <div style={{ height: `${view.after}px` }} />
    </div>
  );
}

export function Graph({ panel, result, change }: { panel: Panel; result: Result; change: (over: Partial<Panel>) => void }) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<Plot>();
  const [cursor, setCursor] = useState<PlotCursor | null>(null);
  const [pinned, setPinned] = useState(false);
  const [width, setWidth] = useState(0);
  const [ready, setReady] = useState(false);
  const zooms = useRef<Pick<Panel, "range_ms" | "end_ms">[]>([]);
  const c = result.columns ?? EMPTY;
  const names = c.names.join("\n");
  const [hidden, setHidden] = useState<Set<string>>(new Set());
  const shown = c.names.map((n) => !hidden.has(n));
  const slot = useMemo(() => slots(c.names), [names]);
  const colors = useMemo(() => slot.map(colorOf), [slot, dark.value]);
  const utc = prefs.zone.value === "utc";
  const height = innerWidth < 720 ? 260 : 340;

  const latest = useRef({ panel, change });
  latest.current = { panel, change };

  useEffect(() => {
    let gone = false;
    void import("../../plot/uplot").then(({ makePlot }) => {
      if (gone || !host.current) return;
      plot.current = makePlot(host.current, {
        range(from, to) {
          const p = latest.current.panel;
          zooms.current.push({ range_ms: p.range_ms, end_ms: p.end_ms });
          latest.current.change({ range_ms: Math.max(1000, Math.round(to - from) * 1000), end_ms: Math.round(to) * 1000 });
        },
        back() {
          const last = zooms.current.pop();
          latest.current.change(last ?? { range_ms: latest.current.panel.range_ms * 2 });
        },
        cursor: (at) => setPinnedCursor(at),
        pin: () => setPinned((x) => !x),
      });
      setReady(true);
    });
    const watch = new ResizeObserver(([e]) => e && setWidth(Math.floor(e.contentRect.width)));
    watch.observe(host.current!);
    return () => {
      gone = true;
      watch.disconnect();
      plot.current?.destroy();
      plot.current = undefined;
    };
  }, []);

  const pin = useRef(false);
  pin.current = pinned;
  const setPinnedCursor = (at: PlotCursor | null) => pin.current || setCursor(at);

  useEffect(() => {
    if (!ready || !width) return;
    const data: PlotData = {
      times: c.times,
      series: c.names.map((label, k) => ({ label, values: c.values[k]!, color: colors[k]!, dashed: slot[k]! >= SLOTS })),
    };
    plot.current?.draw(data, { from: result.from, to: result.to, utc, stacked: panel.display === "stacked", min: panel.min, shown, width, height });
  }, [ready, c, colors, hidden, panel.display, panel.min, utc, width > 0, result]);
  useEffect(() => {
    if (width) plot.current?.size(width, height);
  }, [width, height]);

  const brief = useMemo(() => distinctLabels(c.rows.map((r) => r.metric)).map(seriesText), [c]);
  const about = useMemo(() => summary(c, utc), [c, utc]);
  const walk = (e: KeyboardEvent) => {
    const step = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
    if (!step || !c.times.length) return;
    e.preventDefault();
    const index = Math.max(0, Math.min(c.times.length - 1, (cursor?.index ?? (step > 0 ? -1 : c.times.length)) + step));
    setCursor({ index, x: (width * index) / c.times.length, y: 0, near: -1 });
  };
  const set = (next: boolean[]) => setHidden(new Set(c.names.filter((_, k) => !next[k])));
  return (
    <div>
      <div class={s["chart"]} onPointerLeave={() => pinned || setCursor(null)}>
        <div class={s["canvas"]} ref={host} style={{ height: `${height}px` }} role="img" tabIndex={0} aria-label={about} onKeyDown={walk} onBlur={() => setCursor(null)} />
        {cursor && c.times[cursor.index] !== undefined && <Tip c={c} brief={brief} cursor={cursor} colors={colors} shown={shown} pinned={pinned} utc={utc} width={width} />}
      </div>
      {c.histograms > 0 && <div class="note">{tn("graph.histograms", c.histograms)}</div>}
      <Legend c={c} colors={colors} dashed={slot.map((x) => x >= SLOTS)} shown={shown} set={set} focus={(k) => plot.current?.focus(k)} />
    </div>
  );
}
