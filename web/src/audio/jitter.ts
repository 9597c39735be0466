/**
 * Jitter buffer: puts frames in order and decides, at each playout instant, what is heard.
 *
 * Frame `seq` was sent at `seq * frameMs` on the sender's clock. Its due time here is
 *
 *     due(seq) = floor + seq * frameMs + target
 *
 * where `floor` is the smallest (arrival - seq * frameMs) of the recent window and `target` is the 98.5 % quantile of
 * the delays above that floor plus a margin, bounded. The buffer never hands out a frame twice or out of order, holds
 * a bounded number of frames, and takes time as an argument: arrival and playout times are on one clock in ms.
 *
 * The delay changes by whole frames: it grows when a frame is missing anyway (the buffer waits for it instead of
 * giving it up), and shrinks when a frame is surplus, which the player leaves out where it is quiet.
 *
 * The same algorithm runs in `ringthrough.audio.jitter`; `vectors/jitter` holds the two together.
 */

import { DelayWindow, SettledMinimum } from "./delays.js"
import { FRAME_MS } from "./sound.js"

/** Half of what counts exactly. A call of 60 ms frames reaches it in eight million years. */
export const SEQ_MAX = 2 ** 52

/** Delay over the target from which a quiet frame is left out: one frame, and slack so that jitter causes nothing. */
export const SURPLUS_FRAMES = 1.5

/** Delay over the target from which a frame is left out even if it is not quiet, once in so many frames. */
export const URGENT_FRAMES = 4

/** Delay over the largest target at which the buffer jumps. */
export const CATCH_UP_FRAMES = 4

/** Bounds of the playout delay. The defaults suit 60 ms frames over TLS. */
export interface JitterConfig {
  readonly frameMs: number
  readonly targetMsMin: number
  readonly targetMsMax: number
  readonly quantile: number
  readonly marginMs: number
  readonly windowFrames: number
  readonly framesMax: number
  /** Nothing but late frames for so long means that the path got slower for good: start over. */
  readonly lateRunMsMax: number
}

export const DEFAULT_CONFIG: JitterConfig = {
  frameMs: FRAME_MS,
  targetMsMin: 60,
  targetMsMax: 600,
  quantile: 0.985,
  marginMs: 10,
  windowFrames: 256,
  framesMax: 64,
  lateRunMsMax: 500,
}

/**
 * What is heard next.
 *
 * `frame`: play this packet. `surplus`: the delay is longer than needed; leave the frame out if it is quiet, call
 * `skip`, and pop again. `urgent`: leave it out even if it is not quiet.
 * `conceal`: nothing to play, invent a frame. `run` counts concealed frames in a row, from 1; `held` means that the
 * buffer still waits for `seq`, so the delay grows by a frame.
 * `wait`: not started (again) yet, play silence. `waitMs` is how long at least, null while nothing has arrived.
 */
export type Decision =
  | { readonly kind: "frame"; readonly seq: number; readonly packet: Uint8Array; readonly surplus: boolean; readonly urgent: boolean }
  | { readonly kind: "conceal"; readonly seq: number; readonly run: number; readonly held: boolean }
  | { readonly kind: "wait"; readonly waitMs: number | null }

/** Counters since the start, in frames, and the present delays. */
export interface JitterStats {
  received: number
  played: number
  concealed: number
  late: number
  duplicate: number
  /** Left out by the player to shorten the delay. */
  skipped: number
  /** Thrown away unplayed: stale at the start, after a stall of the player, or after a jump of `seq`. */
  discarded: number
  /** Concealed frames that lengthened the delay (counted in `concealed` too). */
  grown: number
  restarts: number
  targetMs: number
  /** Playout time minus the earliest time at which the frame could have been here, for the last frame played. */
  delayMs: number
}

function checked(config: JitterConfig): JitterConfig {
  const { frameMs, targetMsMin, targetMsMax, quantile, framesMax, windowFrames } = config
  if (!(frameMs >= 1 && targetMsMin > 0 && targetMsMin <= targetMsMax)) {
    throw new RangeError("frame and target durations must be positive and ordered")
  }
  if (!(quantile > 0 && quantile <= 1)) throw new RangeError("quantile is a share, above 0 up to 1")
  if (!(framesMax * frameMs >= targetMsMax + 4 * frameMs)) throw new RangeError("framesMax cannot hold targetMsMax of sound")
  if (!(windowFrames >= 1)) throw new RangeError("the window holds at least one frame")
  return config
}

/** Whole times that `divisor` fits into `value`, rounded down, without the error of dividing first. */
function wholeTimes(value: number, divisor: number): number {
  const rest = value % divisor
  return Math.round((value - (rest < 0 ? rest + divisor : rest)) / divisor)
}

