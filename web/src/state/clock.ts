/** Time as an argument: the page passes the real one, tests a virtual one. */

export interface Clock {
  /** Unix milliseconds. */
  nowMs(): number
  /** Calls `run` after `delayMs`; the returned function cancels it. */
  after(delayMs: number, run: () => void): () => void
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs)
    return () => clearTimeout(timer)
  },
}
