// SPDX-License-Identifier: Apache-2.0
import { expect, test } from "vitest";
import { formatDuration, formatInstant, humanSeconds, parseDuration, parseInstant } from "../src/time/time";

test.each([
  ["5m", 300_000], ["1h30m", 5_400_000], ["500ms", 500], ["1w2d", 777_600_000], ["15", 15_000], ["0s", 0], ["1y", 31_536_000_000],
])("duration %s", (text, ms) => expect(parseDuration(text)).toBe(ms));

test.each(["", "x", "5", "5m1h", "5m5m", "-5m", "1.5h", "5 m"].filter((x) => x !== "5"))("%j is no duration", (text) => expect(parseDuration(text)).toBeUndefined());

test.each([
  [300_000, "5m"], [5_400_000, "1h30m"], [86_400_000 * 10, "10d"], [86_400_000 * 14, "2w"], [86_400_000 * 365, "1y"], [1, "1ms"], [0, "0s"], [61_001, "1m1s1ms"],
])("%d ms are written %s and read back", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
  expect(parseDuration(text)).toBe(ms);
});

const now = Date.UTC(2026, 0, 2, 14, 0, 30);
test.each([
  ["now", now], ["now-1h", now - 3_600_000], ["now + 5m", now + 300_000], ["2026-01-02", Date.UTC(2026, 0, 2)], ["2026-01-02 14:00", Date.UTC(2026, 0, 2, 14)],
  ["2026-01-02T14:00:05Z", Date.UTC(2026, 0, 2, 14, 0, 5)], ["2026-01-02 14:00:05+02:00", Date.UTC(2026, 0, 2, 12, 0, 5)], ["9:05", Date.UTC(2026, 0, 2, 9, 5)],
  ["1700000000", 1_700_000_000_000], ["1700000000123", 1_700_000_000_123],
])("instant %s", (text, ms) => expect(parseInstant(text, now, true)).toBe(ms));

test.each(["", "soon", "now-x", "2026-13-40", "25:99", "12"])("%j is no instant", (text) => expect(parseInstant(text, now, true)).toBeUndefined());

test("instants in local time are read back", () => {
  expect(parseInstant(formatInstant(now, false), 0, false)).toBe(now);
  expect(formatInstant(now, true)).toBe("2026-01-02 14:00:30");
  expect(formatInstant(NaN, true)).toBe("—");
});

test.each([[0, "0s"], [0.00034, "340µs"], [0.0123, "12.3ms"], [0.5, "500ms"], [4.25, "4.25s"], [303, "5m 3s"], [3600, "1h"], [90_000, "1d 1h"]])("%d s is shown as %s", (s, text) => expect(humanSeconds(s)).toBe(text));
