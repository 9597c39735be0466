/** Playout of one direction: packets in as they arrive, exactly one slot of sound out at each pull. */

import { REPORT_SLOTS, type Redundancy } from "../core/audio/profiles.js"
import { RedundancyWish } from "../core/audio/report.js"
import { packetSlots } from "../core/audio/toc.js"
import { JitterBuffer, type JitterConfig, type Packet } from "./jitter.js"
import type { Decoder } from "./opus.js"
import { Pauses } from "./pauses.js"
import { rms, slotSamples } from "./sound.js"

/** Invented sound lasts so many slots; then it fades to nothing, for a voice that goes on is a lie. */
export const CONCEALED_SLOTS_MAX = 9
export const FADE_SLOTS = 3

/** A quiet slot may be shortened by so much, when the delay is longer than needed by at least as much as the other. */
const TRIM_MS_MAX = 10
const TRIM_MS_MIN = 8

const SEAM_MS = 5

/** What was heard, in slots of 20 ms; the network's side is in `jitter.stats`. */
export interface PlayoutStats {
  pulled: number
  /** Nothing was there to play: before the start, or after the fade. */
  silent: number
  /** Slots of packets that the decoder refused; each was concealed. */
  corrupt: number
  /** Packets (not slots) that were no packets of a call. */
  malformed: number
  /** Milliseconds cut from quiet slots, to shorten the delay by less than a slot. */
  trimmedMs: number
}

type Playing = { readonly slot: number; readonly packet: Packet }

/** Jitter buffer and decoder together. Neither `push` nor `pull` throws on what came from the network. */
export class Playout {
  readonly jitter: JitterBuffer
  readonly stats: PlayoutStats = { pulled: 0, silent: 0, corrupt: 0, malformed: 0, trimmedMs: 0 }
  readonly slotSamples: number
  readonly #decoder: Decoder
  readonly #seam: number
  readonly #samplesOfMs: number
  readonly #silence: Float32Array
  /** Whose sound is in `#sound`, null where it was refused. */
  #packet: Packet | null = null
  #sound: Float32Array | null = null
  /** The slot that goes on where the sound so far ends. */
  #expected: number | null = null
  readonly #wish = new RedundancyWish()
  readonly #pauses = new Pauses()
  #concealedRun = 0
  #wasSilent = true

  constructor(decoder: Decoder, rateHz: number, config: Partial<JitterConfig> = {}) {
    this.jitter = new JitterBuffer(config)
    this.slotSamples = slotSamples(rateHz)
    this.#decoder = decoder
    this.#samplesOfMs = rateHz / 1000
    this.#seam = Math.floor(SEAM_MS * this.#samplesOfMs)
    this.#silence = new Float32Array(this.slotSamples)
  }

  /** The copies that this side wishes for. */
  get wish(): Redundancy {
    return this.#wish.wish
  }

  /** Slots heard as they were spoken. */
  get played(): number {
    return this.jitter.stats.played - this.stats.corrupt
  }

  /** Slots invented, or silent in their stead, from the first sound on. */
  get concealed(): number {
    return this.jitter.stats.concealed + this.stats.corrupt
  }

  /** Share of the speech that was never heard: given up or corrupt, of all that was due. */
  get lostShare(): number {
    const lost = this.concealed - this.jitter.stats.grown
    const due = lost + this.played + this.jitter.stats.skipped
    return due === 0 ? 0 : lost / due
  }

  /**
   * Takes the packet that begins in `slot` and arrived at `nowMs`; returns whether any of it can still be played.
   * `repeated`: a copy inside a later frame.
   */
  push(slot: number, packet: Uint8Array, nowMs: number, repeated = false): boolean {
    let slots: number
    try {
      slots = packetSlots(packet)
    } catch {
      this.stats.malformed++
      return false
    }
    return this.jitter.push({ first: slot, slots, data: packet }, nowMs, repeated)
  }

  /** Whether silence may be played until the next slot is due, without a pull: it then starts with no added delay. */
  idle(nowMs: number): boolean {
    return this.#wasSilent && !this.jitter.started && this.jitter.waitMs(nowMs) !== 0
  }

