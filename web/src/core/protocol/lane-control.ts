// How many copies, lanes and re-sends a hop needs, from what its answers tell (docs/spec/lanes.md section 5).
//
// Two signals that must not be mixed up. Misses: a copy not acknowledged within a round trip and a quarter was held up
// by loss; against loss helps redundancy. Queueing: the smallest one-way delay of all lanes over the last second, less
// the smallest of the last half minute; loss delays some copies and never all, a full pipe delays every one. Against a
// full pipe redundancy is poison.
//
// Pure: times are milliseconds of one monotonic clock. The same rules run in `ringthrough.protocol.lane_control`;
// `vectors/lanes` holds the two together, so sums and products stand in the same order.
import * as given from "./lane-control-constants.js"
import { Level, PLANS } from "./lane-control-constants.js"

export { Level, PLANS }

/** `copies` of each frame at once, up to `resends` more when answers are late; `lanes` are worth having. */
export interface Plan {
  readonly copies: number
  readonly resends: number
  readonly lanes: number
}

/** The smallest of the values of the last `spanMs`. */
export class WindowMinimum {
  private rising: (readonly [atMs: number, value: number])[] = []

  constructor(private readonly spanMs: number) {}

  add(value: number, nowMs: number): void {
    while ((this.rising.at(-1)?.[1] ?? -Infinity) >= value) this.rising.pop()
    this.rising.push([nowMs, value])
  }

  /** Undefined when the span holds no value. */
  minimum(nowMs: number): number | undefined {
    while (this.rising[0] !== undefined && nowMs - this.rising[0][0] > this.spanMs) this.rising.shift()
    return this.rising[0]?.[1]
  }

  clear(): void {
    this.rising = []
  }
}

/** How long an answer may take where a round trip takes so long. */
export const resendAfterMs = (roundTripMs: number): number => Math.max(given.RESEND_AFTER_MS_MIN, 1.25 * roundTripMs + 15)

/** The level of one hop in one direction. */
export class Controller {
  private levelNow: Level = Level.NORMAL
  private roundTripNowMs: number = given.ROUND_TRIP_MS_UNKNOWN
  private readonly roundTrips = new WindowMinimum(given.ROUND_TRIP_WINDOW_MS)
  private readonly roundTripsBase = new WindowMinimum(given.BASE_WINDOW_MS)
  private readonly delays = new WindowMinimum(given.DELAY_WINDOW_MS)
  private readonly delaysShort = new WindowMinimum(given.PROBATION_WINDOW_MS)
  private readonly base = new WindowMinimum(given.BASE_WINDOW_MS)
  /** Until when the present level is on probation. */
  private probationMs = -Infinity
  private delayZero: number | undefined
  private outcomes: (readonly [atMs: number, missed: boolean])[] = []
  private missedCount = 0
  /** When the share of misses was last too high for a lower level. */
  private busyMs = -Infinity
  private queueingSinceMs: number | undefined
  /** Delays measured since then. */
  private queuedSamples = 0
  private severeSinceMs: number | undefined
  private drainedMs = -Infinity
  /** Until when each level is not to be entered, and for how long that was. */
  private readonly holds = new Map<Level, readonly [untilMs: number, holdMs: number]>()
  /** How long this hop is lean before it is doubted; twice as long each time a queue refutes it. */
  private doubtMs = given.PROBATION_MS
  /** It was left lean in doubt, and no queue has come since. */
  private isDoubted = false
  private settling: readonly [sinceMs: number, queueingMs: number] | undefined
  private narrowHeardMs = -Infinity
  private levelHeard: Level = Level.NORMAL
  /** When something last was missed, queued or changed; the first answer is the first of it. */
  private stirredMs = Infinity
  /** When it last was so that answers were spared. */
  private sparedMs = -Infinity
  private isSparingBack = false
  private isShort = false
  private shortFromMs = Infinity
  private shortHoldMs: number = given.SHORT_AGAIN_MS
  private sentMs: number[] = []
  /** When frames last came as often as short packets make them. */
  private queueSeenMs = -Infinity
  private shortSeenMs = -Infinity
  /** Until when less is sent, for the queue that they made. */
  private drainingMs = -Infinity
  /** Copies answered or missed before say nothing. */
  private countsFromMs = -Infinity

  /** Until when queueing has another reason than this hop's frames. */
  private excusedMs = -Infinity

