// Several connections as one way for sealed frames: what goes on which lane, what goes again (docs/spec/lanes.md).
//
// One hop, one direction: `LaneSender` at the one end, `LaneReceiver` at the other. Both ends of a connection run both.
// Sans-IO: lanes are numbers, times are milliseconds of one monotonic clock, and every method returns what to transmit.
// The same rules run in `ringthrough.protocol.lanes`; `vectors/lanes` holds the two together.
import type { Brand } from "../brand.js"
import type { Controller, Level } from "./lane-control.js"
import { QUEUED_MS_MAX, SPARING_FRAMES, SPARING_MS, UINT32_MAX } from "./lane-control-constants.js"
import { APART_MS, FRAME_LIFETIME_MS, OVERFLOW_MS, OVERFLOWS, SILENCE_MS, STALL_MS_MIN, STALL_ROUND_TRIPS, STUCK_MS, STUCK_MS_UNKNOWN, TOGETHER_MS, UNANSWERED_MAX, WINDOW_FRAMES } from "./lanes-constants.js"

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
 * room; `isSparing`: one answer for several frames of the other direction will do.
 */
export interface Ack {
  readonly seq: number
  readonly delayMs: number
  readonly level: Level
  readonly isNarrow: boolean
  readonly isSparing: boolean
}

interface Copy {
  readonly seq: number
  readonly sentMs: number
  /** Whether another one's answer may be the answer to this. */
  readonly isSpared: boolean
  isLate: boolean
}

interface Frame {
  readonly seq: number
  readonly body: Uint8Array
  readonly sentMs: number
  /** How long its answer may take. */
  readonly limitMs: number
  dueMs: number
  resends: number
  /** Where its one copy waits for another one's answer. */
  sparedOn: LaneId | undefined
  readonly lanes: LaneId[]
}

class Lane {
  /** Under way, in the order in which they were sent: a connection keeps that order. */
  readonly copies: Copy[] = []
  isAnswered = false
  /** When the copy answered last was sent, arrived on the receiver's clock, and was answered. */
  last: readonly [sentMs: number, cameMs: number, answeredMs: number] | undefined

  /**
   * For how long an answer has been owed. None is while so few frames are under way that the other end may spare it: they
   * may have been the last for long.
   */
  waitedMs(nowMs: number): number {
    return Math.max(0, nowMs - this.owedMs(0))
  }

