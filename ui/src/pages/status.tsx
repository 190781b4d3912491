// SPDX-License-Identifier: Apache-2.0
import { Badge, KeyValues, Shown, When } from "../components/parts";
import { call } from "../data/client";
import { useLoad } from "../data/load";
import { count, t } from "../i18n/i18n";

type Info = Record<string, string | number | boolean>;
interface Managers {
  activeAlertmanagers: { url: string }[] | null;
  droppedAlertmanagers: { url: string }[] | null;
}

/** Keys that have words of their own; others are shown as the server names them. */
const known = {
  startTime: "status.start", CWD: "status.cwd", hostname: "status.host", serverTime: "status.server_time", reloadConfigSuccess: "status.reload", lastConfigTime: "status.reload_time",
  corruptionCount: "status.corruptions", goroutineCount: "status.goroutines", storageRetention: "status.retention",
  version: "status.version", revision: "status.revision", branch: "status.branch", buildUser: "status.build_user", buildDate: "status.build_date",
} as const;

function name(key: string): string {
  const k = known[key as keyof typeof known];
  return k ? t(k) : key;
}

function shown(key: string, value: string | number | boolean) {
  if (key === "reloadConfigSuccess") return value ? <Badge state="ok">{t("status.good")}</Badge> : <Badge state="crit">{t("status.failed")}</Badge>;
  if (/Time$/.test(key) && typeof value === "string") return <><span class="mono">{value}</span> <span class="meta">(<When at={value} />)</span></>;
  if (typeof value === "number") return count(value);
  return <span class="mono">{value === "" ? "—" : String(value)}</span>;
}

function Card({ title, info }: { title: string; info: Info }) {
  return (
    <section class="card">
      <header><h2>{title}</h2></header>
      <KeyValues caption={title} rows={Object.entries(info).map(([k, v]) => [name(k), shown(k, v)])} />
    </section>
  );
}

export default function StatusPage() {
  const get = <T,>(path: string) => useLoad(async (signal) => (await call<T>(path, {}, { signal })).data, []);
  const runtime = get<Info>("status/runtimeinfo");
  const build = get<Info>("status/buildinfo");
  const managers = get<Managers>("alertmanagers");
  return (
    <div class="grid2">
      <div class="stack"><Shown of={runtime}>{(d) => <Card title={t("status.runtime")} info={d} />}</Shown></div>
      <div class="stack">
        <Shown of={build}>{(d) => <Card title={t("status.build")} info={d} />}</Shown>
        <Shown of={managers}>
          {(d) => (
            <section class="card">
              <header><h2>{t("status.alertmanagers")}</h2></header>
              {d.activeAlertmanagers?.length
                ? <KeyValues caption={t("status.alertmanagers")} rows={d.activeAlertmanagers.map((m) => [<Badge state="ok">{t("status.active")}</Badge>, <span class="mono">{m.url}</span>])} />
                : <div class="empty">{t("status.no_alertmanagers")}</div>}
            </section>
          )}
        </Shown>
      </div>
    </div>
  );
}
