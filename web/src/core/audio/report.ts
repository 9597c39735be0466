/** What the receiver of a call tells the sender in every frame (docs/spec/media.md section 5.1). */

import { MalformedPayload } from "./errors.js"
import { BURST_PACKETS, type Redundancy, REDUNDANCIES, REPORT_SLOTS, TARGET_UNIT_MS, WISH_SECONDS } from "./profiles.js"

/** Which way the receiver wants the frames to come, by their numbers. */
export const CARRIERS = ["message", "direct", "both"] as const
export type Carrier = (typeof CARRIERS)[number]

/** One direction of a call as it is heard. `targetMs` is 0 while nothing was heard. */
export interface Report {
  readonly lostPercent: number
  readonly latePercent: number
  readonly targetMs: number
  readonly carrier: Carrier
  readonly redundancy: Redundancy
  /** Whether there is room for short packets on the way to the receiver. */
  readonly takesShort: boolean
}

export const NO_REPORT: Report = {
  lostPercent: 0, latePercent: 0, targetMs: 0, carrier: "message", redundancy: "none", takesShort: false,
}

/** Its four bytes. */
export function encodeReport({ lostPercent, latePercent, targetMs, carrier, redundancy, takesShort }: Report): Uint8Array {
  const target = Math.min(Math.ceil(targetMs / TARGET_UNIT_MS), 0xff)
  const wishes = (Number(takesShort) << 4) | (REDUNDANCIES.indexOf(redundancy) << 2) | CARRIERS.indexOf(carrier)
  return Uint8Array.of(lostPercent, latePercent, target, wishes)
}

/** Throws `MalformedPayload` for a share above 100 %, an unknown wish, or a reserved bit. */
export function decodeReport(data: Uint8Array): Report {
  const [lostPercent, latePercent, target, wishes] = data as unknown as [number, number, number, number]
  if (lostPercent + latePercent > 100) throw new MalformedPayload(`${lostPercent} % lost and ${latePercent} % late`)
  const carrier = CARRIERS[wishes & 3]
  const redundancy = REDUNDANCIES[(wishes >> 2) & 3]
  if (carrier === undefined || redundancy === undefined || wishes >> 5 !== 0) throw new MalformedPayload(`wishes ${wishes}`)
  const takesShort = wishes >> 4 === 1
  return { lostPercent, latePercent, targetMs: target * TARGET_UNIT_MS, carrier, redundancy, takesShort }
}

type Fate = "came" | "late" | "lost"

/** Whether the last slots played were brought by their own packets: in time, late, or not at all. */
export class SlotFates {
  readonly #fates = new Map<number, Fate>()

  constructor(private readonly size: number = REPORT_SLOTS) {}

  /** `slot` is played, or would be; `came` tells whether its own packet is here. */
  due(slot: number, came: boolean): void {
    this.#fates.delete(slot)
    this.#fates.set(slot, came ? "came" : "lost")
    if (this.#fates.size > this.size) this.#fates.delete(this.#fates.keys().next().value!)
  }

  /** The own packet of `slot` has come after all. */
  came(slot: number): void {
    if (this.#fates.get(slot) === "lost") this.#fates.set(slot, "late")
  }

  clear(): void {
    this.#fates.clear()
  }

  /** Lost and late slots in percent of those known, rounded down: together at most 100. */
  percent(): { readonly lost: number; readonly late: number } {
    const counts = { came: 0, late: 0, lost: 0 }
    for (const fate of this.#fates.values()) counts[fate]++
    const known = Math.max(1, this.#fates.size)
    return { lost: Math.floor((counts.lost * 100) / known), late: Math.floor((counts.late * 100) / known) }
  }

  /** How many lost slots there are in a row, on average; 0 where none is lost. */
  meanLostRun(): number {
    let lost = 0
    let runs = 0
    let before: Fate | null = null
    for (const fate of this.#fates.values()) {
      if (fate === "lost") {
        lost++
        if (before !== "lost") runs++
      }
      before = fate
    }
    return runs === 0 ? 0 : lost / runs
  }
}

/** Loss from which each is wished for; it is kept down to half of that. */
const LEAST_PERCENT: Readonly<Record<Redundancy, number>> = { none: 0, d1: 2, d12: 8, d13: 2 }

/** Which copies to wish for: more as soon as much is lost, less when little was for some seconds. */
export class RedundancyWish {
  readonly #seconds: number[] = []
  #wish: Redundancy = "none"

  /** The present one. */
  get wish(): Redundancy {
    return this.#wish
  }

  /** A second has passed: the share lost in it, and how many packets in a row are lost on average. */
  second(lostPercent: number, lostRunPackets: number): void {
    this.#seconds.push(lostPercent)
    if (this.#seconds.length > WISH_SECONDS) this.#seconds.shift()
    const mean = this.#seconds.reduce((sum, percent) => sum + percent, 0) / this.#seconds.length
    const loss = Math.max(mean, lostPercent / 2)
    let wanted: Redundancy = "none"
    if (loss >= LEAST_PERCENT.d1) {
      const several = loss >= LEAST_PERCENT.d12 ? "d12" : "d1"
      wanted = lostRunPackets >= BURST_PACKETS ? "d13" : several
    }
    const isMore = REDUNDANCIES.indexOf(wanted) >= REDUNDANCIES.indexOf(this.#wish)
    if (isMore || loss < LEAST_PERCENT[this.#wish] / 2) this.#wish = wanted
  }
}
