// SPDX-License-Identifier: Apache-2.0
// Scrape targets by pool: health, error, labels, last scrape.
import { useMemo, useRef } from "preact/hooks";
import { Icon } from "../app/icons";
import { useParams } from "../app/params";
import { stored } from "../app/prefs";
import { Badge, CopyButton, SearchBox, Shown, When } from "../components/parts";
import { LabelSet } from "../components/series";
import { useVirtual } from "../components/virtual";
import { call } from "../data/client";
import { useLoad } from "../data/load";
import type { Target, Targets } from "../data/prom";
import { t, tn } from "../i18n/i18n";
import { humanSeconds } from "../time/time";
import s from "./targets.module.css";

const REFRESH_MS = 10_000;
const closed = stored<string[]>("targets.closed", []);
const word = { up: "targets.up", down: "targets.down", unknown: "targets.unknown" } as const;
const state = { up: "ok", down: "crit", unknown: "" } as const;

/** Text in which a search looks: address, labels, error. */
function haystack(x: Target): string {
  return [x.scrapeUrl, x.lastError, x.health, ...Object.entries(x.labels).map(([k, v]) => `${k}="${v}" ${k}=${v}`)].join(" ").toLowerCase();
}

function Row({ x, measure, index }: { x: Target; measure: (el: Element | null) => void; index: number }) {
  return (
    <tr class={x.health === "down" ? s["down"] : ""} ref={measure} aria-rowindex={index}>
      <td class={s["endpoint"]}>
        <a href={x.globalUrl || x.scrapeUrl} target="_blank" rel="noopener noreferrer">{x.scrapeUrl}</a> <CopyButton text={x.scrapeUrl} label={t("targets.copy_address")} />
        {x.lastError && <div class={s["error"]}>{x.lastError}</div>}
      </td>
      <td class={s["inline"]}><Badge state={state[x.health] ?? ""}>{t(word[x.health] ?? word.unknown)}</Badge></td>
      <td><LabelSet labels={x.labels} /></td>
      <td class={s["inline"]}><When at={x.lastScrape} /></td>
      <td class={`num ${s["inline"]}`} title={x.scrapeInterval ? t("targets.every", { interval: x.scrapeInterval, timeout: x.scrapeTimeout ?? "" }) : undefined}>{humanSeconds(x.lastScrapeDuration)}</td>
    </tr>
  );
}

function Rows({ pool, targets }: { pool: string; targets: Target[] }) {
  const box = useRef<HTMLDivElement>(null);
  const view = useVirtual(targets.length, 28, box, false, targets.length);
  return (
    <div ref={box}>
      <table class={s["table"]} aria-rowcount={targets.length + 1} aria-label={pool}>
        <colgroup><col style={{ width: "34%" }} /><col style={{ width: "96px" }} /><col /><col style={{ width: "112px" }} /><col style={{ width: "88px" }} /></colgroup>
        <thead>
          <tr>
            <th scope="col">{t("targets.endpoint")}</th><th scope="col">{t("targets.state")}</th><th scope="col">{t("targets.labels")}</th>
            <th scope="col">{t("targets.last")}</th><th scope="col" class="num">{t("targets.duration")}</th>
          </tr>
        </thead>
        <tbody>
          {view.before > 0 && <tr aria-hidden="true" style={{ height: `${view.before}px` }} />}
          {targets.slice(view.start, view.end).map((x, k) => <Row key={x.scrapeUrl + JSON.stringify(x.labels)} x={x} index={view.start + k + 2} measure={view.measure(view.start + k)} />)}
          {view.after > 0 && <tr aria-hidden="true" style={{ height: `${view.after}px` }} />}
        </tbody>
      </table>
    </div>
  );
}

