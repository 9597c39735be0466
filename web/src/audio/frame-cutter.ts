/** Cuts samples into whole frames whose numbers follow the clock. */

/** Takes one frame; the array is the taker's to keep. */
export type TakeFrame = (frame: number, samples: Float32Array) => void

/**
 * Frame `n` holds samples `n * frameSamples` onwards, counted from the first block. Where samples are missing, silence
 * takes their place; frames of which nothing came at all are left out and counted, so that later ones are not shifted.
 */
export class FrameCutter {
  readonly #frameSamples: number
  readonly #take: TakeFrame
  #origin: number | null = null
  /** Place after the last sample taken, from the origin. */
  #next = 0
  #filling: Float32Array
  #touched = false

  constructor(frameSamples: number, take: TakeFrame) {
    if (!Number.isInteger(frameSamples) || frameSamples < 1) throw new RangeError("a frame holds at least one sample")
    this.#frameSamples = frameSamples
    this.#take = take
    this.#filling = new Float32Array(frameSamples)
  }

  /** Takes a block whose first sample lies at `place` of the clock. An empty `block` stands for `length` zeros. */
  push(block: Float32Array | null, length: number, place: number): void {
    this.#origin ??= place
    const start = place - this.#origin
    if (start > this.#next) this.#leaveOut(start)
    // A clock that goes back would overwrite frames that are gone: count on from where they ended.
    else if (start < this.#next) this.#origin -= this.#next - start
    let taken = 0
    while (taken < length) {
      const offset = this.#next % this.#frameSamples
      const count = Math.min(length - taken, this.#frameSamples - offset)
      if (block !== null) this.#filling.set(block.subarray(taken, taken + count), offset)
      this.#touched = true
      this.#next += count
      taken += count
      if (offset + count === this.#frameSamples) this.#emit(this.#next / this.#frameSamples - 1)
    }
  }

  /** Moves on to `start`: what was begun is finished with silence, frames without any sample are left out. */
  #leaveOut(start: number): void {
    const frame = Math.floor(this.#next / this.#frameSamples)
    if (this.#touched && Math.floor(start / this.#frameSamples) > frame) this.#emit(frame)
    this.#next = start
  }

  #emit(frame: number): void {
    const samples = this.#filling
    this.#filling = new Float32Array(this.#frameSamples)
    this.#touched = false
    this.#take(frame, samples)
  }
}
