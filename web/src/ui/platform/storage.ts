/** Where preferences are kept; null where the browser refuses. */

import type { Keep } from "../../state/preferences.svelte.js"

export function browserStorage(): Keep | null {
  try {
    return localStorage
  } catch {
    return null
  }
}

/** Calls `listener` with what another tab has kept under `key`. */
export function whenKeptElsewhere(key: string, listener: (kept: string | null) => void): void {
  window.addEventListener("storage", (event) => {
    if (event.key === key) listener(event.newValue)
  })
}
