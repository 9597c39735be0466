// Which carrier a call's frames take: the lanes, the direct channel, or both (docs/spec/media.md section 8).
//
// The receiver answers each frame of the direct channel. What is not answered in time goes on the lanes as well, so that
// neither a lost packet nor a path that was cut is heard. Pure: times are milliseconds of one monotonic clock. The same
// rule runs in `ringthrough.protocol.carriers`; `vectors/carriers` holds the two together.
import * as given from "./carriers-constants.js"
import { Step, Way } from "./carriers-constants.js"

export { Step, Way }

/** Where one frame goes: its number on the direct channel, if it takes it, and whether it takes the lanes. */
export interface Sending {
  readonly seq: number | null
  readonly lanes: boolean
}

interface Sent {
  readonly body: Uint8Array
  readonly sentMs: number
  onLanes: boolean
  isLate: boolean
}

interface Outcome {
  readonly atMs: number
  readonly sentMs: number
  readonly isInTime: boolean
  readonly behindMs: number
}

/** One device's sending. The shell opens and closes channels; `isLost` asks it to close the present one. */
export class Carriers {
  way: Way = Way.LANES
  isLost = false
  /** Whether the channel that ended last had left too much unanswered before, or had been worse than the lanes. */
  wasBad = false
  /** Whether the lanes were better when the two ways were last compared to the end. */
  isWorse = false
  framesDirect = 0
  framesLanes = 0
  private isOpen = false
  private nextSeq = 0
  private readonly underWay = new Map<number, Sent>()
  private sinceMs = 0
  private heardMs = -Infinity
  /** When the newest frame was sent that was answered. */
  private answeredMs = -Infinity
  private tickedMs = -Infinity
  private srttMs: number | null = null
  private rttvarMs = 0
  private lateRun = 0
  /** Of the last `2 * OVERLAP_MS`, whichever way frames went. */
  private outcomes: Outcome[] = []
  private restMs: number = given.REST_MS

  /** After how long an unanswered frame is late; the timer of RFC 6298 section 2, within our bounds. */
  get lateMs(): number {
    if (this.srttMs === null) return given.LATE_MS_MAX
    return Math.min(given.LATE_MS_MAX, Math.max(given.LATE_MS_MIN, this.srttMs + 4 * this.rttvarMs))
  }

  /** When `tick` is wanted next. */
  get dueMs(): number | null {
    const waiting = [...this.underWay.values()].filter(({ isLate }) => !isLate).map(({ sentMs }) => sentMs)
    return waiting.length === 0 ? null : Math.min(...waiting) + this.lateMs
  }

  /** A direct channel is open: measure it. */
  opened(nowMs: number): void {
    this.isOpen = true
    this.isLost = this.isWorse = false
    this.srttMs = null
    this.answeredMs = -Infinity
    this.restMs = given.REST_MS
    this.outcomes = []
    this.underWay.clear()
    this.enter(Way.BOTH, nowMs)
  }

  /** The channel has ended. Returns what goes on the lanes at once. */
  closed(nowMs: number): Uint8Array[] {
    if (this.isOpen && !this.isLost) this.wasBad = this.way === Way.LANES ? this.isWorse : this.answeredTooLittle()
    const bodies = this.rescue(nowMs)
    this.isOpen = this.isLost = false
    this.underWay.clear()
    this.enter(Way.LANES, nowMs)
    return bodies
  }

  /** A sealed frame wants to leave; call `tick` first. */
  send(body: Uint8Array, nowMs: number): Sending {
    const lanes = this.way !== Way.DIRECT
    if (lanes) this.framesLanes++
    if (this.way === Way.LANES) return { seq: null, lanes }
    const seq = this.nextSeq
    this.nextSeq = (seq + 1) % 2 ** 32
    this.underWay.set(seq, { body, sentMs: nowMs, onLanes: lanes, isLate: false })
    this.framesDirect++
    return { seq, lanes }
  }

