/** Where preferences are kept; null where the browser refuses. */

import type { Keep } from "../../state/preferences.svelte.js"

export function browserStorage(): Keep | null {
  try {
    return localStorage
  } catch {
    return null
  }
}
