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
  private bad: boolean[] = []
  private goodRun = 0
  /** When the mode changed last. */
  private changedMs: number | null = null
  private watchedMs: number | null = null
  private saidMs = 0
  private restMs: number = given.REST_MS
  /** Whether any frame passed in both directions in the last second. */
  private passes = true

  /**
   * A second has passed: what is heard here, and what the peer last reported, null where it sent nothing in this second.
   * Returns whether the mode has changed.
   */
  second(here: Heard, there: Heard | null, nowMs: number): boolean {
    if (this.watchedMs !== null && nowMs - this.watchedMs > given.STOPPED_MS) {
      this.bad = []
      this.goodRun = 0
    }
    this.watchedMs = nowMs
    this.passes = there !== null && there.percent < 100
    this.bad = [...this.bad, there === null || isBad(here) || isBad(there)].slice(-given.LONG_WINDOW_SECONDS)
    this.goodRun = there !== null && isGood(here) && isGood(there) ? this.goodRun + 1 : 0
    if (this.mode === Mode.INTERACTIVE) {
      if (!this.isHopeless()) return false
      if (this.changedMs !== null) {
        const isSteady = nowMs - this.changedMs >= given.STEADY_MS
        this.restMs = isSteady ? given.REST_MS : Math.min(this.restMs * 2, given.REST_MS_MAX)
      }
      this.saidMs = nowMs
      this.enter(Mode.NOTES, nowMs)
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

  /** Whether to say that we are still here: neither frames nor a note have told it for a while. */
  isPresenceDue(nowMs: number): boolean {
    return this.mode === Mode.NOTES && !this.passes && nowMs - this.saidMs >= given.PRESENCE_MS
  }

  private isHopeless(): boolean {
    const count = (seconds: number): number => this.bad.slice(-seconds).filter(Boolean).length
    return count(given.WINDOW_SECONDS) >= given.BAD_SECONDS || count(given.LONG_WINDOW_SECONDS) >= given.LONG_BAD_SECONDS
  }

  private enter(mode: Mode, nowMs: number): void {
    this.mode = mode
    this.changedMs = nowMs
    this.bad = []
    this.goodRun = 0
  }
}