  /** The receiver has this frame, `behindMs` after its copy on the lanes (0: before it, or without one). */
  acked(seq: number, behindMs: number, nowMs: number): void {
    const sent = this.underWay.get(seq)
    if (sent === undefined) return
    this.underWay.delete(seq)
    this.heardMs = nowMs
    this.answeredMs = Math.max(this.answeredMs, sent.sentMs)
    this.measure(nowMs - sent.sentMs)
    if (sent.isLate) return
    this.lateRun = 0
    this.note({ atMs: nowMs, sentMs: sent.sentMs, isInTime: true, behindMs })
  }

  /**
   * The way to the server has no room for everything twice: the lanes alone, and the ways are compared again `ROOM_REST_MS`
   * after there was room.
   */
  makeRoom(nowMs: number): void {
    if (this.way === Way.BOTH) {
      this.restMs = given.ROOM_REST_MS
      this.enter(Way.LANES, nowMs)
    } else if (this.way === Way.LANES) this.sinceMs = nowMs
  }

  /** Time has passed. Returns the frames that go on the lanes now. */
  tick(nowMs: number): Uint8Array[] {
    const wasStopped = nowMs - this.tickedMs > given.STOPPED_MS
    this.tickedMs = nowMs
    if (wasStopped) return []
    const bodies: Uint8Array[] = []
    for (const [seq, sent] of this.underWay) {
      if (!sent.isLate && nowMs - sent.sentMs >= this.lateMs) {
        sent.isLate = true
        this.lateRun++
        this.note({ atMs: nowMs, sentMs: sent.sentMs, isInTime: false, behindMs: 0 })
        if (!sent.onLanes) {
          sent.onLanes = true
          bodies.push(sent.body)
        }
      }
      if (nowMs - sent.sentMs >= given.FRAME_AGE_MS_MAX) this.underWay.delete(seq)
    }
    if (this.isSilent(nowMs)) {
      this.isLost = true
      this.wasBad = this.answeredTooLittle()
      bodies.push(...this.rescue(nowMs))
      this.underWay.clear()
      this.enter(Way.LANES, nowMs)
    } else this.step(nowMs)
    this.framesLanes += bodies.length
    return bodies
  }

  private step(nowMs: number): void {
    const forMs = nowMs - this.sinceMs
    if (this.way === Way.DIRECT) {
      if (this.lateRun >= given.LATE_RUN_MAX || this.looksWorse()) this.enter(Way.BOTH, nowMs)
    } else if (this.way === Way.BOTH) {
      const frames = this.outcomes.filter(({ atMs }) => atMs > this.sinceMs).length
      if (forMs < given.OVERLAP_MS || frames < given.OVERLAP_FRAMES_MIN) return
      this.isWorse = this.looksWorse()
      if (this.isWorse) return this.enter(Way.LANES, nowMs)
      this.restMs = given.REST_MS
      this.enter(Way.DIRECT, nowMs)
    } else if (this.isOpen && !this.isLost && forMs >= this.restMs) {
      this.restMs = Math.min(this.restMs * 2, given.REST_MS_MAX)
      this.enter(Way.BOTH, nowMs)
    }
  }

  private looksWorse(): boolean {
    // What was late when this way was taken is why it was, and not of it.
    const recent = this.outcomes.filter(({ atMs }) => atMs > this.sinceMs)
    if (recent.length < given.OVERLAP_FRAMES_MIN) return false
    const behind = recent.filter(({ isInTime }) => isInTime).map(({ behindMs }) => behindMs)
    const share = this.way === Way.DIRECT ? given.IN_TIME_SHARE_MIN_TAKEN : given.IN_TIME_SHARE_MIN
    if (behind.length < share * recent.length) return true
    behind.sort((a, b) => a - b)
    return (behind[Math.ceil(behind.length / 2) - 1] ?? 0) > given.BEHIND_MS_MAX
  }

  private isSilent(nowMs: number): boolean {
    return [...this.underWay.values()].some(({ sentMs }) => nowMs - sentMs >= given.SILENT_MS && sentMs > this.heardMs)
  }

