// A piece of the API on a page: loaded, refreshed while the page is visible, and its error kept beside its last value.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { ApiError, get } from "./api.ts";
import { stopped } from "./stream.ts";

export interface Resource<T> {
  data: T | null;
  error: ApiError | null;
  /** Fetch now. */
  reload: () => void;
}

interface State<T> {
  path: string | null;
  data: T | null;
  error: ApiError | null;
}

interface Options {
  /** Refresh this often, in milliseconds; never, if absent. */
  everyMs?: number;
  /** Refresh when this changes. */
  version?: unknown;
  /** Keep showing the old data when only the query changes. */
  keep?: boolean;
}

/** `path` null means: nothing to load. */
export function useResource<T>(path: string | null, options: Options = {}): Resource<T> {
  const { everyMs, version, keep = false } = options;
  const [state, setState] = useState<State<T>>({ path, data: null, error: null });
  const [round, setRound] = useState(0);
  const busy = useRef(false);
  const reload = useCallback(() => setRound((value) => value + 1), []);

  useEffect(() => {
    if (path === null) return;
    const abort = new AbortController();
    busy.current = true;
    get<T>(path, abort.signal)
      .then((data) => setState({ path, data, error: null }))
      .catch((error: unknown) => {
        if (abort.signal.aborted) return;
        const problem = error instanceof ApiError ? error : new ApiError(0, String(error));
        setState((old) => ({ path, data: old.path === path || keep ? old.data : null, error: problem }));
      })
      .finally(() => {
        if (!abort.signal.aborted) busy.current = false;
      });
    return () => abort.abort();
  }, [path, version, round, keep]);

  useEffect(() => {
    if (everyMs === undefined || path === null) return;
    const timer = window.setInterval(() => {
      // One request at a time: a slow gateway is asked less often, not more.
      if (!document.hidden && !stopped.peek() && !busy.current) reload();
    }, everyMs);
    return () => window.clearInterval(timer);
  }, [path, everyMs, reload]);

  const fits = state.path === path || keep;
  return { data: fits ? state.data : null, error: fits ? state.error : null, reload };
}
