// SPDX-License-Identifier: Apache-2.0
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { queryHistory } from "../../app/history";
import { Icon } from "../../app/icons";
import { copy } from "../../app/toast";
import { PickDialog } from "../../components/picklist";
import { curlOf, offsetOf, positionOf } from "../../data/client";
import { bytes, short } from "../../data/format";
import { QueryInput, type QueryHandle } from "../../editor/input";
import type { Mark } from "../../editor/promql";
import { count, t, tn } from "../../i18n/i18n";
import { formatDuration, humanSeconds } from "../../time/time";
import { toCsv } from "./columns";
import { GraphControls, TableControls } from "./controls";
import { Explain } from "./explain";
import { Graph } from "./graph";
import { MetricBrowser } from "./metrics";
import { Notes } from "./notes";
import s from "./query.module.css";
import { requestOf, useRun, type Result, type Run } from "./run";
import type { Panel, Tab } from "./state";
import { ResultTable } from "./table";

interface Props {
  panel: Panel;
  tick: number;
  first: boolean;
  only: boolean;
  change: (over: Partial<Panel>, replace?: boolean) => void;
  copyOf: () => void;
  remove: () => void;
}

/** Where the errors and remarks of a run stand in its query. */
function marksOf(expr: string, run: Run): Mark[] {
  const say = (text: string, severity: Mark["severity"]): Mark[] => {
    const at = positionOf(text);
    if (!at) return [];
    const from = offsetOf(expr, at);
    return [{ from, to: from + (/^[\w:]+/.exec(expr.slice(from))?.[0].length ?? 1), text, severity }];
  };
  if (run.error) return say(run.error.message, "error");
  if (!run.result) return [];
  return [...run.result.warnings.flatMap((w) => say(w, "warning")), ...run.result.infos.flatMap((i) => say(i, "info"))];
}

function StatsLine({ result }: { result: Result }) {
  const parts = [t("query.took", { time: humanSeconds(result.ms / 1000) })];
  if (result.tab === "graph") parts.push(t("query.resolution_of", { step: formatDuration(result.step * 1000) }));
  parts.push(tn("query.series", result.series));
  const read = result.stats?.samples?.totalQueryableSamples;
  const title = [bytes(result.bytes)];
  if (read !== undefined) title.push(tn("query.samples", read));
  if (result.stats?.timings?.evalTotalTime !== undefined) title.push(t("query.evaluated", { time: humanSeconds(result.stats.timings.evalTotalTime) }));
  return <div class={s["stats"]} title={title.join(" · ")} aria-live="polite">{parts.join(" · ")}{read === undefined ? "" : ` · ${tn("query.samples", read, { n: read > 99_999 ? short(read) : count(read) })}`}</div>;
}

const TABS: Tab[] = ["table", "graph", "explain"];

function Tabs({ tab, set }: { tab: Tab; set: (t: Tab) => void }) {
  const onKey = (e: KeyboardEvent) => {
    const step = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    const next = TABS[(TABS.indexOf(tab) + step + TABS.length) % TABS.length]!;
    set(next);
    ((e.currentTarget as HTMLElement).children[TABS.indexOf(next)] as HTMLElement).focus();
  };
  return (
    <div role="tablist" onKeyDown={onKey}>
      {TABS.map((x) => (
        <button key={x} role="tab" class={s["tab"]} aria-selected={x === tab} tabIndex={x === tab ? 0 : -1} onClick={() => set(x)}>{t(`query.tab_${x}`)}</button>
      ))}
    </div>
  );
}

function More({ panel, run, copyOf }: { panel: Panel; run: Run; copyOf: () => void }) {
  const request = () => requestOf(panel, Date.now());
  const columns = run.result?.columns;
  return (
    <div class="tools" style={{ padding: "4px 8px 8px" }}>
      <button class="btn ghost" onClick={() => copy(curlOf(request().path, request().params))}><Icon name="copy" size={14} />curl</button>
      {columns && <button class="btn ghost" onClick={() => copy(toCsv(columns))}><Icon name="copy" size={14} />CSV</button>}
      {run.result && <button class="btn ghost" onClick={() => copy(JSON.stringify(run.result!.data, null, 1))}><Icon name="copy" size={14} />JSON</button>}
      <button class="btn ghost" onClick={copyOf}><Icon name="plus" size={14} />{t("query.duplicate")}</button>
    </div>
  );
}