  /**
   * Of what was sent until the last that was answered: what came after it tells of the end alone. A channel that opened
   * and answered nothing was never good.
   */
  private answeredTooLittle(): boolean {
    const judged = this.outcomes.filter(({ sentMs }) => sentMs <= this.answeredMs)
    const isUnanswered = this.answeredMs === -Infinity
    return isUnanswered || judged.filter(({ isInTime }) => isInTime).length < given.IN_TIME_SHARE_MIN * judged.length
  }

  private rescue(nowMs: number): Uint8Array[] {
    const waiting = [...this.underWay.values()].filter(({ onLanes, sentMs }) => !onLanes && nowMs - sentMs < given.FRAME_AGE_MS_MAX)
    return waiting.map(({ body }) => body)
  }

  private enter(way: Way, nowMs: number): void {
    this.way = way
    this.sinceMs = nowMs
    this.lateRun = 0
  }

  private note(outcome: Outcome): void {
    this.outcomes.push(outcome)
    this.outcomes = this.outcomes.filter(({ atMs }) => atMs >= outcome.atMs - 2 * given.OVERLAP_MS)
  }

  private measure(roundTripMs: number): void {
    if (this.srttMs === null) {
      this.srttMs = roundTripMs
      this.rttvarMs = roundTripMs / 2
      return
    }
    this.rttvarMs = 0.75 * this.rttvarMs + 0.25 * Math.abs(this.srttMs - roundTripMs)
    this.srttMs = 0.875 * this.srttMs + 0.125 * roundTripMs
  }
}

/** A receiver's memory of which frames the lanes have brought. */
export class Arrivals {
  private readonly lanes = new Map<number, number>()

  /** A frame with this SFrame counter came on a lane. */
  byLanes(counter: number, nowMs: number): void {
    if (!this.lanes.has(counter)) this.lanes.set(counter, nowMs)
    for (const [oldest] of this.lanes) {
      if (this.lanes.size <= given.ARRIVALS_KEPT) break
      this.lanes.delete(oldest)
    }
  }

  /** It came on the direct channel: how many ms behind the lanes' copy, as the answer says it. */
  byDirect(counter: number, nowMs: number): number {
    return Math.min(65_535, Math.max(0, Math.round(nowMs - (this.lanes.get(counter) ?? nowMs))))
  }
}

/** When to try for a direct channel. The device that does not offer only gives up what takes too long. */
export class Attempts {
  private dueMs: number | null = null
  private tryingSinceMs: number | null = null
  private openSinceMs: number | null = null
  private retryMs: number = given.RETRY_MS

  constructor(private readonly offers: boolean) {}

  /** Try now: both are in the call, or the network has changed. */
  wanted(nowMs: number): void {
    this.dueMs = nowMs
    this.retryMs = given.RETRY_MS
  }

  /** An attempt is under way. */
  began(nowMs: number): void {
    this.dueMs = this.openSinceMs = null
    this.tryingSinceMs = nowMs
  }

  /** It has opened a channel. */
  opened(nowMs: number): void {
    this.tryingSinceMs = null
    this.openSinceMs = nowMs
  }

  /** The attempt has failed, or its channel has ended. */
  ended(nowMs: number): void {
    if (this.openSinceMs !== null && nowMs - this.openSinceMs >= given.STEADY_MS) this.retryMs = given.RETRY_MS
    this.tryingSinceMs = this.openSinceMs = null
    this.dueMs = nowMs + this.retryMs
    this.retryMs = Math.min(this.retryMs * 2, given.RETRY_MS_MAX)
  }

  /** The other side wants no channel: no further attempt until one is wanted. */
  refused(): void {
    this.dueMs = this.tryingSinceMs = this.openSinceMs = null
  }

  /** What to do now; asked several times a second. */
  step(nowMs: number): Step {
    if (this.tryingSinceMs !== null) return nowMs - this.tryingSinceMs >= given.ATTEMPT_MS_MAX ? Step.GIVE_UP : Step.NONE
    return this.offers && this.dueMs !== null && nowMs >= this.dueMs ? Step.BEGIN : Step.NONE
  }
}
