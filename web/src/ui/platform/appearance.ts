/** The person's choices of colours, size and motion, on the root element; `early.js` does the same before the first paint. */

import type { PreferenceValues } from "../../state/preferences.svelte.js"

export function applyAppearance(values: PreferenceValues): void {
  const root = document.documentElement
  if (values.theme === "system") delete root.dataset["theme"]
  else root.dataset["theme"] = values.theme
  if (values.calm) root.dataset["motion"] = "off"
  else delete root.dataset["motion"]
  root.style.fontSize = values.textPercent > 100 ? `${values.textPercent}%` : ""
}
