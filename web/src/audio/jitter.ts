/**
 * Jitter buffer: puts packets in order and decides, for each slot of playout, what is heard.
 *
 * A packet of `n` slots from slot `first` on is sent when its last slot has been spoken, at `(first + n) * 20` ms on the
 * sender's clock. Slot `s` is due here at
 *
 *     due(s) = floor + (s + span) * 20 ms + target
 *
 * where `floor` is the smallest (arrival - sending time) of the last 15 s, `span` the longest packet of the last second,
 * and `target` how far the delays reach above that floor, plus a margin, bounded. They reach as far as 99 % of those of
 * the last 15 s, further than 160 ms only for more than 2 % of them, and no further than the largest of the last 5 s:
 * trouble that is over is paid for no longer. A packet that comes a slot faster than all before shows that those waited
 * in a queue, as what opened a call may leave one: their delays are forgotten. Until there are 5 s of delays, what was
 * learnt before the first packet (`expect`) counts too. The buffer never hands out a slot twice or out of order, holds a
 * bounded number of them, and takes time as an argument: arrival and playout times are on one clock in ms.
 *
 * The delay changes by whole slots: it grows when a slot is missing anyway (the buffer waits for it instead of giving it
 * up), and shrinks when a slot is surplus, which the player leaves out in a pause: amid speech that would be heard.
 *
 * Order and number of arrivals say nothing: a packet counts when it comes first, a second one (another lane's, or a
 * copy inside a later frame) changes nothing. A copy that is the first to bring its packet counts with the delay it has,
 * or the buffer would never wait long enough for copies.
 *
 * The same algorithm runs in `ringthrough.audio.jitter`; `vectors/jitter` holds the two together.
 */

import { PACKET_SLOTS_MAX, SLOT_MS } from "../core/audio/profiles.js"
import { SlotFates } from "../core/audio/report.js"
import { LongestRecent, SettledMinimum, SlidingWindow } from "./windows.js"

/** Half of what counts exactly. A call reaches it in three million years. */
export const SLOT_MAX = 2 ** 52

const SECOND_SLOTS = 1000 / SLOT_MS

/** So many pulls tell how old what they play is: in the quiet before the first word, what is too much can still go. */
const SETTLED_SLOTS = 10

/** Delay over the target from which a quiet slot is left out: one slot, and slack so that jitter causes nothing. */
export const SURPLUS_SLOTS = 1.5

/** Delay over the largest target at which the buffer jumps. */
export const CATCH_UP_SLOTS = 12

/** Bounds of the playout delay. */
export interface JitterConfig {
  /** Or half of the longest packet and 10 ms, where that is more: 20, 40 and 70 ms for 20, 60 and 120. */
  readonly targetMsMin: number
  readonly targetMsMax: number
  readonly quantile: number
  /** From so much on, waiting costs a conversation more than what is lost without it: only for `quantileDear`. */
  readonly dearMs: number
  readonly quantileDear: number
  readonly marginMs: number
  readonly windowSlots: number
  /** What was not seen among so many slots is forgotten, though the window still holds it. */
  readonly recentSlots: number
  readonly slotsMax: number
  /** Nothing but late packets for so long means that the path got slower for good: start over. */
  readonly lateRunMsMax: number
}

export const DEFAULT_CONFIG: JitterConfig = {
  targetMsMin: 20,
  targetMsMax: 600,
  quantile: 0.99,
  dearMs: 160,
  quantileDear: 0.98,
  marginMs: 10,
  windowSlots: 768,
  recentSlots: 250,
  slotsMax: 192,
  lateRunMsMax: 500,
}

/** `slots` slots of coded sound from slot `first` on. */
export interface Packet {
  readonly first: number
  readonly slots: number
  readonly data: Uint8Array
}

/**
 * What is heard next.
 *
 * `play`: play `slot`, which lies in `packet`. `surplus`: the delay is longer than needed; leave the slot out if
 * nobody speaks in it, call `skip`, and pop again.
 * `conceal`: nothing to play, invent a slot. `run` counts concealed slots in a row, from 1; `held` means that the
 * buffer still waits for `slot`, so the delay grows by a slot.
 * `wait`: not started (again) yet, play silence. `waitMs` is how long at least, null while nothing has arrived.
 */