  get level(): Level {
    return this.levelNow
  }

  /** The level of the other direction, as its sender says. */
  get levelBack(): Level {
    return this.levelHeard
  }

  get roundTripMs(): number {
    return this.roundTripNowMs
  }

  /** Whether to answer only some of the other direction's frames, as its sender says. */
  get sparesAnswers(): boolean {
    return this.isSparingBack
  }

  /**
   * Whether one answer for several frames will do: this direction is lean, or quiet. Then its frames keep to one lane,
   * too: there is nothing to steer around.
   */
  isSparing(nowMs: number): boolean {
    return this.levelNow === Level.LEAN || (this.levelNow === Level.NORMAL && nowMs - this.stirredMs >= given.QUIET_MS)
  }

  /** Whether the other end answers so, when what is sent now has come: it may not have heard yet that it is to answer each. */
  isSpared(nowMs: number): boolean {
    return this.isSparing(nowMs + this.roundTripNowMs) || nowMs - this.sparedMs < given.SPARING_MS + this.roundTripNowMs
  }

  /** What the needier of the two directions can use; a narrow pipe has no room for the opening of one more. */
  get lanesWanted(): number {
    if (this.levelNow === Level.LEAN || this.levelHeard === Level.LEAN) return PLANS[Level.LEAN].lanes
    return PLANS[Math.max(this.levelNow, this.levelHeard) as Level].lanes
  }

  /** What the level means. */
  get plan(): Plan {
    return PLANS[this.levelNow]
  }

  /** How long an answer may take. The smallest recent round trip: when all of them grow, so does this. */
  get resendAfterMs(): number {
    return resendAfterMs(this.roundTripNowMs)
  }

  /**
   * How often a frame may go again. Not once a queue builds: then answers are late, and frames not lost; nor before the
   * first answer, when a queue cannot be told from a long way.
   */
  resends(nowMs: number): number {
    return this.delayZero !== undefined && this.queueingMs(nowMs) < given.CLEAR_MS ? this.plan.resends : 0
  }

  /** How long a lane may leave a copy unanswered and still be given another. */
  queuedMsMax(nowMs: number): number {
    const roundTripMs = this.roundTripsBase.minimum(nowMs) ?? given.ROUND_TRIP_MS_UNKNOWN
    return roundTripMs + given.QUEUED_MS_MAX
  }

  /**
   * Whether less sound should be sent: this hop is lean in either direction, for answers to sound take room in the other
   * one; or it, or one behind it, looked narrow lately.
   */
  isNarrow(nowMs: number): boolean {
    const isLean = this.levelNow === Level.LEAN || this.levelHeard === Level.LEAN
    if (isLean || nowMs < this.drainingMs) return true
    if (nowMs - this.narrowHeardMs < given.NARROW_HEARD_MS) return true
    const isDoubted = !this.isShort && nowMs < Math.max(this.probationMs, this.excusedMs)
    return isDoubted && this.queueingMs(nowMs) >= given.QUEUEING_MS_OVER
  }

  /**
   * Whether something more may be tried beside the call: neither direction is lean, nor a hop behind narrow, and no queue
   * was seen for `HOLD_SHORT_MS`. What looks narrow for a moment, and had no queue, was a busy device.
   */
  hasRoom(nowMs: number): boolean {
    const isLean = this.levelNow === Level.LEAN || this.levelHeard === Level.LEAN
    const isNarrowAhead = nowMs - this.narrowHeardMs < given.NARROW_HEARD_MS
    return !isLean && !isNarrowAhead && nowMs - this.queueSeenMs >= given.HOLD_SHORT_MS
  }

  /** By how much even the fastest copy of the last second was slower than the way can be. */
  queueingMs(nowMs: number): number {
    const window = this.isOnTrial(nowMs) ? this.delaysShort : this.delays
    const [recent, base] = [window.minimum(nowMs), this.base.minimum(nowMs)]
    return recent === undefined || base === undefined ? 0 : recent - base
  }

  /** Share of copies that were not answered in time, of the last seconds; 0 while there are too few. */
  missShare(nowMs: number): number {
    while (this.outcomes[0] !== undefined && nowMs - this.outcomes[0][0] > given.MISS_WINDOW_MS) {
      if (this.outcomes.shift()?.[1]) this.missedCount--
    }
    const isKnown = this.outcomes.length >= given.MISS_SAMPLES_MIN || this.missedCount >= given.MISSES_MIN
    return isKnown ? this.missedCount / this.outcomes.length : 0
  }

