// SFrame (RFC 9605): sealed media frames, and the fixed-size body that a voice frame travels in (docs/spec/media.md).
//
// A sealed frame is `header || ciphertext || tag`. The header is in the clear and authenticated; its length grows with
// the key id and the counter, so `sealFrame` pads the plaintext by what the header leaves over and every body on the
// wire is equally long.
//
// Keys are shared by the group: any member can derive every sender's key, so a valid frame proves "a member of the
// group at this epoch", and in a call of two devices "the other device".
import { bigEndian, concat } from "../bytes.js"
import {
  CALL_BASE_KEY_BYTES,
  CALL_COUNTER_END,
  EPOCH_BITS,
  HEADER_BYTES_MAX,
  LEAF_INDEX_MAX,
  LENGTH_BYTES,
  REPLAY_WINDOW_FRAMES,
  TAG_BYTES,
  VOICE_BODY_BYTES,
} from "./sframe-constants.js"
import { decodeHeader, encodeHeader, SFrameError, SFrameKey } from "./sframe-key.js"

export * from "./sframe-constants.js"
export * from "./sframe-key.js"

const NOTHING = new Uint8Array(0)

/**
 * Seals the frames of one key; every frame takes the next counter and no counter is used twice.
 *
 * It lives as long as one call. After a restart nothing loads it: place a new call, whose id gives a new key. A
 * structured clone of it is an empty object, so no second one can hold the same counter.
 */
export class SFrameSender {
  readonly #key: SFrameKey
  readonly #end: number
  #next: number

  /** `counterEnd` is the first counter that must not be used. Raises SFrameError `bad_parameter` for an empty range. */
  constructor(key: SFrameKey, counterStart = 0, counterEnd: number = CALL_COUNTER_END) {
    const isRange = Number.isSafeInteger(counterStart) && Number.isSafeInteger(counterEnd) && 0 <= counterStart && counterStart < counterEnd
    if (!isRange) throw new SFrameError("bad_parameter", `counters from ${counterStart} to ${counterEnd}`)
    this.#key = key
    this.#next = counterStart
    this.#end = counterEnd
  }

  /** The key id of every frame this sender seals. */
  get kid(): number {
    return this.#key.kid
  }

  /** The counter of the next frame. */
  get counterNext(): number {
    return this.#next
  }

  /**
   * Makes `counter` the next one, so that it can be the frame's place in time. Raises SFrameError `bad_parameter` if it
   * lies behind the next one; nothing has changed.
   */
  skipTo(counter: number): void {
    const isAhead = Number.isSafeInteger(counter) && counter >= this.#next
    if (!isAhead) throw new SFrameError("bad_parameter", `counter ${counter} after ${this.#next - 1}`)
    this.#next = counter
  }

