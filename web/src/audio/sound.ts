/** What a block of sound is everywhere here: mono `Float32Array`, -1 to 1. */

/** Sound in one packet. */
export const FRAME_MS = 60

/** Speech rate of the encoder: what the codec profile carries (wideband, 8 kHz of audio). */
export const SPEECH_RATE_HZ = 16_000

/** Rates that Opus speaks by itself. */
export const OPUS_RATES_HZ: readonly number[] = [8000, 12_000, 16_000, 24_000, 48_000]

/** Samples of one frame, or an error for a rate that has no whole number of them. */
export function frameSamples(rateHz: number): number {
  const samples = (rateHz * FRAME_MS) / 1000
  if (!Number.isInteger(samples) || samples <= 0) throw new RangeError(`${rateHz} Hz has no whole frame of ${FRAME_MS} ms`)
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
