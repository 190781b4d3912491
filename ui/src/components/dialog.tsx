// SPDX-License-Identifier: Apache-2.0
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "../app/icons";
import { t } from "../i18n/i18n";

/** A modal window; Escape and a click beside it close it. The head may hold an input in place of the title. */
export function Dialog({ label, head, close, children }: { label: string; head?: ComponentChildren; close: () => void; children: ComponentChildren }) {
  const box = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const d = box.current!;
    const back = document.activeElement as HTMLElement | null;
    d.showModal();
    d.querySelector<HTMLElement>("[autofocus]")?.focus();
    return () => {
      d.close();
      back?.focus?.();
    };
  }, []);
  return (
    <dialog ref={box} aria-label={label} onCancel={(e) => { e.preventDefault(); close(); }} onClick={(e) => e.target === box.current && close()}>
      <header>
        {head ?? <h2 class="grow">{label}</h2>}
        <button class="btn ghost icon" onClick={close} aria-label={t("common.close")}><Icon name="close" /></button>
      </header>
      {children}
    </dialog>
  );
}
