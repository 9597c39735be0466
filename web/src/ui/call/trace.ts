/** The last minute of a call as a drawing: a line for the way to the server and back, a bar for each second with sound lost. */

import type { TracePoint } from "../../worker/api.js"

export const SECONDS = 60
export const HEIGHT = 32
/** Round trips below are drawn alike: what nobody feels must not look like a mountain. */
const SCALE_MS_MIN = 200
const LOST_SHARE_SHOWN = 0.02

export interface Drawing {
  /** Points of a polyline on `SECONDS` by `HEIGHT`, the newest at the end of the line. */
  readonly line: string
  readonly lost: readonly { readonly x: number; readonly height: number }[]
  /** The median of the round trips. */
  readonly roundTripMs: number
}

export function draw(trace: readonly TracePoint[]): Drawing {
  const shown = trace.slice(-SECONDS)
  const sorted = shown.map(({ roundTripMs }) => roundTripMs).sort((a, b) => a - b)
  const scaleMs = Math.max(SCALE_MS_MIN, sorted.at(-1) ?? 0)
  const start = SECONDS - shown.length
  return {
    line: shown.map(({ roundTripMs }, index) => `${start + index + 0.5},${(HEIGHT - 1 - (roundTripMs / scaleMs) * (HEIGHT - 2)).toFixed(1)}`).join(" "),
    lost: shown.flatMap(({ lostShare }, index) =>
      lostShare < LOST_SHARE_SHOWN ? [] : [{ x: start + index, height: Math.max(3, Math.round(Math.min(1, lostShare * 2) * HEIGHT)) }]),
    roundTripMs: sorted[Math.floor(sorted.length / 2)] ?? 0,
  }
}
