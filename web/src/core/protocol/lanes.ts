// Several connections as one way for sealed frames: what goes on which lane, what goes again (docs/spec/lanes.md).
//
// One hop, one direction: `LaneSender` at the one end, `LaneReceiver` at the other. Both ends of a connection run both.
// Sans-IO: lanes are numbers, times are milliseconds of one monotonic clock, and every method returns what to transmit.
// The same rules run in `ringthrough.protocol.lanes`; `vectors/lanes` holds the two together.
import type { Brand } from "../brand.js"
import { type Controller, Level } from "./lane-control.js"
import { QUEUED_MS_MAX, SPARING_FRAMES, SPARING_MS, UINT32_MAX } from "./lane-control-constants.js"
import { FRAME_LIFETIME_MS, OVERFLOW_MS, OVERFLOWS, SILENCE_MS, STALL_MS_MIN, STALL_ROUND_TRIPS, STUCK_MS, STUCK_MS_UNKNOWN, UNANSWERED_MAX, WINDOW_FRAMES } from "./lanes-constants.js"

export type LaneId = Brand<number, "LaneId">

/** One frame to put on one lane now. `sentMs`: the sender's clock, modulo 2^32. */
export interface Transmission {
  readonly lane: LaneId
  readonly seq: number
  readonly sentMs: number
  readonly body: Uint8Array
}

/**
 * All that was sent on this lane up to the copy of `seq` has arrived. `delayMs`: the receiver's clock less `sentMs`,
 * modulo 2^32: only differences mean something. `level`: of the other direction; `isNarrow`: a hop further on has no
 * room.
 */
export interface Ack {
  readonly seq: number
  readonly delayMs: number
  readonly level: Level
  readonly isNarrow: boolean
}

interface Copy {
  readonly seq: number
  readonly sentMs: number
  /** Whether it was counted. One that was put behind another on its lane is not: it waits for that one's loss. */
  isJudged: boolean
}

interface Frame {
  readonly seq: number
  readonly body: Uint8Array
  readonly sentMs: number
  dueMs: number
  resends: number
  readonly lanes: LaneId[]
}

class Lane {
  /** Under way, in the order in which they were sent: a connection keeps that order. */
  readonly copies: Copy[] = []
  isAnswered = false

  waitedMs(nowMs: number): number {
    const [oldest] = this.copies
    return oldest === undefined ? 0 : nowMs - oldest.sentMs
  }
}

/** One direction of one hop. `isWritable` tells whether a lane takes bytes without queueing them. */
export class LaneSender {
  private readonly lanesOpen = new Map<LaneId, Lane>()
  private readonly frames = new Map<number, Frame>()
  private ackedMs = -Infinity
  copiesSent = 0
  framesDropped = 0
  private overflowsMs: number[] = []

  constructor(
    readonly controller: Controller,
    private readonly isWritable: (lane: LaneId) => boolean,
    private nextSeq = 0,
  ) {}

  /** The open lanes, the one opened first in front. */
  get lanes(): LaneId[] {
    return [...this.lanesOpen.keys()]
  }

  /** When `tick` is to be called next; null while nothing is under way. */
  get dueMs(): number | null {
    let due: number | null = null
    for (const { dueMs } of this.frames.values()) due = due === null ? dueMs : Math.min(due, dueMs)
    return due
  }

  /** The lane takes frames from now on. */
  open(lane: LaneId): void {
    this.lanesOpen.set(lane, new Lane())
  }

  /** The lane is gone; what was under way on it alone goes out again at once. */
  close(lane: LaneId, nowMs: number): Transmission[] {
    const gone = this.lanesOpen.get(lane)
    this.lanesOpen.delete(lane)
    const out: Transmission[] = []
    for (const { seq } of gone?.copies ?? []) {
      const frame = this.frames.get(seq)
      if (frame !== undefined && !frame.lanes.some((other) => this.lanesOpen.has(other))) out.push(...this.transmit(frame, 1, nowMs))
    }
    return out
  }

