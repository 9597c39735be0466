/**
 * When a call that can carry no speech becomes push-to-talk voice notes, and when it turns back.
 *
 * The rule and its reasons are docs/spec/media.md section 9. Both ends go by the same reports, each decides for itself;
 * `vectors/notes` holds both languages to it. Time is an argument, in milliseconds of any steady clock.
 */
import * as given from "./notes-constants.js"
import { Mode } from "./notes-constants.js"

export { Mode } from "./notes-constants.js"

/** One direction in the last second: the share of its sound that was lost or late, and how long playout waits. */
export interface Heard {
  readonly percent: number
  readonly targetMs: number
}

const isBad = ({ percent, targetMs }: Heard): boolean =>
  percent >= (targetMs < given.DELAY_MS_BAD ? given.BAD_PERCENT : given.BAD_PERCENT_DELAYED)

const isGood = ({ percent, targetMs }: Heard): boolean =>
  percent <= (targetMs < given.DELAY_MS_BAD ? given.GOOD_PERCENT : given.GOOD_PERCENT_DELAYED)

/** One device's view of one call. Fed once a second from the first authentic frame on. */
export class Notes {
  mode: Mode = Mode.INTERACTIVE
  /** What each of the last seconds counts for, in percent. */
  private lost: number[] = []
  private goodRun = 0
  /** When the mode changed last. */
  private changedMs: number | null = null
  private watchedMs: number | null = null
  /** When a note of ours was sent last, null where none was since we gave speech up. */
  private saidMs: number | null = null
  private restMs: number = given.REST_MS

  /**
   * A second has passed: what is heard here, and what the peer last reported, null where it sent nothing in this second.
   * Returns whether the mode has changed.
   */
  second(here: Heard, there: Heard | null, nowMs: number): boolean {
    if (this.watchedMs !== null && nowMs - this.watchedMs > given.STOPPED_MS) {
      this.lost = []
      this.goodRun = 0
    }
    this.watchedMs = nowMs
    const counts = there === null || isBad(here) || isBad(there) ? given.PERCENT_BAD : Math.max(here.percent, there.percent)
    this.lost = [...this.lost, counts].slice(-given.WINDOW_SECONDS)
    this.goodRun = there !== null && isGood(here) && isGood(there) ? this.goodRun + 1 : 0
    if (this.mode === Mode.INTERACTIVE) {
      if (this.lost.reduce((sum, percent) => sum + percent, 0) < given.PERCENT_SUM) return false
      this.giveUp(nowMs)
      this.saidMs = null
      return true
    }
    if (this.goodRun < given.GOOD_SECONDS || nowMs - (this.changedMs ?? 0) < this.restMs) return false
    this.enter(Mode.INTERACTIVE, nowMs)
    return true
  }

  /** A note was sent. */
  said(nowMs: number): void {
    this.saidMs = nowMs
  }

  /** A note of the peer has come: it has given speech up. Returns whether the mode has changed. */
  noted(nowMs: number): boolean {
    // Where speech passes, it tells of what is over; where we have just turned back, it may have been on its way since.
    if (this.mode === Mode.NOTES || this.goodRun >= given.GOOD_SECONDS) return false
    if (this.changedMs !== null && nowMs - this.changedMs < given.REST_MS) return false
    this.giveUp(nowMs)
    this.saidMs = nowMs
    return true
  }

  /**
   * Whether to say, with a note that holds nothing, that we have given speech up, and are here: at once, and where no note
   * has told it for a while.
   */
  isPresenceDue(nowMs: number): boolean {
    if (this.mode === Mode.INTERACTIVE) return false
    return this.saidMs === null || nowMs - this.saidMs >= given.PRESENCE_MS
  }

  private giveUp(nowMs: number): void {
    if (this.changedMs !== null) {
      const isSteady = nowMs - this.changedMs >= given.STEADY_MS
      this.restMs = isSteady ? given.REST_MS : Math.min(this.restMs * 2, given.REST_MS_MAX)
    }
    this.enter(Mode.NOTES, nowMs)
  }

  private enter(mode: Mode, nowMs: number): void {
    this.mode = mode
    this.changedMs = nowMs
    this.lost = []
    this.goodRun = 0
  }
}
