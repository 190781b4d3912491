// SPDX-License-Identifier: Apache-2.0
// A search box over a list: arrows move, Enter picks. Long lists draw only what is in sight.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { t } from "../i18n/i18n";
import { Dialog } from "./dialog";
import { useVirtual } from "./virtual";

interface Props<T> {
  label: string;
  items: T[];
  text: (item: T) => string;
  show: (item: T) => ComponentChildren;
  pick: (item: T) => void;
  close: () => void;
  busy?: boolean;
  foot?: ComponentChildren;
}

/** Items that hold every word of the search; those that begin with it come first. */
export function matching<T>(items: T[], text: (item: T) => string, search: string): T[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return items;
  const hits = items.filter((i) => {
    const low = text(i).toLowerCase();
    return words.every((w) => low.includes(w));
  });
  const starts = (i: T) => (text(i).toLowerCase().startsWith(words[0]!) ? 0 : 1);
  return hits.sort((a, b) => starts(a) - starts(b));
}

export function PickDialog<T>({ label, items, text, show, pick, close, busy, foot }: Props<T>) {
  const [search, setSearch] = useState("");
  const [at, setAt] = useState(0);
  const box = useRef<HTMLDivElement>(null);
  const hits = matching(items, text, search);
  const view = useVirtual(hits.length, 28, box, true, search);
  const cursor = Math.min(at, hits.length - 1);

  useEffect(() => {
    box.current?.querySelector("[aria-selected=true]")?.scrollIntoView({ block: "nearest" });
  }, [cursor]);

  const onKey = (e: KeyboardEvent) => {
    if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      e.preventDefault();
      setAt(Math.max(0, Math.min(hits.length - 1, cursor + (e.key === "ArrowDown" ? 1 : -1))));
    } else if (e.key === "Enter" && hits[cursor]) {
      e.preventDefault();
      close();
      pick(hits[cursor]);
    }
  };
  const head = (
    <input class="input grow" autofocus placeholder={label} aria-label={label} value={search} role="combobox" aria-expanded="true" aria-controls="picks"
      aria-activedescendant={cursor >= 0 ? `pick-${cursor}` : undefined} spellcheck={false} autocomplete="off"
      onInput={(e) => { setSearch(e.currentTarget.value); setAt(0); }} onKeyDown={onKey} />
  );
  return (
    <Dialog label={label} head={head} close={close}>
      <div class="body" ref={box} role="listbox" id="picks" aria-label={label} style={{ minHeight: "min(50vh, 320px)" }}>
        <div style={{ height: `${view.before}px` }} />
        {hits.slice(view.start, view.end).map((item, k) => {
          const i = view.start + k;
          return (
            <button key={i} class="pick" role="option" id={`pick-${i}`} ref={view.measure(i)} tabIndex={-1} aria-selected={i === cursor}
              onClick={() => { close(); pick(item); }}>{show(item)}</button>
          );
        })}
        <div style={{ height: `${view.after}px` }} />
        {!hits.length && <div class="empty">{busy ? t("common.loading") : t("common.nothing")}</div>}
      </div>
      {foot}
    </Dialog>
  );
}
