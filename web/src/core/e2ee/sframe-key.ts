// One sender's key (RFC 9605 section 4.4) and the header of a frame (section 4.3).
//
// Suites 4 and 5 only: what calls use, and its larger sister. The engine does the rest of the AEAD.
import { bigEndian, concat, fromBigEndian } from "../bytes.js"
import { utf8 } from "../utf8.js"
import { AesGcm, hmac } from "../webcrypto.js"
import { E2eeError } from "./errors.js"
import { INTEGER_MAX, NONCE_BYTES, TAG_BYTES } from "./sframe-constants.js"

/** Why a frame was refused: the names that docs/spec/media.md section 10 and the vectors use. */
export type SFrameReason =
  /** Too short, a header not in its shortest form, or padding that is not ours. */
  | "malformed"
  /** No key is known for the frame's key id. */
  | "unknown_kid"
  /** The tag does not fit: header, ciphertext, tag or key differ from what was sealed. */
  | "authentication_failed"
  /** A frame with this key id and counter was opened before. */
  | "replayed"
  /** The counter lies behind the replay window, so nobody can tell whether it is a replay. */
  | "too_old"
  /** The sender has used its last counter. Only a new key (a new call or epoch) helps. */
  | "counter_exhausted"
  /** The payload does not fit into the fixed size. */
  | "too_large"
  /** A key id, leaf index, counter or key outside of its range. */
  | "bad_parameter"

/** A frame could not be sealed or opened; sender and receiver are unchanged. */
export class SFrameError extends E2eeError {
  override name = "SFrameError"

  constructor(
    override readonly reason: SFrameReason,
    message: string,
  ) {
    super(message)
  }
}

/** Cipher suites, RFC 9605 section 8.1. */
export const Suite = { AES_128_GCM_SHA256_128: 4, AES_256_GCM_SHA512_128: 5 } as const
export type Suite = (typeof Suite)[keyof typeof Suite]

const SIZES = {
  [Suite.AES_128_GCM_SHA256_128]: { hash: "SHA-256", hashBytes: 32, keyBytes: 16 },
  [Suite.AES_256_GCM_SHA512_128]: { hash: "SHA-512", hashBytes: 64, keyBytes: 32 },
} as const

/** The key schedule of RFC 9605 section 4.4.2, exposed for the official vectors. */
export async function deriveSecrets(
  baseKey: Uint8Array,
  kid: number,
  suite: Suite,
): Promise<{ readonly secret: Uint8Array; readonly key: Uint8Array; readonly salt: Uint8Array }> {
  const { hash, hashBytes, keyBytes } = SIZES[suite]
  const secret = await hmac(hash, new Uint8Array(hashBytes), baseKey)
  const suffix = concat(bigEndian(kid, 8), bigEndian(suite, 2))
  // HKDF-Expand (RFC 5869 section 2.3): neither key nor salt is longer than the hash, so one block is all.
  const expand = async (label: string, length: number): Promise<Uint8Array> =>
    (await hmac(hash, secret, concat(utf8(label), suffix, Uint8Array.of(1)))).slice(0, length)
  return { secret, key: await expand("SFrame 1.0 Secret key ", keyBytes), salt: await expand("SFrame 1.0 Secret salt ", NONCE_BYTES) }
}

/** One sender's key: a key id, a suite and the AEAD, set up once and used for every frame. */
export class SFrameKey {
  readonly #aead: AesGcm
  readonly #salt: bigint

  private constructor(
    readonly kid: number,
    readonly suite: Suite,
    aead: AesGcm,
    salt: bigint,
  ) {
    this.#aead = aead
    this.#salt = salt
  }

  /** Raises SFrameError `bad_parameter`: a key id that is no exact integer, or an empty base key. */
  static async create(baseKey: Uint8Array, kid: number, suite: Suite = Suite.AES_128_GCM_SHA256_128): Promise<SFrameKey> {
    if (!Number.isSafeInteger(kid) || kid < 0) throw new SFrameError("bad_parameter", `key id ${kid}`)
    if (baseKey.length === 0) throw new SFrameError("bad_parameter", "the base key is empty")
    const { key, salt } = await deriveSecrets(baseKey, kid, suite)
    return new SFrameKey(kid, suite, await AesGcm.create(key), fromBigEndian(salt))
  }

  /** The salt, xored with the counter, RFC 9605 section 4.4.3. */
  nonce(ctr: number): Uint8Array {
    return bigEndian(this.#salt ^ BigInt(ctr), NONCE_BYTES)
  }

  /** Ciphertext and tag. Never call it twice with one counter: use `SFrameSender`. */
  encrypt(ctr: number, header: Uint8Array, metadata: Uint8Array, plaintext: Uint8Array): Promise<Uint8Array> {
    return this.#aead.seal(this.nonce(ctr), plaintext, concat(header, metadata))
  }

  /** The plaintext. Raises SFrameError: `malformed` (shorter than a tag), `authentication_failed`. */
  async decrypt(ctr: number, header: Uint8Array, metadata: Uint8Array, sealed: Uint8Array): Promise<Uint8Array> {
    if (sealed.length < TAG_BYTES) throw new SFrameError("malformed", "shorter than its tag")
    const opened = await this.#aead.open(this.nonce(ctr), sealed, concat(header, metadata))
    if (opened === undefined) throw new SFrameError("authentication_failed", `frame ${ctr} of key id ${this.kid}`)
    return opened
  }
}

/** The clear part of a frame. `length` is its size in bytes. Both numbers have up to 64 bits. */
export interface Header {
  readonly kid: bigint
  readonly ctr: bigint
  readonly length: number
}

/** The header in its only allowed, shortest form. Raises SFrameError `bad_parameter` beyond 64 bits. */
export function encodeHeader(kid: number | bigint, ctr: number | bigint): Uint8Array {
  const [kidNibble, kidBytes] = encodeInteger(BigInt(kid))
  const [ctrNibble, ctrBytes] = encodeInteger(BigInt(ctr))
  return concat(Uint8Array.of((kidNibble << 4) | ctrNibble), kidBytes, ctrBytes)
}

/** Read the header at the start of `data`. Raises SFrameError `malformed`: cut short, or a number not in its shortest form. */
export function decodeHeader(data: Uint8Array): Header {
  const config = data[0]
  if (config === undefined) throw new SFrameError("malformed", "empty frame")
  const [kid, afterKid] = decodeInteger(data, 1, config >> 4)
  const [ctr, length] = decodeInteger(data, afterKid, config & 15)
  return { kid, ctr, length }
}

function encodeInteger(value: bigint): readonly [number, Uint8Array] {
  if (value < 0n || value > INTEGER_MAX) throw new SFrameError("bad_parameter", "key id and counter have at most 64 bits")
  if (value < 8n) return [Number(value), new Uint8Array(0)]
  const length = Math.ceil(value.toString(16).length / 2)
  return [8 | (length - 1), bigEndian(value, length)]
}

function decodeInteger(data: Uint8Array, start: number, nibble: number): readonly [bigint, number] {
  if (nibble < 8) return [BigInt(nibble), start]
  const end = start + (nibble & 7) + 1
  if (end > data.length) throw new SFrameError("malformed", "header ends too early")
  const value = fromBigEndian(data.subarray(start, end))
  // Two forms of one number would let a relay alter the clear bytes of a frame and evade its duplicate check.
  if (value < 8n || data[start] === 0) throw new SFrameError("malformed", "number not in its shortest form")
  return [value, end]
}
