// SPDX-License-Identifier: Apache-2.0
// The shapes of the API's answers, as Prometheus documents them.

export type Labels = Record<string, string>;
export type Point = [number, string];

export interface Bucket extends Array<string | number> {
  0: number;
  1: string;
  2: string;
  3: string;
}
export interface Histogram {
  count: string;
  sum: string;
  buckets?: Bucket[];
}
export interface VectorRow {
  metric: Labels;
  value?: Point;
  histogram?: [number, Histogram];
}
export interface MatrixRow {
  metric: Labels;
  values?: Point[];
  histograms?: [number, Histogram][];
}
export interface Stats {
  timings?: { evalTotalTime?: number };
  samples?: { totalQueryableSamples?: number; peakSamples?: number };
}
export type QueryData = { stats?: Stats } & (
  | { resultType: "vector"; result: VectorRow[] }
  | { resultType: "matrix"; result: MatrixRow[] }
  | { resultType: "scalar"; result: Point }
  | { resultType: "string"; result: Point }
);

export interface Target {
  discoveredLabels: Labels;
  labels: Labels;
  scrapePool: string;
  scrapeUrl: string;
  globalUrl: string;
  lastError: string;
  lastScrape: string;
  lastScrapeDuration: number;
  health: "up" | "down" | "unknown";
  scrapeInterval?: string;
  scrapeTimeout?: string;
}
export interface Targets {
  activeTargets: Target[] | null;
  droppedTargets: { discoveredLabels: Labels; scrapePool?: string }[] | null;
  droppedTargetCounts?: Record<string, number> | null;
}

export interface Alert {
  labels: Labels;
  annotations: Labels;
  state: string;
  activeAt?: string;
  value: string;
}
export interface Rule {
  name: string;
  query: string;
  duration?: number;
  keepFiringFor?: number;
  labels?: Labels;
  annotations?: Labels;
  alerts?: Alert[];
  state?: string;
  health: string;
  lastError?: string;
  evaluationTime: number;
  lastEvaluation: string;
  type: "alerting" | "recording";
}
export interface RuleGroup {
  name: string;
  file: string;
  interval: number;
  limit?: number;
  evaluationTime: number;
  lastEvaluation: string;
  rules: Rule[];
}

export interface Metadata {
  type: string;
  help: string;
  unit: string;
}
export interface NameValue {
  name: string;
  value: number;
}
export interface TsdbStatus {
  headStats: { numSeries: number; numLabelPairs: number; chunkCount: number; minTime: number; maxTime: number };
  seriesCountByMetricName: NameValue[];
  labelValueCountByLabelName: NameValue[];
  memoryInBytesByLabelName: NameValue[];
  seriesCountByLabelValuePair: NameValue[];
}

/** The series without the labels that all of them share: what tells them apart in little room. */
export function distinctLabels(all: Labels[]): Labels[] {
  const [first, ...rest] = all;
  if (!first || !rest.length) return all;
  const shared = new Set(Object.keys(first).filter((k) => rest.every((l) => l[k] === first[k])));
  return all.map((l) => Object.fromEntries(Object.entries(l).filter(([k]) => !shared.has(k))));
}

/** Writes a series as PromQL would select it: name{a="b"}. Names outside the classic set are quoted. */
export function seriesText(labels: Labels): string {
  const plain = (s: string) => /^[a-zA-Z_][a-zA-Z0-9_]*$/.test(s);
  const name = labels["__name__"];
  const pairs = Object.keys(labels)
    .filter((k) => k !== "__name__")
    .sort()
    .map((k) => `${plain(k) ? k : JSON.stringify(k)}=${JSON.stringify(labels[k])}`);
  if (name !== undefined && !/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name)) pairs.unshift(JSON.stringify(name));
  else if (name !== undefined) return pairs.length ? `${name}{${pairs.join(", ")}}` : name;
  return `{${pairs.join(", ")}}`;
}
