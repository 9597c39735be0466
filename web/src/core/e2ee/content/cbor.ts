// Deterministic CBOR (RFC 8949 section 4.2.1), as MIMI content demands: one value has one encoding, or is refused.
import { compareBytes, concat, equalBytes } from "../../bytes.js"
import { decodeUtf8, encodeUtf8 } from "../../utf8.js"
import { ContentError, Reason } from "./errors.js"
import { CBOR_DEPTH_MAX } from "./limits.js"

/** What our profile carries: no tags, no floating point, no undefined. Integers are numbers where these are exact. */
export type Value = null | boolean | number | bigint | string | Uint8Array | readonly Value[] | ReadonlyMap<number | string | Uint8Array, Value>

const KEY_INTEGER_MAX = 2 ** 53 - 1
const INTEGER_END = 1n << 64n
const NOTHING = new Uint8Array(0)
const [UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, , SIMPLE] = [0, 1, 2, 3, 4, 5, 6, 7]
const SHORTEST: Readonly<Record<number, bigint>> = { 24: 24n, 25: 1n << 8n, 26: 1n << 16n, 27: 1n << 32n }

/** One value in its only encoding. Throws ContentError. */
export function encodeDeterministic(value: Value, depth = 1): Uint8Array {
  if (depth > CBOR_DEPTH_MAX) throw new ContentError(Reason.TOO_DEEP, `more than ${CBOR_DEPTH_MAX} levels`)
  if (value === null) return Uint8Array.of(0xf6)
  if (typeof value === "boolean") return Uint8Array.of(value ? 0xf5 : 0xf4)
  if (typeof value === "number" || typeof value === "bigint") return integer(value)
  if (typeof value === "string") {
    const bytes = encodeUtf8(value)
    if (bytes === undefined) throw new ContentError(Reason.BAD_UTF8, "a text with a lone surrogate")
    return concat(head(TEXT, BigInt(bytes.length)), bytes)
  }
  if (value instanceof Uint8Array) return concat(head(BYTES, BigInt(value.length)), value)
  if (value instanceof Map) {
    const pairs = [...(value as ReadonlyMap<unknown, Value>)].map(([key, item]) => [encodedKey(key), encodeDeterministic(item, depth + 1)] as const)
    pairs.sort(([a], [b]) => compareBytes(a, b))
    // Two byte strings of one content are two keys of a Map, but one key of ours.
    if (pairs.some(([key], i) => equalBytes(key, pairs[i - 1]?.[0] ?? NOTHING))) throw new ContentError(Reason.DUPLICATE_KEY, "one key twice")
    return concat(head(MAP, BigInt(pairs.length)), ...pairs.flat())
  }
  if (!Array.isArray(value)) throw new ContentError(Reason.UNSUPPORTED_VALUE, typeof value)
  const items = value as readonly Value[]
  return concat(head(ARRAY, BigInt(items.length)), ...items.map((item) => encodeDeterministic(item, depth + 1)))
}

function encodedKey(key: unknown): Uint8Array {
  const isInteger = typeof key === "number" && Math.abs(key) <= KEY_INTEGER_MAX && Number.isInteger(key)
  if (!isInteger && typeof key !== "string" && !(key instanceof Uint8Array)) throw new ContentError(Reason.BAD_KEY, String(key))
  return encodeDeterministic(key)
}

function integer(value: number | bigint): Uint8Array {
  if (typeof value === "number" && !Number.isSafeInteger(value)) throw new ContentError(Reason.UNSUPPORTED_VALUE, "no exact integer")
  const exact = BigInt(value)
  if (exact >= INTEGER_END || exact < -INTEGER_END) throw new ContentError(Reason.UNSUPPORTED_VALUE, "an integer exceeds 64 bits")
  return exact >= 0n ? head(UNSIGNED, exact) : head(NEGATIVE, -1n - exact)
}

function head(major: number, argument: bigint): Uint8Array {
  const type = major << 5
  if (argument < 24n) return Uint8Array.of(type | Number(argument))
  const info = argument < 1n << 8n ? 24 : argument < 1n << 16n ? 25 : argument < 1n << 32n ? 26 : 27
  const bytes = new Uint8Array(1 + (1 << (info - 24)))
  bytes[0] = type | info
  for (let at = bytes.length - 1, rest = argument; at > 0; at--, rest >>= 8n) bytes[at] = Number(rest & 0xffn)
  return bytes
}

