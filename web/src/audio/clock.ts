/** Time by the audio clock, also over the spans in which it stood still. */

/** A difference up to here is a busy machine; the sound has merely come late, and the buffers hold it. */
export const STANDSTILL_MS = 500

/**
 * The audio clock stops while its context is interrupted (a phone call, a machine that sleeps), and the network does
 * not. This clock runs with the audio, and moves on by the wall clock where the audio stood still.
 */
export class AudioClock {
  #audioMs: number
  #wallMs: number
  #lostMs = 0

  constructor(audioMs: number, wallMs: number) {
    this.#audioMs = audioMs
    this.#wallMs = wallMs
  }

  /** Time that passed while the audio clock did not. */
  get lostMs(): number {
    return this.#lostMs
  }

  /** The audio clock runs and says `audioMs`; returns the time now. */
  tick(audioMs: number, wallMs: number): number {
    const behind = wallMs - this.#wallMs - (audioMs - this.#audioMs)
    if (behind > STANDSTILL_MS) this.#lostMs += behind
    this.#audioMs = audioMs
    this.#wallMs = wallMs
    return audioMs + this.#lostMs
  }

  /** The time at an event between ticks, such as an arrival. */
  at(wallMs: number): number {
    const since = wallMs - this.#wallMs
    return this.#audioMs + this.#lostMs + (since > STANDSTILL_MS ? since : 0)
  }
}
