// SPDX-License-Identifier: Apache-2.0
import { useState } from "preact/hooks";
import { useParams } from "../app/params";
import { SearchBox, Shown } from "../components/parts";
import { matching } from "../components/picklist";
import { call } from "../data/client";
import { useLoad } from "../data/load";
import { t } from "../i18n/i18n";

type Column = "name" | "value";

export default function FlagsPage() {
  const [params, set] = useParams();
  const [by, setBy] = useState<{ column: Column; down: boolean }>({ column: "name", down: false });
  const search = params.get("search") ?? "";
  const loaded = useLoad(async (signal) => (await call<Record<string, string>>("status/flags", {}, { signal })).data, []);
  const sort = (column: Column) => setBy((b) => ({ column, down: b.column === column && !b.down }));
  const head = (column: Column, label: string) => (
    <th scope="col" aria-sort={by.column !== column ? "none" : by.down ? "descending" : "ascending"}>
      <button class="btn ghost" style={{ padding: 0 }} onClick={() => sort(column)}>{label}{by.column === column ? (by.down ? " ↓" : " ↑") : ""}</button>
    </th>
  );
  return (
    <div class="stack">
      <div class="tools"><SearchBox value={search} set={(v) => set({ search: v })} label={t("flags.search")} /></div>
      <Shown of={loaded}>
        {(d) => {
          const rows = matching(Object.entries(d), ([k, v]) => `${k} ${v}`, search).sort((a, b) => {
            const [x, y] = by.column === "name" ? [a[0], b[0]] : [a[1], b[1]];
            return (by.down ? -1 : 1) * x.localeCompare(y, undefined, { numeric: true });
          });
          return (
            <section class="card scroll-x">
              <table>
                <thead><tr>{head("name", t("flags.flag"))}{head("value", t("flags.value"))}</tr></thead>
                <tbody>{rows.map(([k, v]) => <tr key={k}><td class="mono nowrap">--{k}</td><td class="mono breaks">{v === "" ? <span class="muted">—</span> : v}</td></tr>)}</tbody>
              </table>
              {!rows.length && <div class="empty">{t("common.nothing")}</div>}
            </section>
          );
        }}
      </Shown>
    </div>
  );
}