export type Decision =
  | { readonly kind: "play"; readonly slot: number; readonly packet: Packet; readonly surplus: boolean }
  | { readonly kind: "conceal"; readonly slot: number; readonly run: number; readonly held: boolean }
  | { readonly kind: "wait"; readonly waitMs: number | null }

/** Counters since the start, in slots, and the present delays. */
export interface JitterStats {
  /** Brought by packets themselves, copies inside later frames not counted. */
  received: number
  /** Brought by such copies first, and in time. */
  repaired: number
  played: number
  concealed: number
  late: number
  duplicate: number
  /** Left out by the player to shorten the delay. */
  skipped: number
  /** Thrown away unplayed: stale at the start, after a stall of the player, or after a jump of the numbering. */
  discarded: number
  /** Concealed slots that lengthened the delay (counted in `concealed` too): nothing was lost in them. */
  grown: number
  restarts: number
  longestConcealed: number
  targetMs: number
  /** Playout time minus the earliest time at which the slot could have been here, for the last slot played. */
  delayMs: number
}

function checked(config: JitterConfig): JitterConfig {
  const { targetMsMin, targetMsMax, quantile, quantileDear, slotsMax, windowSlots, recentSlots } = config
  if (!(targetMsMin > 0 && targetMsMin <= targetMsMax)) throw new RangeError("target durations must be positive and ordered")
  if (!(quantileDear > 0 && quantileDear <= quantile && quantile <= 1)) {
    throw new RangeError("quantiles are shares, above 0 up to 1, and less is waited for where it is dear")
  }
  if (!(slotsMax * SLOT_MS >= targetMsMax + (CATCH_UP_SLOTS + PACKET_SLOTS_MAX) * SLOT_MS)) {
    throw new RangeError("slotsMax cannot hold targetMsMax of sound")
  }
  if (!(windowSlots >= 1 && recentSlots >= 1)) throw new RangeError("a window holds at least one slot")
  return config
}

/** Whole times that `divisor` fits into `value`, rounded down, without the error of dividing first. */
function wholeTimes(value: number, divisor: number): number {
  const rest = value % divisor
  return Math.round((value - (rest < 0 ? rest + divisor : rest)) / divisor)
}

interface Held {
  readonly packet: Packet
  /** Whether the packet itself came, as opposed to a copy inside a later frame. */
  own: boolean
}

/** One direction of one call. No method throws on what the network did. */
export class JitterBuffer {
  readonly config: JitterConfig
  /** Live counters; copy them to keep them. */
  readonly stats: JitterStats
  readonly #held = new Map<number, Held>()
  /** No slot below is ever played; once started, the slot that is due next. */
  #next = 0
  /** Times count from here: large numbers times a duration would not fit a float's precision. */
  #base: number | null = null
  /** Recent slots below `#next` that did arrive, to tell a second copy from a late packet. */
  readonly #done = new Set<number>()
  /**
   * Arrival less sending time in ms, across two unrelated clocks: only differences mean anything. The window, not the
   * first packet, gives the floor: a call that starts while the network is busy would otherwise keep that start-up delay
   * to its end.
   */
  readonly #delays: SlidingWindow
  readonly #newestDelays: SlidingWindow
  /** The smallest delay when those before it were last forgotten. */
  #fastestMs = Infinity
  /** When a packet last came while none was held. */
  #filledMs = 0
  #expectedMs = 0
  /** Playout less start of the last second's slots, across the two clocks, as in `#delays`. */
  readonly #ages = new SettledMinimum(SECOND_SLOTS, SETTLED_SLOTS)
  readonly #lengths = new LongestRecent(SECOND_SLOTS)
  readonly #fates = new SlotFates()
  #started = false
  #concealRun = 0
  /** Slots directly below `#next` that were concealed and not waited for. */
  #givenUp = 0
  #lateSinceMs: number | null = null

