// SPDX-License-Identifier: Apache-2.0
// Alerting rules by state, firing first: what fires, since when, with which labels.
import { useParams } from "../app/params";
import { Badge, SearchBox, Shown, When, type State } from "../components/parts";
import { LabelSet } from "../components/series";
import { call } from "../data/client";
import { short } from "../data/format";
import { useLoad } from "../data/load";
import type { Alert, Rule, RuleGroup } from "../data/prom";
import { t, tn } from "../i18n/i18n";
import { formatDuration } from "../time/time";
import s from "./rules.module.css";

const REFRESH_MS = 10_000;
const states = ["firing", "pending", "inactive"] as const;
type AlertState = (typeof states)[number];
const look: Record<AlertState, State> = { firing: "crit", pending: "warn", inactive: "ok" };
const word = { firing: "alerts.firing", pending: "alerts.pending", inactive: "alerts.inactive" } as const;

interface Entry {
  rule: Rule;
  group: string;
  state: AlertState;
  text: string;
}

function entries(groups: RuleGroup[]): Entry[] {
  const out = groups.flatMap((g) => g.rules.filter((r) => r.type === "alerting").map((rule): Entry => ({
    rule,
    group: g.name,
    state: states.find((x) => x === rule.state) ?? "inactive",
    text: [g.name, rule.name, rule.query, ...(rule.alerts ?? []).flatMap((a) => Object.entries(a.labels).map(([k, v]) => `${k}="${v}" ${k}=${v}`))].join(" ").toLowerCase(),
  })));
  return out.sort((a, b) => states.indexOf(a.state) - states.indexOf(b.state) || a.rule.name.localeCompare(b.rule.name));
}

function AlertTable({ alerts }: { alerts: Alert[] }) {
  return (
    <div class="scroll-x">
      <table class={s["alerts"]}>
        <thead><tr><th scope="col">{t("targets.labels")}</th><th scope="col">{t("targets.state")}</th><th scope="col">{t("alerts.since")}</th><th scope="col" class="num">{t("query.col_value")}</th></tr></thead>
        <tbody>
          {alerts.map((a, i) => {
            const st = states.find((x) => x === a.state) ?? "pending";
            return (
              <tr key={i}>
                <td>
                  <LabelSet labels={a.labels} hide={(k) => k === "alertname"} />
                  {Object.keys(a.annotations).length > 0 && <dl class={s["ann"]}>{Object.entries(a.annotations).map(([k, v]) => [<dt key={k}>{k}</dt>, <dd key={`${k}=`}>{/^https?:\/\/\S+$/.test(v) ? <a href={v} target="_blank" rel="noopener noreferrer">{v}</a> : v}</dd>])}</dl>}
                </td>
                <td><Badge state={look[st]}>{t(word[st])}</Badge></td>
                <td><When at={a.activeAt} /></td>
                <td class="num" title={a.value}>{short(Number(a.value))}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function EntryView({ e }: { e: Entry }) {
  const { rule } = e;
  return (
    <li class={`${s["rule"]} ${s[e.state] ?? ""}`}>
      <div class={s["top"]}>
        <Badge state={look[e.state]}>{t(word[e.state])}</Badge>
        <b>{rule.name}</b>
        {rule.alerts && rule.alerts.length > 0 && <span class="meta">{tn("alerts.count", rule.alerts.length)}</span>}
        <span class={s["side"]}><span>{e.group}</span>{rule.duration ? <span>{t("rules.for", { time: formatDuration(rule.duration * 1000) })}</span> : null}</span>
      </div>
      {e.state !== "inactive" && <a class={`mono ${s["expr"]}`} href={`query?${new URLSearchParams({ "g0.expr": rule.query, "g0.tab": "graph" })}`}>{rule.query}</a>}
      {rule.alerts && rule.alerts.length > 0 && <AlertTable alerts={rule.alerts} />}
    </li>
  );
}

export default function AlertsPage() {
  const [params, set] = useParams();
  const search = params.get("search") ?? "";
  const only = params.get("state") ?? "";
  const loaded = useLoad(async (signal) => entries((await call<{ groups: RuleGroup[] | null }>("rules", { type: "alert" }, { signal })).data.groups ?? []), [], REFRESH_MS);
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  return (
    <div class="stack">
      <Shown of={loaded}>
        {(all) => {
          if (!all.length) return <div class="card empty"><b>{t("alerts.none")}</b><span>{t("alerts.none_hint")}</span></div>;
          const shown = all.filter((e) => (!only || e.state === only) && words.every((w) => e.text.includes(w)));
          return (
            <>
              <div class="tools">
                <SearchBox value={search} set={(v) => set({ search: v })} label={t("alerts.search")} />
                <span class="group" role="group" aria-label={t("targets.state")}>
                  <button class="btn" aria-pressed={!only} onClick={() => set({ state: "" })}>{t("targets.all", { n: all.length })}</button>
                  {states.map((x) => <button key={x} class="btn" aria-pressed={only === x} onClick={() => set({ state: only === x ? "" : x })}>{t(word[x])} {all.filter((e) => e.state === x).length}</button>)}
                </span>
              </div>
              <section class="card"><ul>{shown.map((e, i) => <EntryView key={i} e={e} />)}</ul>{!shown.length && <div class="empty">{t("common.nothing")}</div>}</section>
            </>
          );
        }}
      </Shown>
    </div>
  );
}
