/** Sliding windows over what was measured last: smallest, largest, and any quantile. */

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

/** The last `size` values. `smallest`, `largest` and `quantile` throw `RangeError` when there is none. */
export class SlidingWindow {
  readonly #size: number
  readonly #recent: number[] = []
  readonly #sorted: number[] = []

  constructor(size: number) {
    if (size < 1) throw new RangeError("a window holds at least one value")
    this.#size = size
  }

  get length(): number {
    return this.#recent.length
  }

  /** Whether the next value takes the place of the oldest. */
  get isFull(): boolean {
    return this.#recent.length === this.#size
  }

  /** Adds the newest value, forgetting the oldest of a full window. */
  add(value: number): void {
    if (this.isFull) {
      const oldest = this.#recent.shift()!
      this.#sorted.splice(lowerBound(this.#sorted, oldest), 1)
    }
    this.#recent.push(value)
    this.#sorted.splice(lowerBound(this.#sorted, value), 0, value)
  }

  clear(): void {
    this.#recent.length = 0
    this.#sorted.length = 0
  }

  smallest(): number {
    return this.quantile(0)
  }

  largest(): number {
    return this.quantile(1)
  }

  /** The value that `share` (0..1) of the values do not exceed; of few values this is the largest. */
  quantile(share: number): number {
    const value = this.#sorted[Math.max(1, Math.ceil(share * this.#sorted.length)) - 1]
    if (value === undefined) throw new RangeError("no values yet")
    return value
  }
}

/**
 * The smallest of the last `size` delays in ms, once there are `least` of them.
 *
 * One pull that came late would make a short buffer look long; the smallest of many pulls does not.
 */
export class SettledMinimum {
  readonly #size: number
  readonly #least: number
  readonly #recent: number[] = []

  constructor(size: number, least: number) {
    if (least < 1 || least > size) throw new RangeError("a minimum needs at least one delay, and room for all that it needs")
    this.#size = size
    this.#least = least
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

  /** The minimum, null while there are too few. */
  settledMs(): number | null {
    return this.#recent.length >= this.#least ? Math.min(...this.#recent) : null
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
