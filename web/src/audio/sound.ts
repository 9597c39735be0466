/** What a block of sound is everywhere here: mono `Float32Array`, -1 to 1. */

import { SLOT_MS } from "../core/audio/profiles.js"

/** Rates that Opus speaks by itself. */
export const OPUS_RATES_HZ: readonly number[] = [8000, 12_000, 16_000, 24_000, 48_000]

/** Samples of one slot, or an error for a rate that has no whole number of them. */
export function slotSamples(rateHz: number): number {
  const samples = (rateHz * SLOT_MS) / 1000
  if (!Number.isInteger(samples) || samples <= 0) throw new RangeError(`${rateHz} Hz has no whole slot of ${SLOT_MS} ms`)
  return samples
}

/** Root mean square, in units of full scale; 0 for none. */
export function rms(sound: Float32Array): number {
  if (sound.length === 0) return 0
  let sum = 0
  for (let index = 0; index < sound.length; index++) {
    const sample = sound[index]!
    sum += sample * sample
  }
  return Math.sqrt(sum / sound.length)
}
