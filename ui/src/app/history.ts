// SPDX-License-Identifier: Apache-2.0
import { stored } from "./prefs";

const KEPT = 200;

/** Queries that were run, newest first, each once. */
export const queryHistory = stored<string[]>("history", []);

export function remember(expr: string): void {
  const q = expr.trim();
  if (!q || queryHistory.value[0] === q) return;
  queryHistory.value = [q, ...queryHistory.value.filter((x) => x !== q)].slice(0, KEPT);
}
