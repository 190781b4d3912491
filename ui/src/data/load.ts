// SPDX-License-Identifier: Apache-2.0
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError } from "./client";

export interface Loaded<T> {
  data: T | undefined; // what came last; it stays while the next comes
  error: ApiError | undefined;
  busy: boolean;
  at: number; // when the data came, epoch ms
  reload: () => void;
}

/** Runs an asynchronous load on mount and when `deps` change; leaving aborts it. `every_ms` repeats it in sight. */
export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, deps: unknown[], every_ms = 0): Loaded<T> {
  const [state, setState] = useState<Omit<Loaded<T>, "reload">>({ data: undefined, error: undefined, busy: true, at: 0 });
  const [round, setRound] = useState(0);
  const latest = useRef(load);
  latest.current = load;

  useEffect(() => {
    const abort = new AbortController();
    setState((s) => ({ ...s, busy: true }));
    latest.current(abort.signal).then(
      (data) => !abort.signal.aborted && setState({ data, error: undefined, busy: false, at: Date.now() }),
      (e: Error) => {
        if (abort.signal.aborted) return;
        const error = e instanceof ApiError ? e : new ApiError(e.message, "internal", 0);
        setState((s) => ({ ...s, error, busy: false }));
      },
    );
    return () => abort.abort();
  }, [...deps, round]);

  useEffect(() => {
    if (!every_ms) return;
    const timer = setInterval(() => document.hidden || setRound((r) => r + 1), every_ms);
    return () => clearInterval(timer);
  }, [every_ms]);

  return { ...state, reload: useCallback(() => setRound((r) => r + 1), []) };
}
