// How well the two sides of a call hear each other, in the words of the call screen.
import type { Report } from "../core/audio/report.js"
import type { Quality } from "./api.js"

/** Shares of the sound that is lost or late, above which it is no longer good, and poor. */
export const FAIR_SHARE = 0.02
export const POOR_SHARE = 0.1
/** The other side tells of its last second, once a second: one bad one is no news. */
const THERE_SECONDS = 5

export function qualityOf(lostShare: number): Quality {
  return lostShare > POOR_SHARE ? "poor" : lostShare > FAIR_SHARE ? "fair" : "good"
}

/** What the other side's reports tell of what it hears. What copies repair counts as lost in them. */
export class HeardThere {
  private readonly percents: number[] = []

  /** Once a second, with the newest report. */
  second({ lostPercent, latePercent }: Pick<Report, "lostPercent" | "latePercent">): void {
    this.percents.push(Math.min(100, lostPercent + latePercent))
    if (this.percents.length > THERE_SECONDS) this.percents.shift()
  }

  get quality(): Quality {
    if (this.percents.length < THERE_SECONDS) return "unknown"
    return qualityOf(this.percents.reduce((sum, percent) => sum + percent, 0) / (100 * THERE_SECONDS))
  }
}
