// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from "vitest";
import { decodePanels, encodePanels, newPanel, stepOf, tooMany } from "../src/pages/query/state";

const bare = (search: string) => decodePanels(search).map(({ id: _, ...rest }) => rest);

describe("panels in the address", () => {
  test("what Prometheus 3 writes is read in full", () => {
    const [p] = decodePanels(
      "?g0.expr=rate%28up%5B5m%5D%29&g0.show_tree=1&g0.tab=graph&g0.end_input=2024-02-03%2004%3A05%3A06&g0.moment_input=2024-02-03%2004%3A05%3A06" +
        "&g0.range_input=2h30m&g0.res_type=fixed&g0.res_step=60&g0.display_mode=stacked&g0.y_axis_min=0&g0.show_exemplars=1",
    );
    expect(p).toMatchObject({ expr: "rate(up[5m])", tree: true, tab: "graph", range_ms: 9_000_000, display: "stacked", min: 0, exemplars: true });
    expect(p!.end_ms).toBe(Date.UTC(2024, 1, 3, 4, 5, 6));
    expect(p!.resolution).toEqual({ type: "fixed", step_ms: 60_000 });
  });

  test("links of Prometheus 2 and of alerts are read", () => {
    expect(decodePanels("?g0.expr=up&g0.tab=0")[0]).toMatchObject({ expr: "up", tab: "graph" });
    expect(decodePanels("?g0.expr=up&g0.tab=1&g0.stacked=1&g0.step_input=15")[0]).toMatchObject({ tab: "table", display: "stacked", resolution: { type: "custom", step_ms: 15_000 } });
  });

  test("panels end at the first number that is missing", () => {
    expect(decodePanels("?g0.expr=a&g1.expr=b&g3.expr=d").map((p) => p.expr)).toEqual(["a", "b"]);
    expect(decodePanels("?x=1")).toEqual([]);
  });

  test("unreadable settings leave the defaults", () => {
    const { id: _, ...plain } = newPanel({ expr: "up" });
    expect(bare("?g0.expr=up&g0.tab=7&g0.range_input=x&g0.end_input=soon&g0.res_type=auto&g0.res_density=huge&g0.y_axis_min=a")[0]).toEqual(plain);
  });

  test("writing and reading gives the same panels", () => {
    const panels = [
      newPanel({ expr: 'sum by (a) (x{b="c&d=é"})', tab: "graph", range_ms: 90_000, end_ms: 1_700_000_000_000, resolution: { type: "custom", step_ms: 1500 }, display: "stacked", min: -1.5 }),
      newPanel({ expr: "", tab: "explain", tree: true }),
    ];
    const search = `?${encodePanels(panels)}`;
    expect(bare(search)).toEqual(panels.map(({ id: _, ...rest }) => rest));
  });
});

test("automatic steps are whole seconds, one at least", () => {
  const auto = (range_ms: number, density: "low" | "medium" | "high") => stepOf({ range_ms, resolution: { type: "auto", density } });
  expect(auto(3600_000, "medium")).toBe(14_000);
  expect(auto(3600_000, "low")).toBe(36_000);
  expect(auto(3600_000, "high")).toBe(4000);
  expect(auto(1000, "high")).toBe(1000);
  expect(tooMany({ range_ms: 86_400_000, resolution: { type: "fixed", step_ms: 1000 } })).toBe(true);
  expect(tooMany({ range_ms: 3600_000, resolution: { type: "fixed", step_ms: 1000 } })).toBe(false);
});
