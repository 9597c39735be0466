// Random inputs that are the same each time: mulberry32, seeded by the test.

export class Chance {
  private state: number

  constructor(seed: number) {
    this.state = seed >>> 0
  }

  /** A whole number from 0 to `end` - 1. */
  below(end: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * end)
  }

  from<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256))
  }

  text(length: number): string {
    return Array.from({ length }, () => this.from(["a", "Z", "0", " ", "é", "я", "☕", "🙂", "\u0000"])).join("")
  }

  /** Of any magnitude up to `bits` bits, small ones as often as large ones. */
  integer(bits: number): number {
    const value = this.below(2 ** 26) * 2 ** 27 + this.below(2 ** 27)
    return Math.floor(value / 2 ** (53 - this.below(bits + 1)))
  }

  /** `bytes` with one to four of them changed, and often cut short or made longer. */
  damaged(bytes: Uint8Array): Uint8Array {
    const copy = bytes.slice()
    for (let i = this.below(4); i >= 0 && copy.length > 0; i--) copy[this.below(copy.length)] = this.below(256)
    const which = this.below(4)
    if (which === 0) return copy.slice(0, this.below(copy.length + 1))
    return which === 1 ? Uint8Array.from([...copy, ...this.bytes(1 + this.below(8))]) : copy
  }
}

/** `work`'s outcome, or undefined where it threw one of the documented errors; any other error goes through. */
export function unless<T>(errors: readonly (abstract new (...args: never[]) => Error)[], work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (errors.some((kind) => error instanceof kind)) return undefined
    throw error
  }
}
