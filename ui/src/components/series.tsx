// SPDX-License-Identifier: Apache-2.0
import type { Labels } from "../data/prom";
import { seriesText } from "../data/prom";

/** A series as PromQL writes it, name and values set apart by colour. Selecting and copying gives valid PromQL. */
export function SeriesName({ labels }: { labels: Labels }) {
  const name = labels["__name__"];
  const keys = Object.keys(labels).filter((k) => k !== "__name__").sort();
  if (name !== undefined && !/^[a-zA-Z_:][\w:]*$/.test(name)) return <span class="labels">{seriesText(labels)}</span>;
  if (keys.some((k) => !/^[a-zA-Z_]\w*$/.test(k))) return <span class="labels">{seriesText(labels)}</span>;
  return (
    <span class="labels">
      {name !== undefined && <span class="m">{name}</span>}
      {(keys.length > 0 || name === undefined) && (
        <>
          {"{"}
          {keys.map((k, i) => <span key={k}>{i > 0 && ", "}<span class="l">{k}=</span><span class="v">{JSON.stringify(labels[k])}</span></span>)}
          {"}"}
        </>
      )}
    </span>
  );
}

/** Labels as chips that wrap; the text of each can be selected. */
export function LabelSet({ labels, hide }: { labels: Labels; hide?: (name: string) => boolean }) {
  const keys = Object.keys(labels).filter((k) => !hide?.(k)).sort();
  return <span class="lset">{keys.map((k) => <span key={k}><b>{k}=</b>{JSON.stringify(labels[k])}</span>)}</span>;
}
