/** The browser's address line, as the session needs it. */

import type { Place } from "../../state/session.svelte.js"

export const browserPlace: Place = {
  hash: () => location.hash,
  go(hash, replace) {
    if (hash === location.hash || (hash === "#/" && location.hash === "")) return
    history[replace ? "replaceState" : "pushState"](null, "", hash)
  },
  onChange(listener) {
    addEventListener("popstate", listener)
    addEventListener("hashchange", listener)
  },
}
