/**
 * Frames of nothing that both ends send while a call rings (docs/spec/lanes.md section 6): how unevenly they come tells
 * how long playout will have to wait for those of the call, before its first word.
 *
 * Nothing here is authentic, and nothing of it is played: whoever forges rehearsals lengthens the delay of a call's first
 * seconds, which whoever can hold up its frames does anyway.
 */

import { concat } from "../bytes.js"

/** The first byte of a rehearsal, where that of a call's frame tells what it is. */
export const REHEARSAL_KIND = 4
export const NAME_BYTES = 4
/**
 * What came before, over the first lane alone, without copies, or through a pipe that was filled, is no longer so when the
 * call begins.
 */
export const RECENT_MS = 1500
/** Of each sender; more come only from who floods. */
export const FRAMES_MAX = 150
/**
 * A frame is late beside the one before, the one after, and those that came so close: a queue delays all of them, and is
 * no unevenness.
 */
const AROUND_MS = 100
/** Several devices of the one who is called may ring. */
export const SENDERS_MAX = 4

const HEAD_BYTES = 1 + NAME_BYTES + 4 + 1

/**
 * A frame of nothing: `name` is that of its sender, made for this call (`NAME_BYTES`), `nowMs` the sender's clock,
 * `takesShort` what the call's reports will say of it, `noise` whatever fills the frame up to its size.
 */
export function rehearsal(name: Uint8Array, nowMs: number, noise: Uint8Array, takesShort = false): Uint8Array {
  const sent = new DataView(new ArrayBuffer(4))
  sent.setUint32(0, Math.floor(nowMs) % 2 ** 32)
  return concat(Uint8Array.of(REHEARSAL_KIND), name, new Uint8Array(sent.buffer), Uint8Array.of(Number(takesShort)), noise)
}

type Came = readonly [atMs: number, delayMs: number]

/** What came of the other end's rehearsal, in ms of two unrelated clocks. */
export class Rehearsed {
  /** Of each sender: when a frame came, and its delay. */
  readonly #came = new Map<string, Came[]>()
  readonly #takesShort = new Map<string, boolean>()

  /** Whether it was a rehearsal. One too short to tell anything is one. */
  arrived(body: Uint8Array, nowMs: number): boolean {
    if (body[0] !== REHEARSAL_KIND) return false
    if (body.length < HEAD_BYTES) return true
    const name = body.subarray(1, 1 + NAME_BYTES).join()
    const came = this.#came.get(name) ?? []
    if (came.length === 0 && this.#came.size >= SENDERS_MAX) return true
    this.#came.set(name, came)
    const sentMs = new DataView(body.buffer, body.byteOffset).getUint32(1 + NAME_BYTES)
    came.push([nowMs, (Math.floor(nowMs) - sentMs) >>> 0])
    while (came.length > FRAMES_MAX || came[0]![0] < nowMs - RECENT_MS) came.shift()
    this.#takesShort.set(name, body[HEAD_BYTES - 1] !== 0)
    return true
  }

  /** Whether somebody rehearsed, and short packets are welcome to all who did. */
  get takesShort(): boolean {
    return this.#takesShort.size > 0 && [...this.#takesShort.values()].every(Boolean)
  }

  /** How much later than the fastest around it the slowest frame came, of each sender's last; 0 where nobody rehearsed. */
  get reachMs(): number {
    return Math.max(0, ...[...this.#came.values()].map(unevenness))
  }
}

/** The largest delay less the smallest around it, modulo 2^32. */
function unevenness(came: readonly Came[]): number {
  const relative = came.map(([atMs, delayMs]) => [atMs, (delayMs - came[0]![1]) | 0] as const)
  const leastAround = (place: number): number => {
    const isClose = ([atMs]: Came, other: number): boolean =>
      Math.abs(atMs - relative[place]![0]) <= AROUND_MS || Math.abs(other - place) === 1
    return Math.min(...relative.filter(isClose).map(([, delay]) => delay))
  }
  return Math.max(...relative.map(([, delay], place) => delay - leastAround(place)))
}
