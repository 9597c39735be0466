/** Where a person pauses, also in a room that is never quiet. The same rule runs in `ringthrough.audio.pauses`. */

import { SlidingWindow } from "./windows.js"

/** Below this level (-50 dB of full scale) nothing is heard. */
export const QUIET_RMS = 10 ** (-50 / 20)

/** Levels are compared with those of the last 3 s: in so long most people pause. */
export const COMPARED_SLOTS = 150

/** A pause is at most 3.5 dB above the quietest twentieth of them, */
const QUIETEST_SHARE = 0.05
const OVER_QUIETEST = 1.5

/** and at least 12 dB below the loudest: what never changes, such as a tone, is no pause. */
const UNDER_LOUDEST = 0.25

/** Tells slots of speech from those between. */
export class Pauses {
  readonly #levels = new SlidingWindow(COMPARED_SLOTS)

  /** Takes the level of the next slot (root mean square, of full scale); returns whether nobody speaks in it. */
  isPause(level: number): boolean {
    this.#levels.add(level)
    if (level < QUIET_RMS) return true
    const room = Math.min(OVER_QUIETEST * this.#levels.quantile(QUIETEST_SHARE), UNDER_LOUDEST * this.#levels.largest())
    return this.#levels.isFull && level <= room
  }
}
