/** Sliding windows over packet delays: the network's floor and its tail, from arrival times alone. */

/** First index of `sorted` whose value is not below `value`. */
function lowerBound(sorted: readonly number[], value: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle]! < value) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * The last `size` delays in ms, with their minimum and any quantile.
 *
 * A delay is "arrival time minus nominal sending time" across two unrelated clocks: only differences mean anything.
 * The window, not the first packet, gives the floor: a call that starts while the network is busy would otherwise
 * keep that start-up delay to its end.
 */
export class DelayWindow {
  readonly #size: number
  readonly #recent: number[] = []
  readonly #sorted: number[] = []

  constructor(size: number) {
    if (size < 1) throw new RangeError("a window holds at least one delay")
    this.#size = size
  }

  get length(): number {
    return this.#recent.length
  }

  /** Adds the newest delay, forgetting the oldest of a full window. */
  add(delayMs: number): void {
    if (this.#recent.length === this.#size) {
      const oldest = this.#recent.shift()!
      this.#sorted.splice(lowerBound(this.#sorted, oldest), 1)
    }
    this.#recent.push(delayMs)
    this.#sorted.splice(lowerBound(this.#sorted, delayMs), 0, delayMs)
  }

  clear(): void {
    this.#recent.length = 0
    this.#sorted.length = 0
  }

  /** The smallest delay. Throws `RangeError` when the window is empty. */
  floorMs(): number {
    const floor = this.#sorted[0]
    if (floor === undefined) throw new RangeError("no delays yet")
    return floor
  }

  /** The `quantile` (0..1) of the delays, over the floor; of few delays this is the largest. */
  aboveFloorMs(quantile: number): number {
    const rank = Math.max(1, Math.ceil(quantile * this.#sorted.length))
    return this.#sorted[rank - 1]! - this.floorMs()
  }
}

/**
 * The smallest of the last `size` delays, once there are so many.
 *
 * One pull that came late would make a short buffer look long; the smallest of a second's pulls does not.
 */
export class SettledMinimum {
  readonly #size: number
  readonly #recent: number[] = []

  constructor(size: number) {
    if (size < 1) throw new RangeError("a minimum needs at least one delay")
    this.#size = size
  }

  add(delayMs: number): void {
    if (this.#recent.length === this.#size) this.#recent.shift()
    this.#recent.push(delayMs)
  }

  /** Moves every remembered delay: the schedule or the floor they were counted from has moved. */
  shift(byMs: number): void {
    for (let index = 0; index < this.#recent.length; index++) this.#recent[index]! += byMs
  }

  clear(): void {
    this.#recent.length = 0
  }

  /** The minimum, null while the window is not full. */
  settledMs(): number | null {
    return this.#recent.length === this.#size ? Math.min(...this.#recent) : null
  }
}

/** The longest packet of the last `size` slots of sound; 1 slot while none is known. */
export class LongestRecent {
  readonly #size: number
  readonly #recent: number[] = []
  #sum = 0

  constructor(size: number) {
    this.#size = size
  }

  /** Adds the length of the newest packet, forgetting those that `size` slots no longer reach. */
  add(slots: number): void {
    this.#recent.push(slots)
    this.#sum += slots
    while (this.#sum - this.#recent[0]! >= this.#size) this.#sum -= this.#recent.shift()!
  }

  clear(): void {
    this.#recent.length = this.#sum = 0
  }

  /** The length in slots. */
  longest(): number {
    return Math.max(1, ...this.#recent)
  }
}