  constructor(config: Partial<JitterConfig> = {}) {
    this.config = checked({ ...DEFAULT_CONFIG, ...config })
    this.#delays = new SlidingWindow(this.config.windowSlots)
    this.#newestDelays = new SlidingWindow(this.config.recentSlots)
    this.stats = {
      received: 0, repaired: 0, played: 0, concealed: 0, late: 0, duplicate: 0, skipped: 0, discarded: 0, grown: 0,
      restarts: 0, longestConcealed: 0, targetMs: this.config.targetMsMin, delayMs: 0,
    }
  }

  /** Whether playout runs (as opposed to the first fill, or a new fill after a jump). */
  get started(): boolean {
    return this.#started
  }

  /** Slots that wait to be played; never more than `config.slotsMax`. */
  get slotsHeld(): number {
    return this.#held.size
  }

  /** Shares of the last second played that their own packets did not bring, or brought too late. */
  percent(): { readonly lost: number; readonly late: number } {
    return this.#fates.percent()
  }

  /** How many packets are lost in a row, on average over the last second; 0 where none is. */
  lostRunPackets(): number {
    return this.#fates.meanLostRun() / this.#lengths.longest()
  }

  /**
   * Before the first packet: so far do delays reach above the floor, as far as waiting is not dear. The delay that they
   * will need is there from the first word on, where else it would grow amid them.
   */
  expect(reachMs: number): void {
    this.#expectedMs = Math.min(reachMs, this.config.dearMs)
  }

  // -- arrivals ----------------------------------------------------------------------------------------------------

