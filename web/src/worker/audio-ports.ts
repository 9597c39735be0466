/**
 * Messages between the worker and the audio worklets of a call. Sound itself never crosses the main thread.
 *
 * Sending: capture worklet -> (PCM frames) -> codec worker -> (Opus packets) -> engine worker, which seals and sends.
 * Receiving: engine worker opens -> (Opus packets with their number) -> playout worklet: jitter buffer, decoder, sound.
 */

/** From the capture side to the engine: one Opus packet of 60 ms; `frame` counts frames since the call began. */
export interface CapturedPacket {
  readonly kind: "captured"
  readonly frame: number
  readonly packet: Uint8Array
}

/** From the engine to the playout worklet: one packet of the peer. */
export interface ArrivedPacket {
  readonly kind: "arrived"
  readonly frame: number
  readonly packet: Uint8Array
}

/** From the playout worklet to the engine, once a second and at the first sound. */
export interface PlayoutReport {
  readonly kind: "report"
  readonly playedFrames: number
  readonly concealedFrames: number
  readonly lateFrames: number
  readonly delayMs: number
  /** Milliseconds from the worklet's start to the first sound, or null. */
  readonly firstSoundMs: number | null
}

/** From the engine to the capture side. */
export interface CaptureControl {
  readonly kind: "mute"
  readonly muted: boolean
}
