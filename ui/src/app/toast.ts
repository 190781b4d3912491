// SPDX-License-Identifier: Apache-2.0
import { signal } from "@preact/signals";
import { t } from "../i18n/i18n";

export const toasts = signal<{ id: number; text: string }[]>([]);
let next = 0;

/** Shows a short message for three seconds. */
export function toast(text: string): void {
  const id = next++;
  toasts.value = [...toasts.value, { id, text }];
  setTimeout(() => (toasts.value = toasts.value.filter((m) => m.id !== id)), 3000);
}

/** Copies text, also where the clipboard API is absent (plain http beyond localhost). */
export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    area.style.position = "fixed";
    area.style.opacity = "0";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  toast(t("common.copied"));
}