  /** When that left whose answer tells of the copy at `place`; infinite while it has not. */
  owedMs(place: number): number {
    const owed = this.copies.find(({ isSpared }, at) => at >= place && (!isSpared || at % SPARING_FRAMES === SPARING_FRAMES - 1))
    return owed?.sentMs ?? Infinity
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

  /** Whether frames are under way and none has ever been answered. */
  get awaitsFirstAnswer(): boolean {
    return this.ackedMs === -Infinity && [...this.lanesOpen.values()].some((lane) => lane.copies.length > 0)
  }

  /** When `tick` is to be called next; null while nothing is under way. */
  get dueMs(): number | null {
    let due = Infinity
    for (const frame of this.frames.values()) due = Math.min(due, this.dueMsOf(frame))
    return due === Infinity ? null : due
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
    const limitMs = this.controller.resendAfterMs
    const frame: Frame = { seq: this.nextSeq, body, sentMs: nowMs, limitMs, dueMs: nowMs + limitMs, resends: 0, sparedOn: undefined, lanes: [] }
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
  acked(lane: LaneId, { seq, delayMs, level, isNarrow, isSparing }: Ack, nowMs: number): void {
    const state = this.lanesOpen.get(lane)
    const place = state?.copies.findIndex((copy) => copy.seq === seq) ?? -1
    if (state === undefined || place < 0) return
    this.ackedMs = nowMs
    state.isAnswered = true
    for (const copy of state.copies.splice(0, place + 1)) {
      this.frames.delete(copy.seq)
      if (!copy.isLate) this.controller.arrived(nowMs)
      if (copy.seq !== seq) continue
      this.controller.measured(nowMs - copy.sentMs, delayMs, nowMs)
      this.noteHeld(state, copy.sentMs, (Math.trunc(copy.sentMs) + delayMs) >>> 0, nowMs)
    }
    this.controller.heard(level, isNarrow, isSparing, nowMs)
  }

  /** What is due again: frames not acknowledged in time, on lanes that have not carried them yet. */
  tick(nowMs: number): Transmission[] {
    this.forgetOld(nowMs)
    const limitMs = this.controller.resendAfterMs
    for (const lane of this.lanesOpen.values()) {
      for (const [place, copy] of lane.copies.entries()) {
        if (copy.isLate || nowMs - lane.owedMs(place) < limitMs) continue
        copy.isLate = true
        if (place === 0) this.controller.missed(nowMs) // what is behind it waits for its loss
      }
    }
    const resends = this.controller.resends(nowMs)
    const out: Transmission[] = []
    for (const frame of this.frames.values()) {
      if (this.dueMsOf(frame) > nowMs) continue
      if (frame.resends < resends) {
        frame.resends++
        out.push(...this.transmit(frame, 1, nowMs))
      }
      frame.dueMs = nowMs + limitMs
      frame.sparedOn = undefined
    }
    return out
  }

  /** Lanes on which nothing arrives any more. */
  stalled(nowMs: number): LaneId[] {
    return [...this.lanesOpen].filter(([, state]) => this.isStalled(state, nowMs)).map(([lane]) => lane)
  }

  private isStalled(lane: Lane, nowMs: number): boolean {
    return lane.waitedMs(nowMs) > Math.max(STALL_MS_MIN, STALL_ROUND_TRIPS * this.controller.roundTripMs)
  }

  /**
   * Whether a loss holds up every lane: answers are overdue, and none has come meanwhile. A full pipe looks otherwise:
   * there, late answers keep coming.
   */
  isStuck(nowMs: number): boolean {
    const isNew = this.ackedMs === -Infinity
    const patienceMs = isNew ? STUCK_MS_UNKNOWN : this.controller.resendAfterMs + STUCK_MS
    const waits = [...this.lanesOpen.values()].map((state) => state.waitedMs(nowMs))
    return waits.length > 0 && Math.min(...waits) > patienceMs && nowMs - this.ackedMs > patienceMs
  }

  /** Whether frames are under way and no lane has answered anything for long. */
  isSilent(nowMs: number): boolean {
    const patienceMs = SILENCE_MS + 1.5 * this.controller.roundTripMs
    const waits = [...this.lanesOpen.values()].map((state) => state.waitedMs(nowMs))
    return Math.max(0, ...waits) > patienceMs && nowMs - this.ackedMs > patienceMs
  }

  private dueMsOf(frame: Frame): number {
    const lane = frame.sparedOn === undefined ? undefined : this.lanesOpen.get(frame.sparedOn)
    const place = lane?.copies.findIndex(({ seq }) => seq === frame.seq) ?? -1
    return lane === undefined || place < 0 ? frame.dueMs : lane.owedMs(place) + frame.limitMs
  }

  private noteHeld(lane: Lane, sentMs: number, cameMs: number, nowMs: number): void {
    const { last } = lane
    lane.last = [sentMs, cameMs, nowMs]
    if (last === undefined || sentMs - last[0] < APART_MS) return
    if ((cameMs - last[1]) >>> 0 <= TOGETHER_MS) this.controller.wasHeld()
    if (nowMs - last[2] <= TOGETHER_MS) this.overflowsMs = []
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
      const isSpared = this.controller.isSpared(nowMs)
      frame.sparedOn = isSpared ? lane : undefined
      underWay.push({ seq: frame.seq, sentMs: nowMs, isSpared, isLate: false })
      this.copiesSent++
      out.push({ lane, seq: frame.seq, sentMs: nowMs >>> 0, body: frame.body })
    }
    return out
  }

  /** An idle lane, else one that is not late yet, else the one with the least under way. */
  private pick(frame: Frame, nowMs: number): LaneId | undefined {
    const limitMs = this.controller.resendAfterMs
    const keepsToOne = this.controller.isSparing(nowMs) && frame.lanes.length === 0
    let [bestKind, bestCount] = [Infinity, Infinity]
    let chosen: LaneId | undefined
    for (const [lane, state] of this.lanesOpen) {
      if (frame.lanes.includes(lane) || !this.takes(lane, state, nowMs)) continue
      // One whose end has not reached us takes a frame now and then, and nobody would miss it for long.
      if (keepsToOne && !this.isStalled(state, nowMs)) return lane
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

/** The other end: tells frames from copies, and answers. */
export class LaneReceiver {
  private newest: number | undefined
  private seen = new Set<number>()
  private readonly unanswered = new Map<LaneId, number>()
  private readonly answeredMs = new Map<LaneId, number>()
  /** What the last answer told of the other direction, and of the hops behind. */
  private said: Pick<Ack, "level" | "isNarrow" | "isSparing"> | undefined

  /**
   * Whether the frame is new, and the answer to give on its lane now. `back` is the controller of the other direction.
   * Where this one spares answers, one stands for several frames of its lane.
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
    const says = { level: back.level, isNarrow, isSparing: back.isSparing(nowMs) }
    const isNews = says.level !== this.said?.level || isNarrow !== this.said.isNarrow || says.isSparing !== this.said.isSparing
    if (back.sparesAnswers && waiting < SPARING_FRAMES && !isLate && !isNews) {
      this.unanswered.set(lane, waiting)
      return null
    }
    this.unanswered.set(lane, 0)
    this.answeredMs.set(lane, nowMs)
    this.said = says
    return { seq, delayMs: (Math.trunc(nowMs) - sentMs) >>> 0, ...says }
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
