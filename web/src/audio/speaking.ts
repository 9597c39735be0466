/**
 * Whether somebody speaks, from the levels of slots of 20 ms alone: for the hint that a muted person is heard by nobody.
 *
 * A slot is loud when it stands well above the noise of the room. The noise is followed downwards at once and upwards
 * slowly, so that speech does not become its own noise. Speech is half a second of mostly loud slots, which no knock on
 * the desk is; it is over when a second and a half was mostly quiet.
 */

/** How far above the noise a loud slot stands, and how loud it is at least, in dB of full scale. */
const ABOVE_NOISE_DB = 12
const LOUD_DB = -50

/** Nothing is quieter than this: digital silence must not make a breath loud. */
const NOISE_DB_MIN = -75
const NOISE_DB_PER_SLOT = 0.05

const BEGIN_SLOTS = 25
const BEGIN_LOUD = 13
const END_SLOTS = 75
const END_LOUD = 5

export class SpeakingHint {
  #noiseDb: number | null = null
  /** Of the last slots, newest last. */
  readonly #loud: boolean[] = []
  #speaking = false

  get speaking(): boolean {
    return this.#speaking
  }

  /** Takes the level (0 to 1, root mean square) of one slot; true when the answer has changed. */
  push(level: number): boolean {
    const db = Math.max(20 * Math.log10(Math.max(level, 1e-9)), NOISE_DB_MIN)
    // The first slot is the room, until a quieter one says otherwise.
    const noiseDb = Math.min(db, (this.#noiseDb ?? db) + NOISE_DB_PER_SLOT)
    this.#noiseDb = noiseDb
    this.#loud.push(db > LOUD_DB && db > noiseDb + ABOVE_NOISE_DB)
    if (this.#loud.length > END_SLOTS) this.#loud.shift()
    const before = this.#speaking
    if (!before) this.#speaking = this.#count(BEGIN_SLOTS) >= BEGIN_LOUD
    else this.#speaking = this.#count(END_SLOTS) >= END_LOUD
    return this.#speaking !== before
  }

  /** Forgets what was said, not the room. */
  reset(): void {
    this.#loud.length = 0
    this.#speaking = false
  }

  #count(slots: number): number {
    return this.#loud.slice(-slots).filter(Boolean).length
  }
}