  /**
   * The slot of sound to be played at `nowMs`, whatever happened. It is shorter than a slot where the delay is longer
   * than needed and the sound quiet; the next pull is due at its end. Not to be changed by the caller.
   */
  pull(nowMs: number): Float32Array {
    this.stats.pulled++
    if (this.jitter.started && this.stats.pulled % REPORT_SLOTS === 0) {
      this.#wish.second(this.jitter.percent().lost, this.jitter.lostRunPackets())
    }
    let before: Float32Array | null = null
    for (;;) {
      const decision = this.jitter.pop(nowMs)
      if (decision.kind !== "play") {
        this.#expected = decision.kind === "conceal" && !decision.held ? decision.slot + 1 : null
        return this.#conceal()
      }
      before ??= this.#joint(decision)
      const sound = this.#decode(decision)
      this.#expected = decision.slot + 1
      if (sound === null) return this.#conceal()
      // What is left out of a pause is not missed.
      const quiet = this.#pauses.isPause(rms(sound))
      if (decision.surplus && quiet) {
        this.jitter.skip()
        // The slot left out is what joins on to the sound before.
        before ??= sound
        continue
      }
      this.#wasSilent = false
      this.#concealedRun = 0
      if (before !== null) this.#cross(before, sound)
      return quiet ? this.#trimmed(sound) : sound
    }
  }

  /** What the sound so far would go on with, where the decoder itself does not join the slot on to it. */
  #joint({ slot, packet }: Playing): Float32Array | null {
    if (this.#wasSilent) return this.stats.pulled > 1 ? this.#silence : null
    const amid = slot !== packet.first && (this.#concealedRun > 0 || packet !== this.#packet)
    return amid || slot !== this.#expected ? this.#invent(this.#seam) : null
  }

  #decode({ slot, packet }: Playing): Float32Array | null {
    if (packet !== this.#packet) {
      this.#packet = packet
      this.#sound = this.#decoded(packet)
    }
    if (this.#sound === null) {
      this.stats.corrupt++
      return null
    }
    const start = (slot - packet.first) * this.slotSamples
    return this.#sound.subarray(start, start + this.slotSamples)
  }

  #decoded({ data, slots }: Packet): Float32Array | null {
    try {
      const sound = this.#decoder.decode(data)
      return sound.length === slots * this.slotSamples ? sound : null
    } catch {
      return null
    }
  }

  /** Cuts samples out of a quiet slot; its end stays, which is what the next slot joins on to. */
  #trimmed(sound: Float32Array): Float32Array {
    const overMs = this.jitter.overMs()
    if (overMs === null || overMs < TRIM_MS_MIN) return sound
    const cutMs = Math.min(overMs, TRIM_MS_MAX)
    const kept = sound.length - Math.floor(cutMs * this.#samplesOfMs)
    const seam = kept - this.#seam
    const end = sound.slice(sound.length - this.#seam)
    this.#cross(sound.slice(seam, kept), end)
    const trimmed = sound.slice(0, kept)
    trimmed.set(end, seam)
    this.stats.trimmedMs += cutMs
    return trimmed
  }

  #cross(before: Float32Array, after: Float32Array): void {
    for (let index = 0; index < this.#seam; index++) {
      const weight = index / (this.#seam - 1)
      after[index] = before[index]! * (1 - weight) + after[index]! * weight
    }
  }

  #conceal(): Float32Array {
    if (this.#wasSilent) {
      this.stats.silent++
      return this.#silence
    }
    this.#concealedRun++
    const sound = this.#invent(this.slotSamples)
    const faded = this.#concealedRun - CONCEALED_SLOTS_MAX
    if (faded <= 0) return sound
    this.#wasSilent = faded === FADE_SLOTS
    const last = (this.slotSamples - 1) * FADE_SLOTS
    const from = (faded - 1) / FADE_SLOTS
    for (let index = 0; index < sound.length; index++) sound[index]! *= 1 - from - index / last
    return sound
  }

  #invent(samples: number): Float32Array {
    try {
      return this.#decoder.conceal(samples)
    } catch {
      return new Float32Array(samples)
    }
  }
}
