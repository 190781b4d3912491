// SPDX-License-Identifier: Apache-2.0
// The panels of the page and their place in the address: the same parameters as Prometheus 2 and 3 write,
// so that old links, generatorURLs of alerts and bookmarks open here.
import { formatDuration, parseDuration, parseInstant, formatInstant } from "../../time/time";

export type Tab = "table" | "graph" | "explain";
export type Density = "low" | "medium" | "high";
export type Resolution = { type: "auto"; density: Density } | { type: "fixed" | "custom"; step_ms: number };
export type Display = "lines" | "stacked" | "heatmap";

export interface Panel {
  id: number;
  expr: string;
  tab: Tab;
  end_ms: number | null; // null: now
  range_ms: number;
  resolution: Resolution;
  display: Display;
  min: number | null;
  exemplars: boolean;
  tree: boolean;
}

let nextId = 1;

export function newPanel(over: Partial<Panel> = {}): Panel {
  return {
    expr: "", tab: "table", end_ms: null, range_ms: 3600_000, resolution: { type: "auto", density: "medium" },
    display: "lines", min: null, exemplars: false, tree: false, ...over, id: nextId++,
  };
}

const POINTS: Record<Density, number> = { low: 100, medium: 250, high: 750 };
const POINTS_MAX = 11_000; // the server refuses more per series

export function stepOf(p: Pick<Panel, "resolution" | "range_ms">): number {
  const { resolution: r, range_ms } = p;
  if (r.type !== "auto") return r.step_ms;
  return Math.max(Math.floor(range_ms / POINTS[r.density] / 1000) * 1000, 1000);
}

export function tooMany(p: Pick<Panel, "resolution" | "range_ms">): boolean {
  return p.range_ms / stepOf(p) > POINTS_MAX;
}

const TABS: Record<string, Tab> = { 0: "graph", graph: "graph", 1: "table", table: "table", explain: "explain" };

function readResolution(get: (k: string) => string | null): Resolution | undefined {
  const step = Number(get("res_step")) * 1000;
  const density = get("res_density");
  switch (get("res_type")) {
    case "auto":
      return density === "low" || density === "medium" || density === "high" ? { type: "auto", density } : undefined;
    case "fixed":
      return step > 0 ? { type: "fixed", step_ms: step } : undefined;
    case "custom":
      return step > 0 ? { type: "custom", step_ms: step } : undefined;
    default: {
      const old = Number(get("step_input"));
      return old > 0 ? { type: "custom", step_ms: old * 1000 } : undefined;
    }
  }
}

/** Panels of an address: g0.expr, g1.expr … up to the first that is missing. */
export function decodePanels(search: string): Panel[] {
  const params = new URLSearchParams(search);
  const out: Panel[] = [];
  for (let i = 0; params.has(`g${i}.expr`); i++) {
    const get = (k: string) => params.get(`g${i}.${k}`);
    const over: Partial<Panel> = { expr: get("expr") ?? "" };
    const tab = TABS[get("tab") ?? ""];
    if (tab) over.tab = tab;
    const range = parseDuration(get("range_input") ?? "");
    if (range) over.range_ms = range;
    const end = parseInstant(get("end_input") ?? get("moment_input") ?? "", 0, true);
    if (end !== undefined) over.end_ms = end;
    const resolution = readResolution(get);
    if (resolution) over.resolution = resolution;
    const display = get("display_mode");
    if (display === "lines" || display === "stacked" || display === "heatmap") over.display = display;
    else if (get("stacked") === "1") over.display = "stacked";
    const min = get("y_axis_min");
    if (min !== null && min !== "" && Number.isFinite(Number(min))) over.min = Number(min);
    over.exemplars = get("show_exemplars") === "1";
    over.tree = get("show_tree") === "1";
    out.push(newPanel(over));
  }
  return out;
}

export function encodePanels(panels: Panel[]): string {
  const out = new URLSearchParams();
  panels.forEach((p, i) => {
    const add = (k: string, v: string) => out.append(`g${i}.${k}`, v);
    add("expr", p.expr);
    add("show_tree", p.tree ? "1" : "0");
    add("tab", p.tab);
    if (p.end_ms !== null) {
      add("end_input", formatInstant(p.end_ms, true));
      add("moment_input", formatInstant(p.end_ms, true));
    }
    add("range_input", formatDuration(p.range_ms));
    add("res_type", p.resolution.type);
    if (p.resolution.type === "auto") add("res_density", p.resolution.density);
    else add("res_step", String(p.resolution.step_ms / 1000));
    add("display_mode", p.display);
    if (p.min !== null) add("y_axis_min", String(p.min));
    add("show_exemplars", p.exemplars ? "1" : "0");
  });
  return out.toString();
}