  /** Copies of a new frame; none when no lane can take it now: it is dropped, for it would come too late. */
  send(body: Uint8Array, nowMs: number): Transmission[] {
    this.forgetOld(nowMs)
    this.controller.update(nowMs)
    const dueMs = nowMs + this.controller.resendAfterMs(nowMs)
    const frame: Frame = { seq: this.nextSeq, body, sentMs: nowMs, dueMs, resends: 0, lanes: [] }
    const out = this.transmit(frame, this.controller.plan.copies, nowMs)
    if (out.length === 0) {
      this.framesDropped++
      this.noteDrop(nowMs)
      return out
    }
    this.nextSeq = (this.nextSeq + 1) >>> 0
    this.frames.set(frame.seq, frame)
    return out
  }

  /** An answer on `lane`. One about nothing that is under way there is passed over. */
  acked(lane: LaneId, { seq, delayMs, level, isNarrow }: Ack, nowMs: number): void {
    const state = this.lanesOpen.get(lane)
    const place = state?.copies.findIndex((copy) => copy.seq === seq) ?? -1
    if (state === undefined || place < 0) return
    this.ackedMs = nowMs
    state.isAnswered = true
    for (const copy of state.copies.splice(0, place + 1)) {
      this.frames.delete(copy.seq)
      if (!copy.isJudged) this.controller.arrived(nowMs)
      if (copy.seq === seq) this.controller.measured(nowMs - copy.sentMs, delayMs, nowMs)
    }
    this.controller.heard(level, isNarrow, nowMs)
  }

  /** What is due again: frames not acknowledged in time, on lanes that have not carried them yet. */
  tick(nowMs: number): Transmission[] {
    this.forgetOld(nowMs)
    const limitMs = this.controller.resendAfterMs(nowMs)
    for (const { copies } of this.lanesOpen.values()) {
      for (const copy of copies) {
        if (copy.isJudged || nowMs - copy.sentMs < limitMs) continue
        copy.isJudged = true
        this.controller.missed(nowMs)
      }
    }
    const resends = this.controller.resends(nowMs)
    const out: Transmission[] = []
    for (const frame of this.frames.values()) {
      if (frame.dueMs > nowMs) continue
      frame.dueMs = nowMs + limitMs
      if (frame.resends >= resends) continue
      frame.resends++
      const again = this.transmit(frame, 1, nowMs)
      if (again.length === 0) this.controller.missed(nowMs) // no lane is left for it: more are needed
      out.push(...again)
    }
    return out
  }

  /** Lanes on which nothing arrives any more. */
  stalled(nowMs: number): LaneId[] {
    const patienceMs = Math.max(STALL_MS_MIN, STALL_ROUND_TRIPS * this.controller.roundTripMs)
    return [...this.lanesOpen].filter(([, state]) => state.waitedMs(nowMs) > patienceMs).map(([lane]) => lane)
  }

  /**
   * Whether a loss holds up every lane: answers are overdue, and none has come meanwhile. A full pipe looks otherwise:
   * there, late answers keep coming.
   */
  isStuck(nowMs: number): boolean {
    const isNew = this.ackedMs === -Infinity
    const patienceMs = isNew ? STUCK_MS_UNKNOWN : this.controller.resendAfterMs(nowMs) + STUCK_MS
    const waits = [...this.lanesOpen.values()].map((state) => state.waitedMs(nowMs))
    return waits.length > 0 && Math.min(...waits) > patienceMs && nowMs - this.ackedMs > patienceMs
  }

  /** Whether frames are under way and no lane has answered anything for long. */
  isSilent(nowMs: number): boolean {
    const patienceMs = SILENCE_MS + 1.5 * this.controller.roundTripMs
    const waits = [...this.lanesOpen.values()].map((state) => state.waitedMs(nowMs))
    return Math.max(0, ...waits) > patienceMs && nowMs - this.ackedMs > patienceMs
  }

  private noteDrop(nowMs: number): void {
    const last = this.overflowsMs.at(-1)
    if (last !== undefined && this.ackedMs <= last) return
    this.overflowsMs = [...this.overflowsMs, nowMs].slice(-OVERFLOWS)
    const [first] = this.overflowsMs
    if (this.overflowsMs.length === OVERFLOWS && first !== undefined && nowMs - first <= OVERFLOW_MS) this.controller.overflowed(nowMs)
  }

  private transmit(frame: Frame, copies: number, nowMs: number): Transmission[] {
    const out: Transmission[] = []
    for (let i = 0; i < copies; i++) {
      const lane = this.pick(frame, nowMs)
      if (lane === undefined) break
      frame.lanes.push(lane)
      const underWay = this.lanesOpen.get(lane)?.copies ?? []
      underWay.push({ seq: frame.seq, sentMs: nowMs, isJudged: underWay.length > 0 })
      this.copiesSent++
      out.push({ lane, seq: frame.seq, sentMs: nowMs >>> 0, body: frame.body })
    }
    return out
  }