/** The value whose deterministic encoding `data` is. Byte strings are copies. Throws ContentError. */
export function decodeDeterministic(data: Uint8Array): Value {
  const reader = new Reader(data)
  const value = reader.item(1)
  if (reader.at !== data.length) throw new ContentError(Reason.TRAILING_BYTES, `${data.length - reader.at} bytes after the value`)
  return value
}

class Reader {
  at = 0

  constructor(private readonly data: Uint8Array) {}

  item(depth: number): Value {
    if (depth > CBOR_DEPTH_MAX) throw new ContentError(Reason.TOO_DEEP, `more than ${CBOR_DEPTH_MAX} levels`)
    const start = this.at
    const { major, argument } = this.head()
    switch (major) {
      case UNSIGNED:
        return small(argument)
      case NEGATIVE:
        return small(-1n - argument)
      case BYTES:
        return this.take(argument)
      case TEXT: {
        const text = decodeUtf8(this.take(argument))
        if (text === undefined) throw new ContentError(Reason.BAD_UTF8, "a text is not UTF-8")
        return text
      }
      case ARRAY: {
        const items: Value[] = []
        for (let i = 0n; i < argument; i++) items.push(this.item(depth + 1))
        return items
      }
      case MAP:
        return this.map(argument, depth)
      default:
        if (major !== SIMPLE || this.at !== start + 1 || argument < 20n || argument > 22n) {
          throw new ContentError(Reason.UNSUPPORTED_VALUE, "a tag, a float or a simple value")
        }
        return argument === 22n ? null : argument === 21n
    }
  }

  private map(pairs: bigint, depth: number): Value {
    const found = new Map<number | string | Uint8Array, Value>()
    let previous: Uint8Array = new Uint8Array(0)
    for (let i = 0n; i < pairs; i++) {
      const start = this.at
      const { major, argument } = this.head()
      if (major > TEXT) throw new ContentError(Reason.BAD_KEY, "a key is neither an integer nor a string")
      const limit = BigInt(KEY_INTEGER_MAX) - (major === NEGATIVE ? 1n : 0n)
      if (major <= NEGATIVE && argument > limit) throw new ContentError(Reason.BAD_KEY, "an integer key exceeds 53 bits")
      this.at = start
      const key = this.item(depth + 1) as number | string | Uint8Array
      const encoded = this.data.subarray(start, this.at)
      if (equalBytes(encoded, previous)) throw new ContentError(Reason.DUPLICATE_KEY, "one key twice")
      if (compareBytes(encoded, previous) < 0) throw new ContentError(Reason.KEYS_UNSORTED, "keys are not in the order of their bytes")
      previous = encoded
      found.set(key, this.item(depth + 1))
    }
    return found
  }

  private head(): { readonly major: number; readonly argument: bigint } {
    const first = this.data[this.at]
    if (first === undefined) throw new ContentError(Reason.TRUNCATED, "an item is missing")
    const [major, info] = [first >> 5, first & 31]
    if (info < 24) {
      this.at++
      return { major, argument: BigInt(info) }
    }
    if (info === 31) throw new ContentError(Reason.INDEFINITE_LENGTH, "indefinite length or a stray break")
    const least = SHORTEST[info]
    if (least === undefined) throw new ContentError(Reason.UNSUPPORTED_VALUE, `reserved additional information ${info}`)
    const end = this.at + 1 + (1 << (info - 24))
    if (end > this.data.length) throw new ContentError(Reason.TRUNCATED, "a head is cut short")
    let argument = 0n
    for (const byte of this.data.subarray(this.at + 1, end)) argument = (argument << 8n) | BigInt(byte)
    if (major !== SIMPLE && argument < least) throw new ContentError(Reason.NOT_SHORTEST, "a number in more bytes than it needs")
    this.at = end
    return { major, argument }
  }

  private take(length: bigint): Uint8Array {
    if (length > BigInt(this.data.length - this.at)) throw new ContentError(Reason.TRUNCATED, "a string is cut short")
    const start = this.at
    this.at += Number(length)
    return this.data.slice(start, this.at)
  }
}

const small = (value: bigint): number | bigint =>
  value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value
