/** Changes the sample rate of a stream by a ratio of whole numbers: windowed-sinc filter, one phase for each output. */

/** Zero crossings of the sinc on each side, at the lower of the two rates: 1.5 ms of delay at 16 kHz. */
const CROSSINGS = 24

/** Middle of the filter's slope, as a share of the lower rate's half: the slope ends just above that half. */
const CUTOFF = 0.94

/** Kaiser's parameter for about 70 dB. */
const KAISER_BETA = 6.8

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}

/** Modified Bessel function of order 0, by its series. */
function bessel0(x: number): number {
  let term = 1
  let sum = 1
  for (let k = 1; term > sum * 1e-12; k++) {
    term *= (x / (2 * k)) ** 2
    sum += term
  }
  return sum
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x)
}

/** One direction of one stream. Its output lags by `delayMs`. */
export class Resampler {
  readonly #up: number
  readonly #down: number
  readonly #taps: number
  /** Coefficients, `#taps` for each of the `#up` phases, in the order of the samples. */
  readonly #filter: Float32Array
  /** The last `#taps - 1` samples, then the block at hand. */
  #history: Float32Array
  /** Where the next output lies past the block's start, in input samples times `#up`. */
  #position = 0
  readonly delayMs: number

  constructor(fromHz: number, toHz: number) {
    if (!Number.isInteger(fromHz) || !Number.isInteger(toHz) || fromHz < 1 || toHz < 1) {
      throw new RangeError(`no way from ${fromHz} to ${toHz} Hz`)
    }
    const common = greatestCommonDivisor(fromHz, toHz)
    this.#up = toHz / common
    this.#down = fromHz / common
    const half = CROSSINGS * Math.max(1, fromHz / toHz)
    this.#taps = 2 * Math.ceil(half)
    this.delayMs = (this.#taps / 2 / fromHz) * 1000
    this.#filter = this.#design(half, Math.min(1, toHz / fromHz) * CUTOFF)
    this.#history = new Float32Array(this.#taps - 1)
  }

  #design(half: number, cutoff: number): Float32Array {
    const filter = new Float32Array(this.#up * this.#taps)
    const scale = bessel0(KAISER_BETA)
    for (let phase = 0; phase < this.#up; phase++) {
      let sum = 0
      for (let tap = 0; tap < this.#taps; tap++) {
        const distance = this.#taps / 2 - 1 - tap + phase / this.#up
        const inside = 1 - (distance / half) ** 2
        const weight = inside > 0 ? bessel0(KAISER_BETA * Math.sqrt(inside)) / scale : 0
        const value = weight * sinc(distance * cutoff)
        filter[phase * this.#taps + tap] = value
        sum += value
      }
      // Each phase alone keeps the level, or a steady tone would hum at the rate of the phases.
      for (let tap = 0; tap < this.#taps; tap++) filter[phase * this.#taps + tap]! /= sum
    }
    return filter
  }

  /** The output that `block` completes: `block.length * toHz / fromHz` samples where that is whole. */
  push(block: Float32Array): Float32Array {
    const kept = this.#taps - 1
    if (this.#history.length !== kept + block.length) {
      const longer = new Float32Array(kept + block.length)
      longer.set(this.#history.subarray(0, kept))
      this.#history = longer
    }
    const history = this.#history
    history.set(block, kept)
    const end = block.length * this.#up
    const output = new Float32Array(Math.max(0, Math.ceil((end - this.#position) / this.#down)))
    for (let index = 0; index < output.length; index++) {
      const start = Math.floor(this.#position / this.#up)
      const phase = (this.#position - start * this.#up) * this.#taps
      let sum = 0
      for (let tap = 0; tap < this.#taps; tap++) sum += history[start + tap]! * this.#filter[phase + tap]!
      output[index] = sum
      this.#position += this.#down
    }
    this.#position -= end
    history.copyWithin(0, block.length)
    return output
  }
}