  /**
   * Takes a packet that arrived at `nowMs`; returns whether any of it can still be played.
   *
   * `repeated`: a copy inside a later frame. False for a duplicate, a late packet, or no number of a slot.
   */
  push(packet: Packet, nowMs: number, repeated = false): boolean {
    const { first, slots } = packet
    const end = first + slots
    if (!(Number.isInteger(first) && Number.isInteger(slots))) return false
    if (first < 0 || end - 1 > SLOT_MAX || slots < 1 || slots > PACKET_SLOTS_MAX) return false
    if (!repeated) {
      this.stats.received += slots
      this.#ownCame(first, end)
    }
    const fresh: number[] = []
    for (let slot = first; slot < end; slot++) if (!this.#held.has(slot) && !this.#done.has(slot)) fresh.push(slot)
    if (!repeated) this.stats.duplicate += slots - fresh.length
    // Copies of what was sent before the first packet that came would only teach a delay that nobody needs.
    if (fresh.length === 0 || (repeated && (this.#base === null || first < this.#base))) return false
    this.#base ??= first
    const newest = this.#newest() ?? (this.#started ? this.#next : first)
    const { slotsMax } = this.config
    if (end > newest + slotsMax) this.#jumpAhead(first)
    this.#observe(packet, nowMs, repeated)
    this.#discardBelow(end - slotsMax)
    this.#waitAfterAll(fresh[0]!, nowMs)
    return this.#store(packet, fresh, Math.max(this.#next, newest - slotsMax + 1), nowMs, repeated)
  }

  #store(packet: Packet, fresh: readonly number[], bound: number, nowMs: number, repeated: boolean): boolean {
    let inTime = 0
    if (this.#held.size === 0) this.#filledMs = nowMs
    for (const slot of fresh) {
      if (slot < bound) {
        this.#remember(slot)
      } else {
        this.#held.set(slot, { packet, own: !repeated })
        inTime++
      }
    }
    if (repeated) {
      this.stats.repaired += inTime
    } else {
      this.stats.late += fresh.length - inTime
      if (this.#isLateRun(inTime > 0, nowMs)) {
        this.#refill()
        this.#observe(packet, nowMs, repeated)
      }
    }
    return inTime > 0
  }

  #ownCame(first: number, end: number): void {
    for (let slot = first; slot < end; slot++) {
      this.#fates.came(slot)
      const held = this.#held.get(slot)
      if (held !== undefined) held.own = true
    }
  }

  #newest(): number | null {
    let newest: number | null = null
    for (const held of this.#held.keys()) if (newest === null || held > newest) newest = held
    return newest
  }

  #oldest(): number | null {
    let oldest: number | null = null
    for (const held of this.#held.keys()) if (oldest === null || held < oldest) oldest = held
    return oldest
  }

  #observe({ first, slots }: Packet, nowMs: number, repeated: boolean): void {
    const { marginMs, targetMsMin, targetMsMax } = this.config
    const delayMs = nowMs - this.#startMs(first + slots)
    // A packet that no permitted target could have saved says nothing about where to set the target.
    const isLate = first < this.#next && this.#delays.length > 0
    if (isLate && delayMs - this.#delays.smallest() > targetMsMax) return
    if (delayMs < this.#fastestMs - SLOT_MS) {
      this.#forgetDelays()
      this.#fastestMs = delayMs
    }
    for (let slot = 0; slot < slots; slot++) {
      this.#delays.add(delayMs)
      this.#newestDelays.add(delayMs)
    }
    if (!repeated) this.#lengths.add(slots)
    const seenMs = this.#reachMs(this.#delays.smallest())
    const wanted = (this.#newestDelays.isFull ? seenMs : Math.max(seenMs, this.#expectedMs)) + marginMs
    const least = Math.max(targetMsMin, ((this.#lengths.longest() + 1) * SLOT_MS) / 2)
    this.stats.targetMs = Math.min(Math.max(wanted, least), targetMsMax)
  }

  #forgetDelays(): void {
    this.#delays.clear()
    this.#newestDelays.clear()
    this.#fastestMs = Infinity
  }

  /** How far the delays to be waited for reach above the floor. */
  #reachMs(floorMs: number): number {
    const { quantile, quantileDear, dearMs } = this.config
    const mostMs = Math.min(this.#delays.quantile(quantile), this.#newestDelays.largest())
    // Of few packets, the slowest is all that the share leaves out.
    const share = Math.min(quantileDear, 1 - this.#lengths.longest() / this.#delays.length)
    const nearlyMs = Math.min(this.#delays.quantile(share), mostMs)
    return Math.min(mostMs - floorMs, Math.max(nearlyMs - floorMs, dearMs))
  }

  /** When `slot` began to be spoken, on a clock that starts with the first packet. */
  #startMs(slot: number): number {
    return (slot - (this.#base ?? 0)) * SLOT_MS
  }

  /** Slots just given up are here now, and the delay has to grow: what was concealed for them is the growth. */
  #waitAfterAll(first: number, nowMs: number): void {
    const missed = this.#next - first
    if (missed <= 0 || missed > this.#givenUp || this.#delayMs(first, nowMs) > this.stats.targetMs) return
    this.#next = first
    this.#givenUp = 0
    this.stats.grown += missed
    this.#ages.shift(missed * SLOT_MS)
  }

  #isLateRun(inTime: boolean, nowMs: number): boolean {
    if (inTime) {
      this.#lateSinceMs = null
      return false
    }
    this.#lateSinceMs ??= nowMs
    return this.#started && nowMs - this.#lateSinceMs >= this.config.lateRunMsMax
  }

  #remember(slot: number): void {
    this.#done.add(slot)
    if (this.#done.size > 4 * this.config.slotsMax) this.#done.delete(this.#done.values().next().value!)
  }

  /** The sender's numbering moved further than the buffer spans: start over from `slot`. */
  #jumpAhead(slot: number): void {
    this.#discardBelow(slot)
    this.#next = slot
    this.#base = slot
    this.#refill()
  }

  /** Goes back to filling, with a new idea of the path. What was played stays behind `#next`. */
  #refill(): void {
    this.#forgetDelays()
    this.#ages.clear()
    this.#lengths.clear()
    this.#expectedMs = 0
    this.#givenUp = 0
    this.#lateSinceMs = null
    this.stats.restarts += Number(this.#started)
    this.#started = false
    this.stats.targetMs = this.config.targetMsMin
  }

  #discardBelow(slot: number): void {
    for (const [stale, { own }] of this.#held) {
      if (stale >= slot) continue
      this.#held.delete(stale)
      this.#fates.due(stale, own)
      this.#remember(stale)
      this.stats.discarded++
      this.#next = Math.max(this.#next, stale + 1)
    }
    if (this.#started && slot > this.#next) {
      this.#next = slot
      this.#givenUp = 0
    }
  }

  // -- playout -----------------------------------------------------------------------------------------------------

  /**
   * Decides what is heard in the slot that starts at `nowMs`. Call once per slot of output; `nowMs` is the instant
   * of the audio clock at which the slot plays, so a stall of the program alone costs nothing.
   */
  pop(nowMs: number): Decision {
    if (!this.#started) {
      const waitMs = this.#start(nowMs)
      if (waitMs === null || waitMs > 0) return { kind: "wait", waitMs }
    }
    this.#catchUp(nowMs)
    const slot = this.#next
    const delayMs = this.#delayMs(slot, nowMs)
    const held = this.#held.get(slot)
    if (held === undefined) return this.#conceal(slot, delayMs)
    this.#held.delete(slot)
    this.#next = slot + 1
    this.#fates.due(slot, held.own)
    this.#remember(slot)
    this.#concealRun = this.#givenUp = 0
    this.stats.played++
    this.stats.delayMs = delayMs
    this.#ages.add(nowMs - this.#startMs(slot))
    return this.#judgeSurplus(slot, held.packet)
  }

  /** The ms until `pop` may hand out the first slot: 0 when playout runs, null without packets. */
  waitMs(nowMs: number): number | null {
    if (this.#started) return 0
    const first = this.#oldest()
    if (first === null) return null
    return Math.max(0, this.stats.targetMs - this.#delayMs(first, nowMs))
  }

  /** Tells that the slot just popped was left out; the caller pops again for the same instant. */
  skip(): void {
    this.stats.played--
    this.stats.skipped++
    this.#ages.shift(-SLOT_MS)
  }

  #delayMs(slot: number, nowMs: number): number {
    return nowMs - this.#delays.smallest() - this.#startMs(slot + this.#lengths.longest())
  }

  /** Starts when the first slot is due; returns the ms until then, 0 when started, null without packets. */
  #start(nowMs: number): number | null {
    const first = this.#oldest()
    if (first === null) return null
    const earlyMs = this.stats.targetMs - this.#delayMs(first, nowMs)
    if (earlyMs > 0) return earlyMs
    // Slots that waited for the player longer than the target would only be delay. What the network held up is no less
    // old, but nobody has missed a word of it yet: that delay goes in the first pause.
    const excess = wholeTimes(Math.min(-earlyMs, nowMs - this.#filledMs), SLOT_MS)
    this.#discardBelow(Math.min(first + excess, this.#newest()!))
    this.#next = this.#oldest()!
    this.#started = true
    return 0
  }

  /** Bounds the delay: after a long stall of the player, jumps to the slot that is due now. */
  #catchUp(nowMs: number): void {
    const delayMs = this.#delayMs(this.#next, nowMs)
    if (delayMs <= this.config.targetMsMax + CATCH_UP_SLOTS * SLOT_MS) return
    const behind = wholeTimes(delayMs - this.stats.targetMs, SLOT_MS)
    this.#discardBelow(this.#next + behind)
    this.#ages.clear()
  }

  #conceal(slot: number, delayMs: number): Decision {
    this.#concealRun++
    this.stats.concealed++
    this.stats.longestConcealed = Math.max(this.stats.longestConcealed, this.#concealRun)
    const held = delayMs < this.stats.targetMs
    if (held) {
      this.stats.grown++
      this.#ages.shift(SLOT_MS)
    } else {
      this.#next = slot + 1
      this.#givenUp++
      this.#fates.due(slot, false)
    }
    return { kind: "conceal", slot, run: this.#concealRun, held }
  }

  /** How far the delay of the last second lies above what is needed; null where it is not known, or nothing follows. */
  overMs(): number | null {
    const settledMs = this.#ages.settledMs()
    if (settledMs === null || !this.#held.has(this.#next)) return null
    return settledMs - (this.#delays.smallest() + this.#lengths.longest() * SLOT_MS + this.stats.targetMs)
  }

  #judgeSurplus(slot: number, packet: Packet): Decision {
    const overMs = this.overMs()
    if (overMs === null) return { kind: "play", slot, packet, surplus: false }
    return { kind: "play", slot, packet, surplus: overMs >= SURPLUS_SLOTS * SLOT_MS }
  }
}
