// SPDX-License-Identifier: Apache-2.0
// All metrics with type and help; choosing one puts it into the query.
import { PickDialog } from "../../components/picklist";
import { useLoad } from "../../data/load";
import { t } from "../../i18n/i18n";
import { metadata, metricNames } from "./hints";

export function MetricBrowser({ pick, close }: { pick: (name: string) => void; close: () => void }) {
  const all = useLoad(async () => {
    const [names, meta] = await Promise.all([metricNames(), metadata()]);
    return names.map((name) => ({ name, ...(meta[name]?.[0] ?? meta[name.replace(/_(bucket|sum|count|total)$/, "")]?.[0] ?? { type: "", help: "" }) }));
  }, []);
  return (
    <PickDialog label={t("query.browse")} items={all.data ?? []} busy={all.busy} text={(m) => `${m.name} ${m.type} ${m.help}`} close={close} pick={(m) => pick(m.name)}
      show={(m) => (
        <span class="grow breaks">
          <span class="mono">{m.name}</span> {m.type && <span class="badge">{m.type}</span>}
          {m.help && <div class="meta">{m.help}</div>}
        </span>
      )} />
  );
}
