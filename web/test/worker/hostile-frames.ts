/**
 * What a hostile server makes of the frames of a call, each with the reason for which it is refused: the same kinds as
 * in tests/client/hostile_frames.py.
 */

import { concat } from "../../src/core/bytes.js"
import { decodeHeader, encodeHeader, type Header, REPLAY_WINDOW_FRAMES, sealFrame, type SFrameKey, SFrameSender, TAG_BYTES } from "../../src/core/e2ee/sframe.js"
import { PADDED_SIZES_BYTES } from "../../src/core/protocol/limits.js"
import { MEDIA_SIGNAL_KIND } from "../../src/worker/call-media.js"
import { DIRECT_SIGNAL_KIND } from "../../src/worker/direct.js"
import { Chance } from "../core/random.js"

/** The reason of what is no media frame at all. */
export const NOT_COUNTED = ""

type Forged = readonly [body: Uint8Array, reason: string]

const MEDIA = Uint8Array.of(MEDIA_SIGNAL_KIND)
const SIZE_BYTES = PADDED_SIZES_BYTES[0]
/** Further ahead than any frame of the test. */
const AHEAD_SLOTS = 5000

/**
 * Sees the bodies of one direction pass and makes up others. `foreign` are keys of the same call that are not the
 * peer's: other members', our own (a reflection), and of other calls.
 */
export class Hostile {
  readonly #chance: Chance
  readonly #foreign: readonly SFrameSender[]
  readonly #peerKid: number
  readonly #passed: Uint8Array[] = []
  #coming: Uint8Array | undefined
  #turn = 0

  constructor(peerKid: number, foreign: readonly SFrameKey[], seed: number) {
    this.#peerKid = peerKid
    this.#foreign = foreign.map((key) => new SFrameSender(key))
    this.#chance = new Chance(seed)
  }

  /** A body of the peer is here, and not passed on yet. */
  holds(body: Uint8Array): void {
    this.#coming = body
  }

  /** It is now. */
  passed(): void {
    if (this.#coming !== undefined) this.#passed.push(this.#coming)
    this.#coming = undefined
  }

  /** So many, all kinds in turn, once a frame has passed. */
  async bodies(count: number): Promise<Forged[]> {
    const makers: readonly (() => Forged | Promise<Forged>)[] = [
      () => this.#flipped(), () => this.#replayed(), () => this.#old(), () => this.#unknownKey(), () => this.#foreignKey(),
      () => this.#giantCounter(), () => this.#future(), () => this.#rubbish(), () => this.#wrongKind(), () => this.#forgedOffer(),
      () => this.#truncated(), () => this.#tooLong(), () => this.#empty(),
    ]
    const made: Forged[] = []
    while (made.length < count) made.push(await makers[this.#turn++ % makers.length]!())
    return made
  }

  /** The frame that is held, or else one of the newest that passed. */
  #any(): Uint8Array {
    return this.#coming ?? this.#chance.from(this.#passed.slice(-8))
  }

  #parts(body = this.#any()): Header & { readonly sealed: Uint8Array } {
    const header = decodeHeader(body.subarray(1))
    return { ...header, sealed: body.subarray(1 + header.length) }
  }

  #newest(): number {
    return Number(this.#parts(this.#coming ?? this.#passed.at(-1)).ctr)
  }

  #frame(kid: number | bigint, ctr: number | bigint, sealed: Uint8Array): Uint8Array {
    const body = concat(MEDIA, encodeHeader(kid, ctr), sealed, new Uint8Array(SIZE_BYTES))
    return body.subarray(0, SIZE_BYTES)
  }

  #flipped(): Forged {
    const body = this.#any().slice()
    const begin = 1 + decodeHeader(body.subarray(1)).length
    const at = begin + this.#chance.below(body.length - begin)
    body[at] = body[at]! ^ (1 << this.#chance.below(8))
    // One that was opened before is refused before its tag is looked at.
    return [body, this.#coming === undefined ? "replayed" : "authentication_failed"]
  }

  #replayed(): Forged {
    return [this.#chance.from(this.#passed.slice(-8)), "replayed"]
  }

  #old(): Forged {
    const [oldest, newest] = [this.#passed[0]!, this.#passed.at(-1)!]
    const behind = Number(this.#parts(newest).ctr - this.#parts(oldest).ctr)
    return [oldest, behind >= REPLAY_WINDOW_FRAMES ? "too_old" : "replayed"]
  }

  #unknownKey(): Forged {
    const { kid, ctr, sealed } = this.#parts()
    return [this.#frame(kid ^ (1n << BigInt(this.#chance.below(24))), ctr, sealed), "unknown_kid"]
  }

  async #foreignKey(): Promise<Forged> {
    const sender = this.#chance.from(this.#foreign)
    // A place in time that is still to come.
    sender.skipTo(Math.max(sender.counterNext, this.#newest() + 1))
    const sealed = await sealFrame(sender, new Uint8Array(60), SIZE_BYTES - 1)
    return [concat(MEDIA, sealed), sender.kid === this.#peerKid ? "authentication_failed" : "unknown_kid"]
  }

  #giantCounter(): Forged {
    const { kid, sealed } = this.#parts()
    const ctr = this.#chance.from([2n ** 32n - 1n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n])
    return [this.#frame(kid, ctr, sealed), "authentication_failed"]
  }

  #future(): Forged {
    const { kid, sealed } = this.#parts()
    return [this.#frame(kid, this.#newest() + 1 + this.#chance.below(200), sealed), "authentication_failed"]
  }

  #rubbish(): Forged {
    const size = this.#chance.from(PADDED_SIZES_BYTES.slice(0, 3))
    // A key id of eight bytes that is not in its shortest form.
    return [concat(MEDIA, Uint8Array.of(0xf0, 0), this.#chance.bytes(size - 3)), "malformed"]
  }

  #wrongKind(): Forged {
    return [concat(Uint8Array.of(this.#chance.from([0, 2, 4, 7, 255])), this.#any().subarray(1)), NOT_COUNTED]
  }

  #forgedOffer(): Forged {
    return [concat(Uint8Array.of(DIRECT_SIGNAL_KIND), this.#any().subarray(1)), NOT_COUNTED]
  }

  #truncated(): Forged {
    const body = this.#any()
    const { kid, ctr, length, sealed } = this.#parts(body)
    const cut = 1 + this.#chance.below(body.length - 1)
    if (cut < 1 + length) return [body.subarray(0, cut), "malformed"]
    // Of a frame to come, or the counter alone would give it away.
    const left = sealed.subarray(0, cut - 1 - length)
    return [concat(MEDIA, encodeHeader(kid, Number(ctr) + AHEAD_SLOTS), left), left.length < TAG_BYTES ? "malformed" : "authentication_failed"]
  }

  #tooLong(): Forged {
    const { kid, ctr, sealed } = this.#parts()
    const more = new Uint8Array(this.#chance.from([1, 160, 70_000]))
    return [concat(MEDIA, encodeHeader(kid, Number(ctr) + AHEAD_SLOTS), sealed, more), "authentication_failed"]
  }

  #empty(): Forged {
    return this.#chance.from<Forged>([[new Uint8Array(0), NOT_COUNTED], [MEDIA, "malformed"]])
  }
}
