/** Seconds that pass, for the timer of a call. */

import { onDestroy } from "svelte"
import type { Clock } from "../../state/clock.js"

/** Reactive: the time now, renewed at every full second since `sinceMs`. */
export function tickingNow(clock: Clock, sinceMs: () => number | null): { readonly nowMs: number } {
  let nowMs = $state(clock.nowMs())
  let cancel: () => void = () => undefined
  $effect(() => {
    const since = sinceMs()
    const tick = (): void => {
      nowMs = clock.nowMs()
      if (since !== null) cancel = clock.after(1000 - ((((nowMs - since) % 1000) + 1000) % 1000) + 10, tick)
    }
    tick()
    return () => cancel()
  })
  onDestroy(() => cancel())
  return {
    get nowMs() {
      return nowMs
    },
  }
}
