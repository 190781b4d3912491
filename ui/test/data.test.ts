// SPDX-License-Identifier: Apache-2.0
import { describe, expect, test } from "vitest";
import { offsetOf, positionOf } from "../src/data/client";
import { bytes, short } from "../src/data/format";
import { distinctLabels, seriesText } from "../src/data/prom";
import { toColumns, toCsv } from "../src/pages/query/columns";
import { distance, metricsIn, nearest } from "../src/pages/query/hints";
import { slots, SLOTS } from "../src/plot/palette";

describe("places in a query", () => {
  test.each([
    ['invalid parameter "query": 1:16: parse error: unclosed left parenthesis', { line: 1, col: 16 }],
    ['PromQL info: metric might not be a counter, name does not end in _total: "up" (2:7)', { line: 2, col: 7 }],
    ["1:5: parse error: x", { line: 1, col: 5 }],
  ])("%s", (text, at) => expect(positionOf(text)).toEqual(at));
  test("other texts have none", () => expect(positionOf("query timed out at 10:15")).toBeUndefined());
  test("columns are bytes", () => {
    expect(offsetOf("ab\ncd", { line: 2, col: 2 })).toBe(4);
    expect(offsetOf('{a="é"} x', { line: 1, col: 10 })).toBe(8);
    expect(offsetOf("ab", { line: 1, col: 99 })).toBe(2);
    expect(offsetOf("ab", { line: 5, col: 1 })).toBe(2);
  });
});

test("series are written so that PromQL reads them", () => {
  expect(seriesText({ __name__: "up", job: "a", b: 'x"y' })).toBe('up{b="x\\"y", job="a"}');
  expect(seriesText({ __name__: "up" })).toBe("up");
  expect(seriesText({})).toBe("{}");
  expect(seriesText({ __name__: "my.metric", "k.8s": "v" })).toBe('{"my.metric", "k.8s"="v"}');
});

test("what series share is left out", () => {
  expect(distinctLabels([{ a: "1", b: "x" }, { a: "1", b: "y" }, { a: "1" }])).toEqual([{ b: "x" }, { b: "y" }, {}]);
  expect(distinctLabels([{ a: "1" }])).toEqual([{ a: "1" }]);
});

test("columns: gaps, NaN and infinities are gaps; histograms are counted", () => {
  const c = toColumns(
    [
      { metric: { a: "1" }, values: [[10, "1"], [30, "NaN"], [40, "4"]] },
      { metric: { a: "2" }, values: [[20, "+Inf"], [40.0004, "2"]] },
      { metric: { a: "3" }, histograms: [[10, { count: "1", sum: "1" }]] },
    ],
    10, 40, 10,
  );
  expect(c.times).toEqual([10, 20, 30, 40]);
  expect(c.values).toEqual([[1, null, null, 4], [null, null, null, 2]]);
  expect(c.histograms).toBe(1);
  expect(toCsv(c).split("\n")[1]).toBe("1970-01-01T00:00:10.000Z,1,");
});

describe("advice", () => {
  test.each([
    ["sum by (job) (rate(http_requests_total{code=~\"5..\"}[5m])) / on (job) up", ["http_requests_total", "up"]],
    ["histogram_quantile(0.9, sum(rate(x_bucket[5m] offset 1h)) by (le))", ["x_bucket"]],
    ['{__name__="a:b"} unless bool_metric # up', ["bool_metric", "a:b"]],
    ["sum", []],
  ])("metrics in %s", (expr, names) => expect(metricsIn(expr).sort()).toEqual([...names].sort()));
  test("near names", () => {
    expect(distance("abc", "abd", 2)).toBe(1);
    expect(distance("abc", "xyz", 2)).toBe(3);
    expect(nearest("http_request_total", ["http_requests_total", "up", "node_load1"])).toEqual(["http_requests_total"]);
  });
});

describe("colours", () => {
  test("the first eight series have eight colours, the ninth is dashed", () => {
    const s = slots(Array.from({ length: 9 }, (_, i) => `series ${i}`));
    expect(new Set(s.slice(0, SLOTS)).size).toBe(SLOTS);
    expect(s[8]).toBeGreaterThanOrEqual(SLOTS);
  });
  test("a lone series keeps its colour", () => expect(slots(["up"])[0]).toBe(slots(["up", "down"])[0]));
});

test("numbers for people", () => {
  expect([0, 1, 999, 1234, 1.5e6, -2e9, 0.00001, 1e18].map(short)).toEqual(["0", "1", "999", "1.234k", "1.5M", "-2G", "1.00e-5", "1.00e18"]);
  expect([0, 1023, 1536, 5e6].map(bytes)).toEqual(["0 B", "1020 B", "1.5 KiB", "4.8 MiB"]);
});
