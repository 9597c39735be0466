/** Time that passes when a test says so. */

import type { Clock } from "../../src/state/clock.js"

export class VirtualClock implements Clock {
  #nowMs = 1_700_000_000_000
  #due: { atMs: number; run: () => void }[] = []

  nowMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, run }
    this.#due.push(timer)
    return () => {
      this.#due = this.#due.filter((other) => other !== timer)
    }
  }

  pass(ms: number): void {
    const endMs = this.#nowMs + ms
    for (;;) {
      const next = this.#due.filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0]
      if (next === undefined) break
      this.#due = this.#due.filter((other) => other !== next)
      this.#nowMs = next.atMs
      next.run()
    }
    this.#nowMs = endMs
  }
}
