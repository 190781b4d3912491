// SPDX-License-Identifier: Apache-2.0
// Renders only the rows in sight. Rows may differ in height: each is measured once it is drawn.
import { signal } from "@preact/signals";
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";

/** On while the page is printed: lists then draw everything. */
export const printing = signal(false);
addEventListener("beforeprint", () => (printing.value = true));
addEventListener("afterprint", () => (printing.value = false));

const WHOLE_MAX = 80; // lists up to here are drawn whole
const SPARE_PX = 300;

export interface Virtual {
  start: number;
  end: number;
  before: number; // px of the rows left out above
  after: number;
  measure: (i: number) => (el: Element | null) => void;
}

/** First index whose top is beyond y; tops is ascending, tops[0] = 0. */
export function rowAt(tops: Float64Array, y: number): number {
  let lo = 0;
  let hi = tops.length - 1;
  while (lo < hi) {
    const mid = (lo + hi + 1) >> 1;
    if (tops[mid]! <= y) lo = mid;
    else hi = mid - 1;
  }
  return lo;
}

/**
 * The window of `count` rows to draw inside `box`; it scrolls with the page, or in `box` itself when `inner`.
 * `estimate` is the height of a row not yet measured. Heights are forgotten when `key` changes.
 */
export function useVirtual(count: number, estimate: number, box: { current: HTMLElement | null }, inner = false, key: unknown = count): Virtual {
  const heights = useMemo(() => new Float64Array(count).fill(estimate), [count, estimate, key]);
  const [version, bump] = useState(0);
  const [view, setView] = useState({ top: 0, height: innerHeight });
  const dirty = useRef(false);
  const whole = count <= WHOLE_MAX || printing.value;

  const tops = useMemo(() => {
    const out = new Float64Array(count + 1);
    for (let i = 0; i < count; i++) out[i + 1] = out[i]! + heights[i]!;
    return out;
  }, [heights, version]);

  useEffect(() => {
    if (whole) return;
    const scroller: HTMLElement | Window = inner && box.current ? box.current : window;
    let frame = 0;
    const look = () => {
      frame = 0;
      const el = box.current;
      if (!el) return;
      if (inner) setView({ top: el.scrollTop, height: el.clientHeight });
      else setView({ top: Math.max(0, -el.getBoundingClientRect().top), height: innerHeight });
    };
    const later = () => (frame ||= requestAnimationFrame(look));
    look();
    scroller.addEventListener("scroll", later, { passive: true });
    addEventListener("resize", later);
    return () => {
      cancelAnimationFrame(frame);
      scroller.removeEventListener("scroll", later);
      removeEventListener("resize", later);
    };
  }, [whole, inner, count]);

  useLayoutEffect(() => {
    if (!dirty.current) return;
    dirty.current = false;
    bump((v) => v + 1);
  });

  const measure = useCallback(
    (i: number) => (el: Element | null) => {
      if (!el || whole) return;
      const h = el.getBoundingClientRect().height;
      if (h > 0 && Math.abs(h - heights[i]!) > 0.5) {
        heights[i] = h;
        dirty.current = true;
      }
    },
    [heights, whole],
  );

  if (whole) return { start: 0, end: count, before: 0, after: 0, measure };
  const start = rowAt(tops, view.top - SPARE_PX);
  const end = Math.min(count, rowAt(tops, view.top + view.height + SPARE_PX) + 1);
  return { start, end, before: tops[start]!, after: tops[count]! - tops[end]!, measure };
}
