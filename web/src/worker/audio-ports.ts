/**
 * Messages between the worker and the audio worklets of a call. Sound itself never crosses the main thread.
 *
 * Sending: capture worklet -> (slots of sound) -> codec worker -> (Opus packets) -> engine worker, which seals and sends.
 * Receiving: engine worker opens -> (Opus packets with their place) -> playout worklet: jitter buffer, decoder, sound.
 *
 * A slot is 20 ms (docs/spec/media.md section 5.1).
 */
import type { ProfileName, Redundancy } from "../core/audio/profiles.js"

/** From the capture side to the engine: one Opus packet; `slot` counts slots since the call began. */
export interface CapturedPacket {
  readonly kind: "captured"
  readonly slot: number
  readonly packet: Uint8Array
}

/** From the engine to the playout worklet: one packet of the peer, from its own frame or repeated in a later one. */
export interface ArrivedPacket {
  readonly kind: "arrived"
  readonly slot: number
  readonly packet: Uint8Array
  readonly repeated: boolean
}

/** From the engine to the playout worklet, before the first packet: by how much later than the fastest the slowest will come. */
export interface ExpectedDelays {
  readonly kind: "expect"
  readonly reachMs: number
}

/** From the engine to the playout worklet: a voice note, played whole behind those that wait. */
export interface ArrivedNote {
  readonly kind: "note"
  readonly packets: readonly Uint8Array[]
}

/** From the playout worklet to the engine, when it changes: notes that are heard now, or next. */
export interface NotesWaiting {
  readonly kind: "notes"
  readonly waiting: number
}

/** From the playout worklet to the engine, once a second and at the first sound; counts since the start. */
export interface PlayoutReport {
  readonly kind: "report"
  readonly playedSlots: number
  /** Invented, or silent in their stead, from the first sound on. */
  readonly concealedSlots: number
  readonly lateSlots: number
  /** Share of the speech that was never heard, 0 to 1. */
  readonly lostShare: number
  /** Longest time in which nothing of the speech was heard. */
  readonly longestConcealedMs: number
  readonly delayMs: number
  /** Milliseconds from the worklet's start to the first sound, or null. */
  readonly firstSoundMs: number | null
}

/** From the playout worklet to the engine, some times a second: what the next frames report to the sender. */
export interface ReceiverState {
  readonly kind: "receiver"
  readonly lostPercent: number
  readonly latePercent: number
  readonly targetMs: number
  /** The copies that this side wishes for. */
  readonly redundancy: Redundancy
}

/** From the engine to the capture side. */
export type CaptureControl =
  | { readonly kind: "mute"; readonly muted: boolean }
  | { readonly kind: "profile"; readonly profile: ProfileName }
