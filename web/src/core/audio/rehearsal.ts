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
export const RECENT_MS = 2500
/** Of each sender; more come only from who floods. */
export const FRAMES_MAX = 100
/** Several devices of the one who is called may ring. */
export const SENDERS_MAX = 4

const HEAD_BYTES = 1 + NAME_BYTES + 4

/**
 * A frame of nothing: `name` is that of its sender, made for this call (`NAME_BYTES`), `nowMs` the sender's clock,
 * `noise` whatever fills the frame up to its size.
 */
export function rehearsal(name: Uint8Array, nowMs: number, noise: Uint8Array): Uint8Array {
  const sent = new DataView(new ArrayBuffer(4))
  sent.setUint32(0, Math.floor(nowMs) % 2 ** 32)
  return concat(Uint8Array.of(REHEARSAL_KIND), name, new Uint8Array(sent.buffer), noise)
}

/** What came of the other end's rehearsal, in ms of two unrelated clocks. */
export class Rehearsed {
  /** Of each sender: when a frame came, and its delay. */
  readonly #came = new Map<string, (readonly [atMs: number, delayMs: number])[]>()

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
    return true
  }

  /** How much later than the fastest frame the slowest came, of each sender's last; 0 where nobody rehearsed. */
  get reachMs(): number {
    return Math.max(0, ...[...this.#came.values()].map((came) => spread(came.map(([, delayMs]) => delayMs))))
  }
}

/** Largest less smallest of numbers modulo 2^32. */
function spread(delaysMs: readonly number[]): number {
  const relative = delaysMs.map((delay) => (delay - delaysMs[0]!) | 0)
  return Math.max(...relative) - Math.min(...relative)
}