  /** A copy was answered in time. */
  arrived(nowMs: number): void {
    if (nowMs >= this.countsFromMs && this.queueingMs(nowMs) < given.CLEAR_MS) this.outcomes.push([nowMs, false])
  }

  /** A copy was not. Before the first answer, and while the pipe is full, that says nothing about loss. */
  missed(nowMs: number): void {
    this.stir(nowMs)
    const isKnown = this.delayZero !== undefined && nowMs >= this.countsFromMs
    if (!isKnown || this.queueingMs(nowMs) >= given.CLEAR_MS) return
    this.outcomes.push([nowMs, true])
    this.missedCount++
  }

  /**
   * A round trip, and the one-way delay of the same copy (modulo 2^32, from any zero). A hop begins on probation, for it
   * may be narrow from the start.
   */
  measured(roundTripMs: number, delayMs: number, nowMs: number): void {
    this.roundTrips.add(roundTripMs, nowMs)
    this.roundTripsBase.add(roundTripMs, nowMs)
    this.roundTripNowMs = this.roundTrips.minimum(nowMs) || roundTripMs
    if (this.delayZero === undefined) {
      this.delayZero = delayMs
      this.probationMs = nowMs + given.PROBATION_MS
      this.stirredMs = nowMs
    }
    const half = (given.UINT32_MAX - 1) / 2
    const relative = ((delayMs - this.delayZero + half) >>> 0) - half
    this.delays.add(relative, nowMs)
    this.delaysShort.add(relative, nowMs)
    this.base.add(relative, nowMs)
    this.queuedSamples++
  }

  /**
   * Whether packets may be short, which makes three times as many frames. Only the end that makes them asks for it
   * (`allowShort`).
   */
  get sendsShort(): boolean {
    return this.isShort
  }

  /** Short packets may be sent where there is room. */
  allowShort(): void {
    this.shortFromMs = -Infinity
  }

  /** A lane answers nothing any more. Where connections are frozen by bytes, short packets get there soonest. */
  stalled(nowMs: number): void {
    if (this.isShort) {
      this.shortHoldMs = Math.max(this.shortHoldMs, given.HOLD_SHORT_MS)
      this.leaveShort(nowMs)
    } else if (nowMs < this.shortFromMs) this.shortFromMs = Math.max(this.shortFromMs, nowMs + given.HOLD_SHORT_MS)
  }

  /** A loss held up what arrived last: its delay tells nothing of a queue. */
  wasHeld(): void {
    this.delays.clear()
    this.delaysShort.clear()
    this.queueingSinceMs = this.severeSinceMs = undefined
    this.queuedSamples = 0
  }

  /** What an answer said of the other direction, and of the hops behind. */
  heard(level: Level, isNarrow: boolean, isSparing: boolean, nowMs: number): void {
    this.levelHeard = level
    this.isSparingBack = isSparing
    if (isNarrow) this.narrowHeardMs = nowMs
  }

  /** A connection is being opened; its handshake takes room in the pipe for a moment. */
  excuse(nowMs: number): void {
    this.excusedMs = nowMs + given.EXCUSED_MS
  }

  /** It is open, and its handshake no longer under way. */
  excuseEnds(nowMs: number): void {
    this.excusedMs = Math.min(this.excusedMs, nowMs)
  }

  /** Frames are dropped while answers come: a queue as long as is allowed, and perhaps since the hop began. */
  overflowed(nowMs: number): void {
    if (this.levelNow !== Level.LEAN && nowMs >= this.drainedMs) this.stepDown(nowMs)
  }

  /** Judge anew; called before each frame. */
  update(nowMs: number): void {
    this.noteRhythm(nowMs)
    const queueingMs = this.queueingMs(nowMs)
    this.noteQueueing(queueingMs, nowMs)
    if (queueingMs >= given.CLEAR_MS) this.stir(nowMs)
    if (nowMs < this.drainingMs && queueingMs >= given.QUEUEING_MS_OVER) this.queueSeenMs = nowMs
    const isDrained =
      queueingMs < given.QUEUEING_MS_OVER && this.drainingMs - nowMs <= given.SHORT_DRAIN_MS_MAX - given.SHORT_DRAIN_MS_MIN
    if (nowMs < this.drainingMs && isDrained) {
      this.drainingMs = this.drainedMs = nowMs
      this.probationMs = nowMs + given.PROBATION_MS
    }
    this.followCalm(nowMs)
    if (this.isSustained(nowMs)) this.stepDown(nowMs)
    else if (this.levelNow === Level.LEAN) this.leaveLean(queueingMs, nowMs)
    else this.followMisses(queueingMs, nowMs)
  }

