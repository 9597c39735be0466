/** Playout of one direction: packets in as they arrive, exactly one frame of sound out at each pull. */

import { JitterBuffer, type JitterConfig } from "./jitter.js"
import type { Decoder } from "./opus.js"
import { FRAME_MS, frameSamples, rms } from "./sound.js"

/** Invented sound lasts so many frames; the next one fades to nothing, for a voice that goes on is a lie. */
export const CONCEALED_FRAMES_MAX = 3

/** Below this level (-50 dB of full scale) a frame may be left out unheard. */
export const QUIET_RMS = 10 ** (-50 / 20)

/** A quiet frame may be shortened by so much, when the delay is longer than needed by at least as much as the other. */
const TRIM_MS_MAX = 30
const TRIM_MS_MIN = 8

const SEAM_MS = 5

/** What was heard, in frames; the network's side is in `jitter.stats`. */
export interface PlayoutStats {
  pulled: number
  /** Nothing was there to play: before the start, or after the fade. */
  silent: number
  /** Packets the decoder refused; each was concealed. */
  corrupt: number
  /** Milliseconds cut from quiet frames, to shorten the delay by less than a frame. */
  trimmedMs: number
}

/** Jitter buffer and decoder together. Neither `push` nor `pull` throws on what came from the network. */
export class Playout {
  readonly jitter: JitterBuffer
  readonly stats: PlayoutStats = { pulled: 0, silent: 0, corrupt: 0, trimmedMs: 0 }
  readonly frameSamples: number
  readonly #decoder: Decoder
  readonly #seam: number
  readonly #silence: Float32Array
  #concealedRun = 0
  #wasSilent = true

  constructor(decoder: Decoder, rateHz: number, config: Partial<JitterConfig> = {}) {
    this.jitter = new JitterBuffer(config)
    this.frameSamples = frameSamples(rateHz)
    this.#decoder = decoder
    this.#seam = Math.floor((rateHz * SEAM_MS) / 1000)
    this.#silence = new Float32Array(this.frameSamples)
  }

  /** Takes the packet `seq` that arrived at `nowMs`; returns whether it can still be played. */
  push(seq: number, packet: Uint8Array, nowMs: number): boolean {
    return this.jitter.push(seq, packet, nowMs)
  }

  /** Whether silence may be played until the next frame is due, without a pull: it then starts with no added delay. */
  idle(nowMs: number): boolean {
    return this.#wasSilent && !this.jitter.started && this.jitter.waitMs(nowMs) !== 0
  }

  /**
   * The frame of sound to be played at `nowMs`, whatever happened. It is shorter than a frame where the delay is longer
   * than needed and the sound quiet; the next pull is due at its end. Not to be changed by the caller.
   */
  pull(nowMs: number): Float32Array {
    this.stats.pulled++
    let skipped: Float32Array | null = null
    for (;;) {
      const decision = this.jitter.pop(nowMs)
      if (decision.kind !== "frame") return this.#conceal()
      const sound = this.#decode(decision.packet)
      if (sound === null) return this.#conceal()
      const quiet = rms(sound) < QUIET_RMS
      if (decision.surplus && (decision.urgent || quiet)) {
        this.jitter.skip()
        skipped ??= sound
        continue
      }
      const heard = this.#heard(sound, skipped)
      return quiet ? this.#trimmed(heard) : heard
    }
  }

  #decode(packet: Uint8Array): Float32Array | null {
    try {
      const sound = this.#decoder.decode(packet)
      // A packet of another length is the sender's mistake: keep the clock, lose the rest.
      if (sound.length === this.frameSamples) return sound
    } catch {
      // Concealed and counted like one of another length.
    }
    this.stats.corrupt++
    return null
  }

  #heard(sound: Float32Array, skipped: Float32Array | null): Float32Array {
    // A skipped frame is what joins on to the sound before: cross from it into the one that is heard.
    if (skipped !== null) this.#cross(skipped, sound)
    else if (this.#wasSilent && this.stats.pulled > 1) this.#cross(this.#silence, sound)
    this.#wasSilent = false
    this.#concealedRun = 0
    return sound
  }

  /** Cuts samples out of a quiet frame; its end stays, which is what the next frame joins on to. */
  #trimmed(sound: Float32Array): Float32Array {
    const overMs = this.jitter.overMs()
    if (overMs === null || overMs < TRIM_MS_MIN) return sound
    const cutMs = Math.min(overMs, TRIM_MS_MAX)
    const kept = sound.length - Math.floor((cutMs * sound.length) / FRAME_MS)
    const seam = kept - this.#seam
    const end = sound.slice(sound.length - this.#seam)
    this.#cross(sound.slice(seam, kept), end)
    sound.set(end, seam)
    this.stats.trimmedMs += cutMs
    return sound.subarray(0, kept)
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
    const sound = this.#invent()
    if (this.#concealedRun <= CONCEALED_FRAMES_MAX) return sound
    this.#wasSilent = true
    const last = this.frameSamples - 1
    for (let index = 0; index <= last; index++) sound[index]! *= 1 - index / last
    return sound
  }

  #invent(): Float32Array {
    try {
      return this.#decoder.conceal(this.frameSamples)
    } catch {
      return new Float32Array(this.frameSamples)
    }
  }
}