  /** The header of the next frame, without using it up. Raises SFrameError `counter_exhausted`. */
  nextHeader(): Uint8Array {
    if (this.#next >= this.#end) throw new SFrameError("counter_exhausted", `key id ${this.kid} has used all of its counters`)
    return encodeHeader(this.kid, this.#next)
  }

  /**
   * `header || ciphertext || tag`, RFC 9605 section 4.4.3. `metadata` is authenticated, not sent. The counter is taken
   * before this returns its promise, so calls may overlap. Raises SFrameError `counter_exhausted`.
   */
  async seal(plaintext: Uint8Array, metadata: Uint8Array = NOTHING): Promise<Uint8Array> {
    const header = this.nextHeader()
    // Before sealing: whatever happens from here on, this counter is gone.
    const ctr = this.#next++
    return concat(header, await this.#key.encrypt(ctr, header, metadata, plaintext))
  }
}

/** Which of the last counters were seen; the idea of RFC 4303 section 3.4.3. */
export class ReplayWindow {
  #highest = -1
  #seen = 0n

  constructor(private readonly size: number = REPLAY_WINDOW_FRAMES) {}

  get highest(): number {
    return this.#highest
  }

  /** Raises SFrameError: `replayed` (seen before) or `too_old` (behind the window). */
  check(ctr: number): void {
    if (ctr > this.#highest) return
    const behind = this.#highest - ctr
    if (behind >= this.size) throw new SFrameError("too_old", `frame ${ctr} is ${behind} behind the newest`)
    if (((this.#seen >> BigInt(behind)) & 1n) === 1n) throw new SFrameError("replayed", `frame ${ctr} came before`)
  }

  /** Note an authenticated frame that `check` let pass. */
  accept(ctr: number): void {
    if (ctr <= this.#highest) {
      this.#seen |= 1n << BigInt(this.#highest - ctr)
      return
    }
    const ahead = ctr - this.#highest
    // A jump by more than the window forgets it all; shifting by a hostile distance would eat the memory.
    this.#seen = ahead < this.size ? BigInt.asUintN(this.size, this.#seen << BigInt(ahead)) | 1n : 1n
    this.#highest = ctr
  }
}

/** An authentic frame: who sealed it (key id), its number, and what was in it. */
export interface OpenedFrame {
  readonly kid: number
  readonly ctr: number
  readonly payload: Uint8Array
}

interface Source {
  readonly key: SFrameKey
  readonly window: ReplayWindow
}

/**
 * Opens frames of the senders whose keys were added; each has a replay window of its own.
 *
 * Add the peer's key only: a receiver that held its own sender's key would accept its own frames sent back to it.
 */
export class SFrameReceiver {
  readonly #sources = new Map<number, Source>()

  constructor(...keys: readonly SFrameKey[]) {
    for (const key of keys) this.addKey(key)
  }

  /** Key ids whose frames are opened. */
  get kids(): readonly number[] {
    return [...this.#sources.keys()]
  }

  /** Accept frames of one more sender or epoch. Raises SFrameError `bad_parameter`: replacing a key would empty its window. */
  addKey(key: SFrameKey): void {
    if (this.#sources.has(key.kid)) throw new SFrameError("bad_parameter", `key id ${key.kid} has a key already`)
    this.#sources.set(key.kid, { key, window: new ReplayWindow() })
  }

  /** Refuse this key id from now on, frames that are being opened included. */
  forget(kid: number): void {
    this.#sources.delete(kid)
  }

  /**
   * Authenticate and decrypt one frame, RFC 9605 section 4.4.4. Raises SFrameError: `malformed`, `unknown_kid`,
   * `replayed`, `too_old`, `authentication_failed`.
   */
  open(frame: Uint8Array, metadata: Uint8Array = NOTHING): Promise<OpenedFrame> {
    return this.openWith(frame, metadata, (payload) => payload)
  }

  /** As `open`, for a body that `sealFrame` made. */
  openPadded(body: Uint8Array): Promise<OpenedFrame> {
    return this.openWith(body, NOTHING, unpad)
  }

  private async openWith(frame: Uint8Array, metadata: Uint8Array, read: (opened: Uint8Array) => Uint8Array): Promise<OpenedFrame> {
    const header = decodeHeader(frame)
    const kid = Number(header.kid) // exact for every id that a key can have
    const source = this.#sources.get(kid)
    if (source === undefined) throw new SFrameError("unknown_kid", `key id ${header.kid}`)
    const ctr = Number(header.ctr)
    if (!Number.isSafeInteger(ctr)) throw new SFrameError("authentication_failed", "a counter that no sender of ours reaches")
    source.window.check(ctr)
    const sealed = frame.subarray(header.length)
    const payload = read(await source.key.decrypt(ctr, frame.subarray(0, header.length), metadata, sealed))
    // Meanwhile the same frame may have been opened by another call, or its key been forgotten.
    if (this.#sources.get(kid) !== source) throw new SFrameError("unknown_kid", `key id ${kid}`)
    source.window.check(ctr)
    // Only now: an unauthenticated counter must not be able to push real frames out of the window.
    source.window.accept(ctr)
    return { kid, ctr, payload }
  }
}

/** What `sealFrame` takes for this total size, whatever the counter. */
export const payloadBytesMax = (totalBytes: number): number => totalBytes - HEADER_BYTES_MAX - TAG_BYTES - LENGTH_BYTES

/**
 * A sealed frame of exactly `totalBytes`: `header || seal(length(2) || payload || zeros) || tag`.
 *
 * Raises SFrameError: `too_large` (more than `payloadBytesMax(totalBytes)`, a limit that does not depend on the
 * counter), `counter_exhausted`.
 */
export async function sealFrame(sender: SFrameSender, payload: Uint8Array, totalBytes: number = VOICE_BODY_BYTES): Promise<Uint8Array> {
  if (payload.length > payloadBytesMax(totalBytes)) {
    throw new SFrameError("too_large", `${payload.length} bytes, at most ${payloadBytesMax(totalBytes)}`)
  }
  const room = totalBytes - sender.nextHeader().length - TAG_BYTES
  if (room > 0xffff + LENGTH_BYTES || room < LENGTH_BYTES + payload.length) {
    throw new SFrameError("too_large", `${payload.length} bytes in a frame of ${totalBytes}`)
  }
  const padded = new Uint8Array(room)
  padded.set(bigEndian(payload.length, LENGTH_BYTES))
  padded.set(payload, LENGTH_BYTES)
  return sender.seal(padded)
}

/**
 * The opposite of `sealFrame`. Raises SFrameError: `malformed` also when the length or the padding inside is wrong,
 * though the tag fits; `unknown_kid`, `replayed`, `too_old`, `authentication_failed`.
 */
export const openFrame = (receiver: SFrameReceiver, body: Uint8Array): Promise<OpenedFrame> => receiver.openPadded(body)

function unpad(padded: Uint8Array): Uint8Array {
  const [high, low] = padded
  if (high === undefined || low === undefined) throw new SFrameError("malformed", "no length inside")
  const end = LENGTH_BYTES + high * 0x100 + low
  if (end > padded.length) throw new SFrameError("malformed", "payload ends too early")
  if (padded.subarray(end).some((byte) => byte !== 0)) throw new SFrameError("malformed", "padding is not zero")
  return padded.slice(LENGTH_BYTES, end)
}

/** The key id of a device in a call: `leafIndex << 8 | epoch mod 256`, RFC 9605 section 5.2. Raises SFrameError `bad_parameter`. */
export function callKid(leafIndex: number, epoch: number | bigint): number {
  const isSound = Number.isInteger(leafIndex) && leafIndex >= 0 && leafIndex <= LEAF_INDEX_MAX && epoch >= 0
  if (!isSound) throw new SFrameError("bad_parameter", `leaf ${leafIndex} in epoch ${epoch} has no key id`)
  return (leafIndex << EPOCH_BITS) | Number(BigInt.asUintN(EPOCH_BITS, BigInt(epoch)))
}

/** Leaf index and the low 8 bits of the epoch. Raises SFrameError `bad_parameter`: not a key id of a call. */
export function splitCallKid(kid: number): readonly [leafIndex: number, epochBits: number] {
  const leafIndex = Math.floor(kid / 2 ** EPOCH_BITS)
  if (!Number.isInteger(kid) || leafIndex < 0 || leafIndex > LEAF_INDEX_MAX) throw new SFrameError("bad_parameter", `${kid} is no key id of a call`)
  return [leafIndex, kid % 2 ** EPOCH_BITS]
}

/**
 * One device's key in a call. `baseKey` is the MLS exporter's output for this call id in this epoch. Raises SFrameError
 * `bad_parameter`: a base key not of CALL_BASE_KEY_BYTES, or a leaf index out of range.
 */
export async function callKey(baseKey: Uint8Array, leafIndex: number, epoch: number | bigint): Promise<SFrameKey> {
  if (baseKey.length !== CALL_BASE_KEY_BYTES) {
    throw new SFrameError("bad_parameter", `base key of ${baseKey.length} bytes instead of ${CALL_BASE_KEY_BYTES}`)
  }
  return SFrameKey.create(baseKey, callKid(leafIndex, epoch))
}
