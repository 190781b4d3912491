// SPDX-License-Identifier: Apache-2.0
// A series keeps its colour across panels and reloads: a hash of its labels picks the slot.
export const SLOTS = 8;

function hash(s: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < s.length; i++) h = Math.imul(h ^ s.charCodeAt(i), 0x01000193) >>> 0;
  return h >>> 0;
}

/**
 * One slot per series: its own when free, else the next free one. Slots from SLOTS on are the same colours, dashed.
 * The first eight take slots in order of need, so that few series never share a colour.
 */
export function slots(keys: string[]): number[] {
  const out = new Array<number>(keys.length);
  const taken = new Uint8Array(SLOTS);
  let free = SLOTS;
  keys.forEach((k, i) => {
    if (free === 0) {
      out[i] = SLOTS + (hash(k) % SLOTS);
      return;
    }
    let slot = hash(k) % SLOTS;
    while (taken[slot]) slot = (slot + 1) % SLOTS;
    taken[slot] = 1;
    free--;
    out[i] = slot;
  });
  return out;
}

/** The colour of a slot in the theme that is on. */
export function colorOf(slot: number): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--s${slot % SLOTS}`).trim();
}
