// SPDX-License-Identifier: Apache-2.0
import { go, place } from "./router";

/** Parameters of the address as state of a page; unknown ones stay. Empty values leave the address. */
export function useParams(): [URLSearchParams, (over: Record<string, string>) => void] {
  const { path, search } = place.value;
  const params = new URLSearchParams(search);
  const set = (over: Record<string, string>) => {
    const next = new URLSearchParams(place.value.search);
    for (const [k, v] of Object.entries(over)) {
      if (v) next.set(k, v);
      else next.delete(k);
    }
    const text = next.toString();
    go(path + (text ? `?${text}` : ""), true);
  };
  return [params, set];
}