/** One direction of one call. No method throws on what the network did. */
export class JitterBuffer {
  readonly config: JitterConfig
  /** Live counters; copy them to keep them. */
  readonly stats: JitterStats
  readonly #frames = new Map<number, Uint8Array>()
  /** No frame below is ever played; once started, the frame that is due next. */
  #nextSeq = 0
  /** Times count from here: large numbers times a duration would not fit a float's precision. */
  #baseSeq: number | null = null
  /** Recent frames below `#nextSeq` that did arrive, to tell a second copy from a late frame. */
  readonly #done = new Set<number>()
  readonly #delays: DelayWindow
  /** Playout less sending time of the last second's frames, across the two clocks, as in `#delays`. */
  readonly #ages: SettledMinimum
  #started = false
  #concealRun = 0
  #lateSinceMs: number | null = null
  #playsSinceSkip = 0

  constructor(config: Partial<JitterConfig> = {}) {
    this.config = checked({ ...DEFAULT_CONFIG, ...config })
    this.#delays = new DelayWindow(this.config.windowFrames)
    this.#ages = new SettledMinimum(Math.max(1, Math.floor(1000 / this.config.frameMs)))
    this.stats = {
      received: 0, played: 0, concealed: 0, late: 0, duplicate: 0, skipped: 0, discarded: 0, grown: 0, restarts: 0,
      targetMs: this.config.targetMsMin, delayMs: 0,
    }
  }

  /** Whether playout runs (as opposed to the first fill, or a new fill after a jump). */
  get started(): boolean {
    return this.#started
  }

  /** Frames that wait to be played; never more than `config.framesMax`. */
  get framesHeld(): number {
    return this.#frames.size
  }

  // -- arrivals ----------------------------------------------------------------------------------------------------

  /** Takes a frame that arrived at `nowMs`. False for a duplicate, a late frame, or no number of a frame. */
  push(seq: number, packet: Uint8Array, nowMs: number): boolean {
    if (!Number.isInteger(seq) || seq < 0 || seq > SEQ_MAX) return false
    this.stats.received++
    if (this.#frames.has(seq) || this.#done.has(seq)) {
      this.stats.duplicate++
      return false
    }
    this.#baseSeq ??= seq
    const newest = this.#newest() ?? (this.#started ? this.#nextSeq : seq)
    const { framesMax } = this.config
    if (seq < Math.max(this.#nextSeq, newest - framesMax + 1)) {
      this.#countLate(seq, nowMs)
      return false
    }
    if (seq >= newest + framesMax) this.#jumpAhead(seq)
    this.#discardBelow(seq - framesMax + 1)
    this.#lateSinceMs = null
    this.#observe(nowMs - this.#sentMs(seq))
    this.#frames.set(seq, packet)
    return true
  }

  #newest(): number | null {
    let newest: number | null = null
    for (const held of this.#frames.keys()) if (newest === null || held > newest) newest = held
    return newest
  }

  #oldest(): number | null {
    let oldest: number | null = null
    for (const held of this.#frames.keys()) if (oldest === null || held < oldest) oldest = held
    return oldest
  }

  #observe(delayMs: number): void {
    const { quantile, marginMs, targetMsMin, targetMsMax } = this.config
    this.#delays.add(delayMs)
    const wanted = this.#delays.aboveFloorMs(quantile) + marginMs
    this.stats.targetMs = Math.min(Math.max(wanted, targetMsMin), targetMsMax)
  }