function Pool({ pool, all, hits }: { pool: string; all: Target[]; hits: Target[] }) {
  const open = !closed.value.includes(pool);
  const up = all.filter((x) => x.health === "up").length;
  const toggle = () => (closed.value = open ? [...closed.value, pool] : closed.value.filter((p) => p !== pool));
  return (
    <section class="card" aria-label={pool}>
      <header>
        <button class={s["head"]} aria-expanded={open} onClick={toggle}>
          <Icon name={open ? "down" : "right"} />
          <b>{pool}</b>
          <Badge state={up === all.length ? "ok" : up === 0 ? "crit" : "warn"}>{t("targets.up_of", { up, all: all.length })}</Badge>
          <span class={s["cells"]} aria-hidden="true">{all.slice(0, 60).map((x, i) => <i key={i} class={s[x.health] ?? ""} title={x.scrapeUrl} />)}</span>
        </button>
      </header>
      {open && <Rows pool={pool} targets={hits} />}
    </section>
  );
}

function grouped(list: Target[]): Map<string, Target[]> {
  const out = new Map<string, Target[]>();
  for (const x of list) out.set(x.scrapePool, [...(out.get(x.scrapePool) ?? []), x]);
  return new Map([...out].sort(([a], [b]) => a.localeCompare(b)));
}

function List({ data }: { data: Targets }) {
  const [params, set] = useParams();
  const search = params.get("search") ?? "";
  const health = params.get("health") ?? "";
  const onePool = params.get("scrapePool") ?? params.get("pool") ?? "";
  const all = data.activeTargets ?? [];
  const pools = useMemo(() => grouped(all), [data]);
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (x: Target) => (!health || x.health === health) && words.every((w) => haystack(x).includes(w));
  const shown = [...pools].filter(([p]) => !onePool || p === onePool).map(([p, list]) => ({ p, list, hits: list.filter(fits) })).filter((g) => g.hits.length);
  const counts = { up: all.filter((x) => x.health === "up").length, down: all.filter((x) => x.health === "down").length, unknown: all.filter((x) => x.health === "unknown").length };
  const names = [...pools.keys()];
  const anyOpen = names.some((n) => !closed.value.includes(n));
  return (
    <>
      <div class="tools">
        <SearchBox value={search} set={(v) => set({ search: v })} label={t("targets.search")} />
        <span class="group" role="group" aria-label={t("targets.state")}>
          <button class="btn" aria-pressed={health === ""} onClick={() => set({ health: "" })}>{t("targets.all", { n: all.length })}</button>
          {(["up", "down", "unknown"] as const).map((h) => (
            <button key={h} class="btn" aria-pressed={health === h} onClick={() => set({ health: health === h ? "" : h })}>{t(word[h])} {counts[h]}</button>
          ))}
        </span>
        {names.length > 1 && (
          <select class="select" aria-label={t("targets.pool")} value={onePool} onChange={(e) => set({ scrapePool: e.currentTarget.value, pool: "" })}>
            <option value="">{t("targets.all_pools")}</option>
            {names.map((n) => <option key={n} value={n}>{n}</option>)}
          </select>
        )}
        <span class="grow" />
        {names.length > 1 && <button class="btn ghost" onClick={() => (closed.value = anyOpen ? names : [])}>{t(anyOpen ? "common.close_all" : "common.open_all")}</button>}
      </div>
      <div class="sr" role="status">{tn("targets.count", shown.reduce((n, g) => n + g.hits.length, 0))}</div>
      {shown.map((g) => <Pool key={g.p} pool={g.p} all={g.list} hits={g.hits} />)}
      {!shown.length && <div class="card empty"><b>{t(all.length ? "targets.no_match" : "targets.none")}</b>{!all.length && <span>{t("targets.none_hint")}</span>}</div>}
    </>
  );
}

export default function TargetsPage() {
  const loaded = useLoad(async (signal) => (await call<Targets>("targets", { state: "active" }, { signal })).data, [], REFRESH_MS);
  return <div class="stack"><Shown of={loaded}>{(data) => <List data={data} />}</Shown></div>;
}
