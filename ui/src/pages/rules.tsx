// SPDX-License-Identifier: Apache-2.0
import { useParams } from "../app/params";
import { Badge, SearchBox, Shown, When, type State } from "../components/parts";
import { LabelSet } from "../components/series";
import { call } from "../data/client";
import { useLoad } from "../data/load";
import type { Rule, RuleGroup } from "../data/prom";
import { t, tn } from "../i18n/i18n";
import { formatDuration, humanSeconds } from "../time/time";
import s from "./rules.module.css";

const REFRESH_MS = 15_000;
const healthState: Record<string, State> = { ok: "ok", err: "crit", unknown: "" };

const graph = (expr: string) => `query?${new URLSearchParams({ "g0.expr": expr, "g0.tab": "graph" })}`;

function RuleRow({ r }: { r: Rule }) {
  return (
    <li class={s["rule"]}>
      <div class={s["top"]}>
        <span class="badge">{t(r.type === "alerting" ? "rules.alerting" : "rules.recording")}</span>
        <b>{r.name}</b>
        {r.duration ? <span class="meta">{t("rules.for", { time: formatDuration(r.duration * 1000) })}</span> : null}
        {r.keepFiringFor ? <span class="meta">{t("rules.keep", { time: formatDuration(r.keepFiringFor * 1000) })}</span> : null}
        <Badge state={healthState[r.health] ?? ""}>{r.health}</Badge>
        <span class={s["side"]}><When at={r.lastEvaluation} /><span>{humanSeconds(r.evaluationTime)}</span></span>
      </div>
      <a class={`mono ${s["expr"]}`} href={graph(r.query)} title={t("rules.open")}>{r.query}</a>
      {r.labels && Object.keys(r.labels).length > 0 && <LabelSet labels={r.labels} />}
      {r.lastError && <div class="note crit">{r.lastError}</div>}
    </li>
  );
}

function Group({ g, rules }: { g: RuleGroup; rules: Rule[] }) {
  return (
    <section class="card" aria-label={g.name}>
      <header>
        <h2>{g.name}</h2>
        <span class={s["file"]}>{g.file}</span>
        <span class="grow" />
        <span class="meta">{tn("rules.count", rules.length)} · {t("rules.every", { time: formatDuration(g.interval * 1000) })} · <When at={g.lastEvaluation} /> · {humanSeconds(g.evaluationTime)}</span>
      </header>
      <ul>{rules.map((r, i) => <RuleRow key={i} r={r} />)}</ul>
    </section>
  );
}

export default function RulesPage() {
  const [params, set] = useParams();
  const search = params.get("search") ?? "";
  const bad = params.get("health") === "err";
  const loaded = useLoad(async (signal) => (await call<{ groups: RuleGroup[] | null }>("rules", {}, { signal })).data.groups ?? [], [], REFRESH_MS);
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (g: RuleGroup) => (r: Rule) => (!bad || r.health === "err") && words.every((w) => `${g.name} ${g.file} ${r.name} ${r.query}`.toLowerCase().includes(w));
  return (
    <div class="stack">
      <Shown of={loaded}>
        {(groups) => {
          const shown = groups.map((g) => ({ g, rules: g.rules.filter(fits(g)) })).filter((x) => x.rules.length);
          if (!groups.length) {
            return <div class="card empty"><b>{t("rules.none")}</b><span>{t("rules.none_hint")}</span></div>;
          }
          return (
            <>
              <div class="tools">
                <SearchBox value={search} set={(v) => set({ search: v })} label={t("rules.search")} />
                <button class="btn" aria-pressed={bad} onClick={() => set({ health: bad ? "" : "err" })}>{t("rules.failing")}</button>
              </div>
              {shown.map(({ g, rules }) => <Group key={g.file + g.name} g={g} rules={rules} />)}
              {!shown.length && <div class="card empty"><b>{t("common.nothing")}</b></div>}
            </>
          );
        }}
      </Shown>
    </div>
  );
}