  /** An idle lane, else one that is not late yet, else the one with the least under way. */
  private pick(frame: Frame, nowMs: number): LaneId | undefined {
    const limitMs = this.controller.resendAfterMs(nowMs)
    let [bestKind, bestCount] = [Infinity, Infinity]
    let chosen: LaneId | undefined
    let tried = 0
    for (const [lane, state] of this.lanesOpen) {
      if (!this.takes(lane, state, nowMs)) continue
      tried++
      if (this.controller.level === Level.LEAN && tried > 1 && frame.lanes.length === 0) break
      if (frame.lanes.includes(lane)) continue
      const count = state.copies.length
      const kind = count === 0 ? 0 : state.waitedMs(nowMs) <= limitMs ? 1 : 2
      if (kind > bestKind || (kind === bestKind && count >= bestCount)) continue
      ;[bestKind, bestCount, chosen] = [kind, count, lane]
    }
    return chosen
  }

  private takes(lane: LaneId, state: Lane, nowMs: number): boolean {
    if (!this.isWritable(lane)) return false
    if (!state.isAnswered) return state.copies.length < UNANSWERED_MAX
    if (state.waitedMs(nowMs) <= this.controller.queuedMsMax(nowMs)) return true
    // One now and then all the same: the answer to what waits may itself be waiting for a frame.
    return nowMs - (state.copies.at(-1)?.sentMs ?? nowMs) > QUEUED_MS_MAX
  }

  private forgetOld(nowMs: number): void {
    for (const [seq, frame] of this.frames) {
      if (nowMs - frame.sentMs <= FRAME_LIFETIME_MS) return
      this.frames.delete(seq)
    }
  }
}

/** The other end: tells frames from copies, and answers each. */
export class LaneReceiver {
  private newest: number | undefined
  private seen = new Set<number>()
  private readonly unanswered = new Map<LaneId, number>()
  private readonly answeredMs = new Map<LaneId, number>()

  /**
   * Whether the frame is new, and the answer to give on its lane now. `back` is the controller of the other direction;
   * where one of the two is lean, one answer stands for several frames of its lane.
   */
  arrived(lane: LaneId, seq: number, sentMs: number, nowMs: number, back: Controller, isNarrow = false): readonly [isNew: boolean, ack: Ack | null] {
    return [this.isNew(seq), this.answer(lane, seq, sentMs, nowMs, back, isNarrow)]
  }

  /** The lane is gone. */
  closed(lane: LaneId): void {
    this.unanswered.delete(lane)
    this.answeredMs.delete(lane)
  }

  private answer(lane: LaneId, seq: number, sentMs: number, nowMs: number, back: Controller, isNarrow: boolean): Ack | null {
    const waiting = (this.unanswered.get(lane) ?? 0) + 1
    const isLate = nowMs - (this.answeredMs.get(lane) ?? -Infinity) >= SPARING_MS
    if (back.sparesAnswers && waiting < SPARING_FRAMES && !isLate) {
      this.unanswered.set(lane, waiting)
      return null
    }
    this.unanswered.set(lane, 0)
    this.answeredMs.set(lane, nowMs)
    return { seq, delayMs: (Math.trunc(nowMs) - sentMs) >>> 0, level: back.level, isNarrow }
  }

  private isNew(seq: number): boolean {
    if (this.newest === undefined) {
      this.newest = seq
      this.seen.add(seq)
      return true
    }
    const ahead = (seq - this.newest) >>> 0
    if (ahead > 0 && ahead <= (UINT32_MAX - 1) / 2) {
      this.newest = seq
      if (ahead >= WINDOW_FRAMES) this.seen.clear()
      else if (this.seen.size > 2 * WINDOW_FRAMES) {
        this.seen = new Set([...this.seen].filter((known) => (seq - known) >>> 0 < WINDOW_FRAMES))
      }
    } else if ((this.newest - seq) >>> 0 >= WINDOW_FRAMES) return false
    if (this.seen.has(seq)) return false
    this.seen.add(seq)
    return true
  }
}
