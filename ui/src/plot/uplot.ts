// SPDX-License-Identifier: Apache-2.0
// The Plot interface over uPlot.
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { short } from "../data/format";
import type { MakePlot, Plot, PlotData, PlotEvents, PlotOptions } from "./plot";

const AXIS_FONT = '11px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
const css = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const CLOCK = [
  [31536000, "{YYYY}", null, null, null, null, null, null, 1],
  [2419200, "{MMM}", "\n{YYYY}", null, null, null, null, null, 1],
  [86400, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
  [60, "{HH}:{mm}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", "\n{YYYY}-{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1],
  [0.001, ":{ss}.{fff}", "\n{YYYY}-{MM}-{DD} {HH}:{mm}", null, "\n{HH}:{mm}", null, null, null, 1],
];

/** Points without a neighbour: a line would not show them. */
export function lonely(values: ArrayLike<number | null | undefined>): number[] {
  const out: number[] = [];
  for (let i = 0; i < values.length; i++) {
    if (values[i] != null && values[i - 1] == null && values[i + 1] == null) out.push(i);
  }
  return out;
}

/** Sums the shown series from the first up; a gap adds nothing, and where all have a gap so has the stack. */
export function stack(data: PlotData, shown: boolean[]): (number | null)[][] {
  const n = data.times.length;
  const on = data.series.filter((_, k) => shown[k]);
  const some = Array.from({ length: n }, (_, i) => on.some((s) => s.values[i] != null));
  const sum = new Array<number>(n).fill(0);
  return data.series.map((s, k) => (shown[k] ? s.values.map((v, i) => (some[i] ? (sum[i]! += v ?? 0) : null)) : s.values));
}

function bandsOf(shown: boolean[]): uPlot.Band[] {
  const on = shown.flatMap((s, i) => (s ? [i + 1] : []));
  return on.slice(1).map((upper, k) => ({ series: [upper, on[k]!] as [number, number] }));
}

function seriesOf(data: PlotData, o: PlotOptions): uPlot.Series[] {
  const firstShown = o.shown.indexOf(true);
  const many = data.series.length > 40;
  return data.series.map((s, i): uPlot.Series => {
    const out: uPlot.Series = {
      label: s.label,
      show: o.shown[i] ?? true,
      stroke: s.color,
      width: many ? 1 : 1.5,
      points: {
        size: 4,
        fill: s.color,
        show: true,
        filter: (u, k) => lonely(u.data[k]!),
      },
    };
    if (s.dashed) out.dash = [5, 3];
    // In a stack the bands fill the others; alone, a series is filled down to the axis.
    if (o.stacked || (data.series.length === 1 && i === firstShown)) out.fill = s.color + (o.stacked ? "59" : "1f");
    return out;
  });
}

function axes(): uPlot.Axis[] {
  const text = css("--text-2");
  const line = { stroke: css("--line"), width: 1 };
  const look = { stroke: text, font: AXIS_FONT, grid: line, ticks: { ...line, size: 4 } };
  return [
    { ...look, space: 70, values: CLOCK as unknown as uPlot.Axis.Values },
    {
      ...look,
      gap: 4,
      values: (_u, ticks) => ticks.map((v) => (v == null ? "" : short(v))),
      size: (_u, values) => 14 + 6.6 * Math.max(2, ...(values ?? []).map((v) => v.length)),
    },
  ];
}

class UplotPlot implements Plot {
  private u: uPlot | undefined;
  private shape = "";
  private host: HTMLElement;
  private on: PlotEvents;
  private near = -1;

  constructor(host: HTMLElement, events: PlotEvents) {
    this.host = host;
    this.on = events;
  }

  draw(data: PlotData, o: PlotOptions): void {
    const table = [data.times, ...(o.stacked ? stack(data, o.shown) : data.series.map((s) => s.values))] as uPlot.AlignedData;
    const shape = JSON.stringify([data.series.map((s) => [s.label, s.color]), { ...o, from: 0, to: 0, width: 0, height: 0 }, css("--text-2")]);
    if (this.u && shape === this.shape) {
      this.u.batch(() => {
        this.u!.setData(table, true);
        this.u!.setScale("x", { min: o.from, max: o.to });
      });
      return;
    }
    this.shape = shape;
    this.u?.destroy();
    this.u = new uPlot(this.config(data, o), table, this.host);
    this.wheel(this.u);
  }

  private config(data: PlotData, o: PlotOptions): uPlot.Options {
    return {
      width: o.width,
      height: o.height,
      legend: { show: false },
      tzDate: (ts) => (o.utc ? uPlot.tzDate(new Date(ts * 1000), "Etc/UTC") : new Date(ts * 1000)),
      scales: {
        x: { time: true, range: (_u, min, max) => (min == null ? [o.from, o.to] : [min, max]), min: o.from, max: o.to },
        y: { range: (_u, min, max) => this.valueRange(min, max, o) },
      },
      axes: axes(),
      series: [{}, ...seriesOf(data, o)],
      ...(o.stacked ? { bands: bandsOf(o.shown) } : {}),
      focus: { alpha: 0.25 },
      cursor: {
        focus: { prox: 24 },
        drag: { x: true, y: false, setScale: false },
        points: { size: 6 },
        bind: {
          mousedown: (u, _t, handler) => (e: MouseEvent) => (e.shiftKey ? this.pan(u, e) : handler(e)),
          dblclick: () => () => (this.on.back(), null),
        } as NonNullable<uPlot.Cursor["bind"]>,
      },
      hooks: {
        init: [(u) => {
          u.setScale("x", { min: o.from, max: o.to });
          u.over.addEventListener("click", (e) => e.shiftKey || u.select.width > 0 || this.on.pin());
        }],
        setSelect: [(u) => this.selected(u)],
        setSeries: [(_u, i) => { this.near = i == null ? -1 : i - 1; }],
        setCursor: [(u) => {
          const { left, top, idx } = u.cursor;
          if (idx == null || left == null || left < 0) this.on.cursor(null);
          else this.on.cursor({ index: idx, x: left + u.over.offsetLeft, y: (top ?? 0) + u.over.offsetTop, near: this.near });
        }],
      },
    };
  }

  private valueRange(min: number | null, max: number | null, o: PlotOptions): [number, number] {
    if (min == null || max == null) return [0, 1];
    const low = o.min ?? (o.stacked ? Math.min(0, min) : min);
    const [a, b] = uPlot.rangeNum(low, Math.max(max, low), 0.1, true) as [number, number];
    return [o.min ?? (o.stacked && min >= 0 ? 0 : a), b];
  }

  private selected(u: uPlot): void {
    const { left, width } = u.select;
    if (width < 4) return;
    this.on.range(u.posToVal(left, "x"), u.posToVal(left + width, "x"));
    setTimeout(() => u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false));
  }

  /** Shift-drag moves the time axis; the new range is asked for on release. */
  private pan(u: uPlot, down: MouseEvent): null {
    const { min = 0, max = 1 } = u.scales["x"]!;
    const perPx = (max! - min!) / u.over.clientWidth;
    let shift = 0;
    const move = (e: MouseEvent) => {
      shift = (down.clientX - e.clientX) * perPx;
      u.setScale("x", { min: min! + shift, max: max! + shift });
    };
    const up = () => {
      removeEventListener("mousemove", move);
      removeEventListener("mouseup", up);
      if (shift) this.on.range(min! + shift, max! + shift);
    };
    addEventListener("mousemove", move);
    addEventListener("mouseup", up);
    down.preventDefault();
    return null;
  }

  /** Ctrl-wheel zooms around the pointer. */
  private wheel(u: uPlot): void {
    let timer = 0;
    u.over.addEventListener("wheel", (e) => {
      if (!e.ctrlKey && !e.metaKey) return;
      e.preventDefault();
      const { min = 0, max = 1 } = u.scales["x"]!;
      const at = u.posToVal(u.cursor.left ?? 0, "x");
      const k = e.deltaY < 0 ? 0.75 : 1 / 0.75;
      const next = { min: at - (at - min!) * k, max: at + (max! - at) * k };
      u.setScale("x", next);
      clearTimeout(timer);
      timer = window.setTimeout(() => this.on.range(next.min, next.max), 250);
    }, { passive: false });
  }

  size(width: number, height: number): void {
    this.u?.setSize({ width, height });
  }

  focus(series: number): void {
    if (!this.u) return;
    if (series < 0) this.u.setSeries(null as unknown as number, { focus: false });
    else this.u.setSeries(series + 1, { focus: true });
  }

  destroy(): void {
    this.u?.destroy();
    this.u = undefined;
  }
}

export const makePlot: MakePlot = (host, events) => new UplotPlot(host, events);