  private noteRhythm(nowMs: number): void {
    this.sentMs.push(nowMs)
    if (this.sentMs.length > given.SHORT_FRAMES) this.sentMs.shift()
    const isShort = this.sentMs.length === given.SHORT_FRAMES && nowMs - this.sentMs[0]! <= given.SHORT_FRAMES_MS
    if (isShort) this.shortSeenMs = nowMs
  }

  private followCalm(nowMs: number): void {
    const isNarrowAhead = nowMs - this.narrowHeardMs < given.NARROW_HEARD_MS
    const hasRoom = this.levelNow === Level.NORMAL && this.levelHeard === Level.NORMAL && !isNarrowAhead
    const isMissed = this.missShare(nowMs) > given.SHORT_MISSES_MAX && this.missedCount >= given.SHORT_MISSES_MIN
    if (this.isBlamed(nowMs) && isMissed) {
      this.drainShort(nowMs)
    } else if (this.isShort) {
      if (!hasRoom) this.leaveShort(nowMs)
    } else if (hasRoom && nowMs >= Math.max(this.shortFromMs, this.excusedMs, this.queueSeenMs + given.HOLD_SHORT_MS)) {
      this.isShort = nowMs - this.stirredMs >= given.SHORT_AFTER_MS
    }
  }

  /** Whether what goes wrong is laid to short packets, whoever makes them. */
  private isBlamed(nowMs: number): boolean {
    return this.levelNow === Level.NORMAL && nowMs - this.shortSeenMs < given.SHORT_RECENT_MS
  }

  private drainShort(nowMs: number): void {
    this.leaveShort(nowMs)
    this.stir(nowMs)
    this.shortSeenMs = -Infinity
    this.drainingMs = this.drainedMs = nowMs + given.SHORT_DRAIN_MS_MAX
  }

  private leaveShort(nowMs: number): void {
    if (this.isShort) {
      this.isShort = false
      this.shortFromMs = nowMs + this.shortHoldMs
      this.shortHoldMs = Math.min(Math.max(2 * this.shortHoldMs, given.HOLD_SHORT_MS), given.HOLD_MS_MAX)
    }
    // What comes without short packets will show whether it was a queue or a loss.
    this.outcomes = []
    this.missedCount = 0
    this.countsFromMs = nowMs + given.DRAIN_MS
  }

  private stir(nowMs: number): void {
    if (this.isSparing(nowMs)) this.sparedMs = nowMs
    if (this.stirredMs !== Infinity) this.stirredMs = nowMs
  }

  private noteQueueing(queueingMs: number, nowMs: number): void {
    if (queueingMs < given.QUEUEING_MS) this.queuedSamples = 0
    this.queueingSinceMs = queueingMs < given.QUEUEING_MS ? undefined : (this.queueingSinceMs ?? nowMs)
    this.severeSinceMs = queueingMs < given.QUEUEING_MS_SEVERE ? undefined : (this.severeSinceMs ?? nowMs)
  }

  private isSustained(nowMs: number): boolean {
    if (this.levelNow === Level.LEAN || this.queueingSinceMs === undefined || this.queuedSamples < given.QUEUED_SAMPLES_MIN) return false
    if (nowMs < Math.max(this.drainedMs, this.excusedMs)) return false
    const isSevere = this.severeSinceMs !== undefined && nowMs - this.severeSinceMs >= given.SUSTAINED_MS_SEVERE
    const patienceMs = this.isOnTrial(nowMs) ? given.PROBATION_SUSTAINED_MS : given.SUSTAINED_MS
    return isSevere || nowMs - this.queueingSinceMs >= patienceMs
  }

  /** Whether a queue is to be seen before anybody hears it. */
  private isOnTrial(nowMs: number): boolean {
    return nowMs < Math.max(this.probationMs, this.drainingMs, this.shortSeenMs + given.SHORT_RECENT_MS)
  }

