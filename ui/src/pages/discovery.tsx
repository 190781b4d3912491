// SPDX-License-Identifier: Apache-2.0
// What discovery found beside what relabelling made of it, dropped targets too.
import { useMemo, useRef } from "preact/hooks";
import { Icon } from "../app/icons";
import { useParams } from "../app/params";
import { stored } from "../app/prefs";
import { Badge, SearchBox, Shown } from "../components/parts";
import { LabelSet } from "../components/series";
import { useVirtual } from "../components/virtual";
import { call } from "../data/client";
import { useLoad } from "../data/load";
import type { Labels, Targets } from "../data/prom";
import { t, tn } from "../i18n/i18n";
import s from "./targets.module.css";

interface Found {
  pool: string;
  discovered: Labels;
  labels: Labels | null; // null: dropped
  text: string;
}

const closed = stored<string[]>("discovery.closed", []);

function found(data: Targets): Found[] {
  const text = (l: Labels | null) => Object.entries(l ?? {}).map(([k, v]) => `${k}="${v}" ${k}=${v}`).join(" ").toLowerCase();
  const active = (data.activeTargets ?? []).map((x): Found => ({ pool: x.scrapePool, discovered: x.discoveredLabels, labels: x.labels, text: `${text(x.discoveredLabels)} ${text(x.labels)}` }));
  const dropped = (data.droppedTargets ?? []).map((x): Found => ({ pool: x.scrapePool ?? x.discoveredLabels["job"] ?? "", discovered: x.discoveredLabels, labels: null, text: text(x.discoveredLabels) }));
  return [...active, ...dropped];
}

function Pool({ pool, rows, dropped }: { pool: string; rows: Found[]; dropped: number }) {
  const open = !closed.value.includes(pool);
  const box = useRef<HTMLDivElement>(null);
  const view = useVirtual(open ? rows.length : 0, 60, box, false, rows.length);
  const kept = rows.filter((r) => r.labels).length;
  return (
    <section class="card" aria-label={pool}>
      <header>
        <button class={s["head"]} aria-expanded={open} onClick={() => (closed.value = open ? [...closed.value, pool] : closed.value.filter((p) => p !== pool))}>
          <Icon name={open ? "down" : "right"} />
          <b>{pool}</b>
          <span class="meta">{tn("sd.active", kept)}{dropped > 0 && ` · ${tn("sd.dropped", dropped)}`}</span>
        </button>
      </header>
      {open && (
        <div ref={box}>
          <table class={s["table"]} aria-label={pool} aria-rowcount={rows.length + 1}>
            <thead><tr><th scope="col">{t("sd.discovered")}</th><th scope="col">{t("sd.target")}</th></tr></thead>
            <tbody>
              {view.before > 0 && <tr aria-hidden="true" style={{ height: `${view.before}px` }} />}
              {rows.slice(view.start, view.end).map((r, k) => (
                <tr key={view.start + k} ref={view.measure(view.start + k)}>
                  <td><LabelSet labels={r.discovered} /></td>
                  <td>{r.labels ? <LabelSet labels={r.labels} /> : <Badge state="warn">{t("sd.was_dropped")}</Badge>}</td>
                </tr>
              ))}
              {view.after > 0 && <tr aria-hidden="true" style={{ height: `${view.after}px` }} />}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function List({ data }: { data: Targets }) {
  const [params, set] = useParams();
  const search = params.get("search") ?? "";
  const only = params.get("state") ?? "";
  const all = useMemo(() => found(data), [data]);
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const hits = all.filter((f) => (only === "" || (only === "dropped") === (f.labels === null)) && words.every((w) => f.text.includes(w)));
  const pools = [...new Set(hits.map((f) => f.pool))].sort();
  const dropped = all.filter((f) => !f.labels).length;
  return (
    <>
      <div class="tools">
        <SearchBox value={search} set={(v) => set({ search: v })} label={t("sd.search")} />
        <span class="group" role="group" aria-label={t("targets.state")}>
          <button class="btn" aria-pressed={!only} onClick={() => set({ state: "" })}>{t("targets.all", { n: all.length })}</button>
          <button class="btn" aria-pressed={only === "active"} onClick={() => set({ state: "active" })}>{tn("sd.active", all.length - dropped)}</button>
          <button class="btn" aria-pressed={only === "dropped"} onClick={() => set({ state: "dropped" })}>{tn("sd.dropped", dropped)}</button>
        </span>
      </div>
      {pools.map((p) => {
        const rows = hits.filter((f) => f.pool === p);
        return <Pool key={p} pool={p} rows={rows} dropped={data.droppedTargetCounts?.[p] ?? rows.filter((r) => !r.labels).length} />;
      })}
      {!pools.length && <div class="card empty"><b>{t(all.length ? "targets.no_match" : "targets.none")}</b></div>}
    </>
  );
}

export default function DiscoveryPage() {
  const loaded = useLoad(async (signal) => (await call<Targets>("targets", {}, { signal })).data, []);
  return <div class="stack"><Shown of={loaded}>{(data) => <List data={data} />}</Shown></div>;
}