  /** Nominal sending time, on a clock that starts with the first frame. */
  #sentMs(seq: number): number {
    return (seq - (this.#baseSeq ?? 0)) * this.config.frameMs
  }

  #countLate(seq: number, nowMs: number): void {
    const delayMs = nowMs - this.#sentMs(seq)
    this.stats.late++
    this.#remember(seq)
    this.#lateSinceMs ??= nowMs
    if (this.#started && nowMs - this.#lateSinceMs >= this.config.lateRunMsMax) this.#refill()
    // A frame that no permitted target could have saved says nothing about where to set the target.
    if (this.#delays.length === 0 || delayMs - this.#delays.floorMs() <= this.config.targetMsMax) this.#observe(delayMs)
  }

  #remember(seq: number): void {
    this.#done.add(seq)
    if (this.#done.size > 4 * this.config.framesMax) this.#done.delete(this.#done.values().next().value!)
  }

  /** The sender's numbering moved further than the buffer spans: start over from `seq`. */
  #jumpAhead(seq: number): void {
    this.#discardBelow(seq)
    this.#nextSeq = seq
    this.#baseSeq = seq
    this.#refill()
  }

  /** Goes back to filling, with a new idea of the path. What was played stays behind `#nextSeq`. */
  #refill(): void {
    this.#delays.clear()
    this.#ages.clear()
    this.#lateSinceMs = null
    this.stats.restarts += Number(this.#started)
    this.#started = false
    this.stats.targetMs = this.config.targetMsMin
  }

  #discardBelow(seq: number): void {
    for (const held of this.#frames.keys()) {
      if (held >= seq) continue
      this.#frames.delete(held)
      this.#remember(held)
      this.stats.discarded++
      this.#nextSeq = Math.max(this.#nextSeq, held + 1)
    }
    if (this.#started) this.#nextSeq = Math.max(this.#nextSeq, seq)
  }

  // -- playout -----------------------------------------------------------------------------------------------------

  /**
   * Decides what is heard in the frame that starts at `nowMs`. Call once per frame of output; `nowMs` is the instant
   * of the audio clock at which the frame plays, so a stall of the program alone costs nothing.
   */
  pop(nowMs: number): Decision {
    if (!this.#started) {
      const waitMs = this.#start(nowMs)
      if (waitMs === null || waitMs > 0) return { kind: "wait", waitMs }
    }
    this.#catchUp(nowMs)
    const seq = this.#nextSeq
    const delayMs = this.#delayMs(seq, nowMs)
    const packet = this.#frames.get(seq)
    if (packet === undefined) return this.#conceal(seq, delayMs)
    this.#frames.delete(seq)
    this.#nextSeq = seq + 1
    this.#remember(seq)
    this.#concealRun = 0
    this.#playsSinceSkip++
    this.stats.played++
    this.stats.delayMs = delayMs
    this.#ages.add(nowMs - this.#sentMs(seq))
    return this.#judgeSurplus(seq, packet)
  }

  /** The ms until `pop` may hand out the first frame: 0 when playout runs, null without frames. */
  waitMs(nowMs: number): number | null {
    if (this.#started) return 0
    const first = this.#oldest()
    if (first === null) return null
    return Math.max(0, this.stats.targetMs - this.#delayMs(first, nowMs))
  }

  /** Tells that the frame just popped was left out; the caller pops again for the same instant. */
  skip(): void {
    this.stats.played--
    this.stats.skipped++
    this.#playsSinceSkip = 0
    this.#ages.shift(-this.config.frameMs)
  }

  #delayMs(seq: number, nowMs: number): number {
    return nowMs - this.#delays.floorMs() - this.#sentMs(seq)
  }

  /** Starts when the first frame is due; returns the ms until then, 0 when started, null without frames. */
  #start(nowMs: number): number | null {
    const first = this.#oldest()
    if (first === null) return null
    const earlyMs = this.stats.targetMs - this.#delayMs(first, nowMs)
    if (earlyMs > 0) return earlyMs
    // Frames that waited for the player longer than the target would only be delay.
    const excess = wholeTimes(-earlyMs, this.config.frameMs)
    this.#discardBelow(Math.min(first + excess, this.#newest()!))
    this.#nextSeq = this.#oldest()!
    this.#started = true
    return 0
  }

  /** Bounds the delay: after a long stall of the player, jumps to the frame that is due now. */
  #catchUp(nowMs: number): void {
    const { frameMs, targetMsMax } = this.config
    const delayMs = this.#delayMs(this.#nextSeq, nowMs)
    if (delayMs <= targetMsMax + CATCH_UP_FRAMES * frameMs) return
    const behind = wholeTimes(delayMs - this.stats.targetMs, frameMs)
    this.#discardBelow(this.#nextSeq + behind)
    this.#ages.clear()
  }

  #conceal(seq: number, delayMs: number): Decision {
    this.#concealRun++
    this.stats.concealed++
    const held = delayMs < this.stats.targetMs
    if (held) {
      this.stats.grown++
      this.#ages.shift(this.config.frameMs)
    } else {
      this.#nextSeq = seq + 1
    }
    return { kind: "conceal", seq, run: this.#concealRun, held }
  }

  /** How far the delay of the last second lies above what is needed; null where it is not known, or nothing follows. */
  overMs(): number | null {
    const settledMs = this.#ages.settledMs()
    if (settledMs === null || !this.#frames.has(this.#nextSeq)) return null
    return settledMs - this.#delays.floorMs() - this.stats.targetMs
  }

  #judgeSurplus(seq: number, packet: Uint8Array): Decision {
    const overMs = this.overMs()
    if (overMs === null) return { kind: "frame", seq, packet, surplus: false, urgent: false }
    const surplus = overMs >= SURPLUS_FRAMES * this.config.frameMs
    const urgent = overMs >= URGENT_FRAMES * this.config.frameMs && this.#playsSinceSkip > URGENT_FRAMES
    return { kind: "frame", seq, packet, surplus, urgent }
  }
}
