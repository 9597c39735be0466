/** How far each row of a long list lies from its end: measured where it was drawn, guessed elsewhere. Pure. */

const GUESS_PX = 64

export class Heights<Id> {
  readonly #known = new Map<Id, number>()
  #ids: readonly Id[] = []
  #index = new Map<Id, number>()
  /** `#below[i]`: pixels between the end of the list and the lower edge of row `i`; one more entry above the first row. */
  #below = new Float64Array(1)

  /** True when the height is news. */
  measure(id: Id, height: number): boolean {
    if (Math.abs((this.#known.get(id) ?? -1) - height) < 0.5) return false
    this.#known.set(id, height)
    return true
  }

  /** Takes the list as it is now; costs one pass over it. */
  arrange(ids: readonly Id[]): void {
    const count = ids.length
    if (this.#ids !== ids) {
      this.#ids = ids
      this.#index = new Map(ids.map((id, index) => [id, index]))
      this.#below = new Float64Array(count + 1)
    }
    let sum = 0
    for (let row = count - 1; row >= 0; row--) {
      this.#below[row + 1] = sum
      sum += this.#known.get(ids[row]!) ?? GUESS_PX
    }
    this.#below[0] = sum
  }

  get total(): number {
    return this.#below[0] ?? 0
  }

  /** Pixels from the end of the list to the lower edge of a row; null when it is not in the list. */
  below(id: Id): number | null {
    const row = this.#index.get(id)
    return row === undefined ? null : this.#below[row + 1]!
  }

  indexOf(id: Id): number {
    return this.#index.get(id) ?? -1
  }

  idAt(row: number): Id | undefined {
    return this.#ids[row]
  }

  /** Pixels from the end to the upper edge of row `row`; `row` may be the count, which gives 0. */
  above(row: number): number {
    return this.#below[row]!
  }

  /** The row that `distance` pixels from the end fall into. */
  rowAt(distance: number): number {
    let low = 0
    let high = this.#ids.length - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.#below[middle]! > distance) low = middle
      else high = middle - 1
    }
    return Math.max(0, low)
  }
}
