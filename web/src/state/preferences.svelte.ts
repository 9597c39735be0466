/** How this browser shows things. Kept in clear in the browser: none of it says with whom the person talks. */

export type Theme = "system" | "light" | "dark"

export interface PreferenceValues {
  readonly theme: Theme
  /** 100 to 200. */
  readonly textPercent: number
  /** No motion, whatever the system says. */
  readonly calm: boolean
  readonly notify: boolean
  /** Notifications show who wrote and what. */
  readonly notifyText: boolean
  readonly ringSound: boolean
  /** Calls never connect to the other side directly, which would show it this device's address. */
  readonly hideAddress: boolean
  /** Null: the browser's default. */
  readonly inputDeviceId: string | null
  readonly outputDeviceId: string | null
}

export const TEXT_PERCENTS = [100, 115, 130, 150, 175, 200] as const

const DEFAULTS: PreferenceValues = {
  theme: "system", textPercent: 100, calm: false, notify: false, notifyText: true, ringSound: true, hideAddress: false,
  inputDeviceId: null, outputDeviceId: null,
}

export const KEY = "preferences"

/** The two calls of `Storage` that are used. */
export interface Keep {
  getItem(key: string): string | null
  setItem(key: string, value: string): void
}

/** What was kept, each value checked: another version, or a curious person, may have written it. */
export function readPreferences(kept: string | null): PreferenceValues {
  let found: Record<string, unknown> = {}
  try {
    const parsed: unknown = JSON.parse(kept ?? "{}")
    if (typeof parsed === "object" && parsed !== null) found = parsed as Record<string, unknown>
  } catch {
    return DEFAULTS
  }
  const flag = (name: "calm" | "notify" | "notifyText" | "ringSound" | "hideAddress"): boolean =>
    typeof found[name] === "boolean" ? found[name] : DEFAULTS[name]
  const device = (name: string): string | null => (typeof found[name] === "string" ? found[name] : null)
  return {
    theme: found["theme"] === "light" || found["theme"] === "dark" ? found["theme"] : "system",
    textPercent: TEXT_PERCENTS.find((percent) => percent === found["textPercent"]) ?? 100,
    calm: flag("calm"), notify: flag("notify"), notifyText: flag("notifyText"), ringSound: flag("ringSound"), hideAddress: flag("hideAddress"),
    inputDeviceId: device("inputDeviceId"), outputDeviceId: device("outputDeviceId"),
  }
}

export class Preferences {
  readonly #keep: Keep | null
  readonly #listeners: ((now: PreferenceValues, before: PreferenceValues) => void)[] = []
  values = $state.raw<PreferenceValues>(DEFAULTS)

  /** `keep` is null where the browser refuses storage: choices then last until the page closes. */
  constructor(keep: Keep | null) {
    this.#keep = keep
    this.values = readPreferences(keep?.getItem(KEY) ?? null)
  }

  /** Called after each change, wherever it was made. */
  onChange(listener: (now: PreferenceValues, before: PreferenceValues) => void): void {
    this.#listeners.push(listener)
  }

  /** Another tab has kept this. */
  keptElsewhere(kept: string | null): void {
    this.#set(readPreferences(kept))
  }

  #set(values: PreferenceValues): void {
    const before = this.values
    this.values = values
    for (const listener of this.#listeners) listener(values, before)
  }

  change(some: Partial<PreferenceValues>): void {
    this.#set({ ...this.values, ...some })
    try {
      this.#keep?.setItem(KEY, JSON.stringify(this.values))
    } catch {
      // Storage is full or closed; the choice holds until the page closes.
    }
  }
}