function Body({ panel, run, change, prefer }: { panel: Panel; run: Run; change: Props["change"]; prefer: (expr: string) => void }) {
  const { result } = run;
  if (panel.tab === "explain") return <Explain expr={panel.expr} />;
  if (!panel.expr.trim()) return <Start prefer={prefer} />;
  if (!result || (result.tab !== panel.tab)) {
    return run.error ? null : <div class="wait">{t("common.loading")}</div>;
  }
  const dim = run.busy || run.error ? s["dim"] : "";
  if (result.series === 0) {
    return <div class={`empty ${dim}`}><b>{t("query.empty")}</b><span>{t(panel.tab === "graph" ? "query.empty_range" : "query.empty_instant")}</span></div>;
  }
  return <div class={dim}>{panel.tab === "graph" ? <Graph panel={panel} result={result} change={change} /> : <ResultTable data={result.data} pick={prefer} />}</div>;
}

const EXAMPLES = ["up", "count by (job) (up)", "topk(10, count by (__name__) ({__name__=~\".+\"}))", "rate(process_cpu_seconds_total[5m])"];

/** What a newcomer sees before the first query. */
function Start({ prefer }: { prefer: (expr: string) => void }) {
  return (
    <div class="empty">
      <b>{t("query.start")}</b>
      <span>{t("query.start_try")}</span>
      <div class="row" style={{ justifyContent: "center" }}>
        {EXAMPLES.map((e) => <button key={e} class="btn mono" style={{ fontWeight: 400 }} onClick={() => prefer(e)}>{e}</button>)}
      </div>
    </div>
  );
}

/** On when something is busy for a second: quick answers do not make buttons flicker. */
function useSlow(busy: boolean): boolean {
  const [slow, setSlow] = useState(false);
  useEffect(() => {
    setSlow(false);
    if (!busy) return;
    const timer = setTimeout(() => setSlow(true), 1000);
    return () => clearTimeout(timer);
  }, [busy]);
  return slow && busy;
}

export function PanelView({ panel, tick, first, only, change, copyOf, remove }: Props) {
  const [draft, setDraft] = useState(panel.expr);
  const [open, setOpen] = useState<"" | "metrics" | "history">("");
  const [nudge, setNudge] = useState(0);
  const input = useRef<QueryHandle>(null);
  const run = useRun(panel, tick, nudge);
  const marks = useMemo(() => (draft === panel.expr ? marksOf(panel.expr, run) : []), [draft, panel.expr, run.error, run.result]);
  const slow = useSlow(run.busy);
  const write = (expr: string) => {
    setDraft(expr);
    input.current?.set(expr);
  };
  useEffect(() => write(panel.expr), [panel.expr]);

  const execute = (expr = draft) => {
    write(expr);
    if (expr === panel.expr) setNudge((n) => n + 1);
    else change({ expr });
  };
  return (
    <section class={`card ${s["panel"]}`} aria-label={panel.expr || t("query.expression")}>
      <div class={s["ask"]}>
        <QueryInput text={draft} change={setDraft} run={() => execute()} marks={marks} autofocus={first && !panel.expr} handle={input} />
        <button class="btn ghost icon" title={t("query.history")} aria-label={t("query.history")} onClick={() => setOpen("history")}><Icon name="clock" /></button>
        <button class="btn ghost icon" title={t("query.browse")} aria-label={t("query.browse")} onClick={() => setOpen("metrics")}><Icon name="book" /></button>
        {slow
          ? <button class="btn" onClick={run.cancel}>{t("common.cancel")}</button>
          : <button class="btn primary" onClick={() => execute()}>{t("query.run")}</button>}
        {!(only && !panel.expr) && <button class="btn ghost icon" title={t("query.remove")} aria-label={t("query.remove")} onClick={remove}><Icon name="close" /></button>}
      </div>
      {run.busy && <div class={s["progress"]}><i /></div>}
      <div class={s["tabs"]}>
        <Tabs tab={panel.tab} set={(tab) => change({ tab })} />
        {run.result && panel.tab === run.result.tab && <StatsLine result={run.result} />}
      </div>
      {panel.tab === "graph" && <GraphControls panel={panel} change={change} />}
      {panel.tab === "table" && <TableControls panel={panel} change={change} />}
      <Notes expr={panel.expr} run={run} apply={(expr) => execute(expr)} />
      <Body panel={panel} run={run} change={change} prefer={(expr) => execute(expr)} />
      {panel.expr.trim() && panel.tab !== "explain" && <More panel={panel} run={run} copyOf={copyOf} />}
      {open === "metrics" && <MetricBrowser close={() => setOpen("")} pick={(name) => (draft.trim() ? input.current?.insert(name) : execute(name))} />}
      {open === "history" && (
        <PickDialog label={t("query.history")} items={queryHistory.value} text={(q) => q} close={() => setOpen("")} pick={(q) => execute(q)}
          show={(q) => <span class="mono breaks">{q}</span>}
          foot={queryHistory.value.length ? <div class="row" style={{ padding: "8px 12px" }}><button class="btn" onClick={() => (queryHistory.value = [])}>{t("query.forget")}</button></div> : undefined} />
      )}
    </section>
  );
}