  private stepDown(nowMs: number): void {
    this.queueSeenMs = nowMs
    if (this.isBlamed(nowMs)) {
      // What was added last goes first; the level may do without it.
      this.drainShort(nowMs)
      return
    }
    for (const level of [Level.NORMAL, Level.BOOST, Level.HEAVY]) {
      if (level < this.levelNow) continue
      const [, beforeMs] = this.holds.get(level) ?? [0, given.HOLD_MS_MIN[level] / 2]
      const holdMs = Math.min(2 * beforeMs, given.HOLD_MS_MAX)
      this.holds.set(level, [nowMs + holdMs, holdMs])
    }
    const below = nowMs < this.probationMs ? this.levelNow - 1 : Math.min(this.levelNow - 1, Level.NORMAL)
    this.enter(below as Level, nowMs)
    this.drainedMs = nowMs + given.DRAIN_MS
    this.settling = undefined
    if (this.isDoubted && below === Level.LEAN) {
      this.isDoubted = false
      this.doubtMs = Math.min(2 * this.doubtMs, given.HOLD_MS_MAX)
    }
  }

  private enter(level: Level, nowMs: number): void {
    this.probationMs = level > this.levelNow ? nowMs + given.PROBATION_MS : -Infinity
    this.stir(nowMs)
    this.levelNow = level
    this.busyMs = nowMs
    // Copies of the other level say little about this one.
    this.outcomes = []
    this.missedCount = 0
  }

  private mayEnter(level: Level, nowMs: number, isLossy = false): boolean {
    const [untilMs, holdMs] = this.holds.get(level) ?? [nowMs, 0]
    return nowMs >= (isLossy ? untilMs - (1 - given.LOSSY_HOLD_SHARE) * holdMs : untilMs)
  }

  private leaveLean(queueingMs: number, nowMs: number): void {
    if (queueingMs <= given.QUEUEING_MS_OVER) {
      // Where the other direction holds its own against loss, with more bytes, this one may not be narrow.
      const isDoubtful = this.levelHeard >= Level.BOOST && nowMs - this.busyMs >= this.doubtMs
      const isLossy = this.missShare(nowMs) > given.LOSSY_ABOVE
      if (!isDoubtful && !isLossy && !this.mayEnter(Level.NORMAL, nowMs)) return
      this.isDoubted = isDoubtful
      this.enter(Level.NORMAL, nowMs)
      const [, holdMs] = this.holds.get(Level.BOOST) ?? [0, given.HOLD_MS_MIN[Level.BOOST] / 2]
      this.holds.set(Level.BOOST, [nowMs + given.PROBATION_MS, holdMs])
      return
    }
    if (queueingMs < given.QUEUEING_MS) return
    if (this.settling === undefined || Math.abs(queueingMs - this.settling[1]) > given.SETTLED_SPREAD_MS) {
      this.settling = [nowMs, queueingMs]
    } else if (nowMs - this.settling[0] >= given.SETTLED_MS) {
      this.base.clear()
      this.settling = undefined
    }
  }

  private followMisses(queueingMs: number, nowMs: number): void {
    const share = this.missShare(nowMs)
    const step = (boost: number, heavy: number): Level =>
      share > heavy ? Level.HEAVY : share > boost ? Level.BOOST : Level.NORMAL
    // Where the other direction is narrow, answers are late; and what is narrow one way mostly is both ways.
    const isAnsweredLate = this.levelHeard === Level.LEAN
    const wanted = isAnsweredLate ? step(given.LOSSY_ABOVE, Infinity) : step(given.BOOST_ABOVE, given.HEAVY_ABOVE)
    const kept = step(given.BOOST_BELOW, given.HEAVY_BELOW)
    if (kept >= this.levelNow) this.busyMs = nowMs
    const above = Math.min(this.levelNow + 1, Level.HEAVY) as Level
    const isSure = above !== Level.HEAVY || this.missedCount >= given.HEAVY_MISSES_MIN
    const mayEnter = this.mayEnter(above, nowMs, share > given.LOSSY_ABOVE)
    if (wanted > this.levelNow && isSure && mayEnter && queueingMs < given.CLEAR_MS) {
      this.enter(above, nowMs)
    } else if (this.levelNow > Level.NORMAL && nowMs - this.busyMs > given.CALM_MS) {
      this.enter((this.levelNow - 1) as Level, nowMs)
    }
  }
}
