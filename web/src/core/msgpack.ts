// MessagePack, the few kinds of values that our frames and documents use (msgspec writes them on the other side).
//
// Our own, since it is a quarter of the size of the usual library and has no options to get wrong: numbers in their
// shortest form, exact integers, no objects, depth and lengths bounded by the bytes that are there.
import { decodeUtf8, utf8 } from "./utf8.js"

/** A well-formed value that no document of ours has a field for: a float, map or extension. */
export const OPAQUE = Symbol("opaque")

/** Integers are numbers where these are exact, else bigints. */
export type Packed = null | boolean | number | bigint | string | Uint8Array | typeof OPAQUE | readonly Packed[]
export type Packable = number | string | Uint8Array | readonly Packable[]

/** The bytes are not one MessagePack value. */
export class MsgpackError extends Error {
  override name = "MsgpackError"
}

const DEPTH_MAX = 100

/** One value. A RangeError for a number that is no exact integer. */
export function pack(value: Packable): Uint8Array {
  const out: number[] = []
  put(out, value)
  return Uint8Array.from(out)
}

function put(out: number[], value: Packable): void {
  if (typeof value === "number") return putInteger(out, value)
  if (typeof value === "string") {
    const bytes = utf8(value)
    if (bytes.length < 32) out.push(0xa0 | bytes.length)
    else putHead(out, bytes.length, [0xd9, 0xda, 0xdb])
    return putAll(out, bytes)
  }
  if (value instanceof Uint8Array) {
    putHead(out, value.length, [0xc4, 0xc5, 0xc6])
    return putAll(out, value)
  }
  if (value.length < 16) out.push(0x90 | value.length)
  else putHead(out, value.length, [undefined, 0xdc, 0xdd])
  for (const item of value) put(out, item)
}

/** A type byte by the size that the number needs, in 1, 2 or 4 bytes, and the number. */
function putHead(out: number[], value: number, [one, two, four]: [number | undefined, number, number]): void {
  if (one !== undefined && value < 0x100) putNumber(out, one, BigInt(value), 1)
  else if (value < 0x1_0000) putNumber(out, two, BigInt(value), 2)
  else putNumber(out, four, BigInt(value), 4)
}

function putInteger(out: number[], value: number): void {
  if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no exact integer`)
  const exact = BigInt(value)
  if (value >= 0) {
    if (value < 0x80) out.push(value)
    else if (value < 0x1_0000_0000) putHead(out, value, [0xcc, 0xcd, 0xce])
    else putNumber(out, 0xcf, exact, 8)
  } else if (value >= -0x20) out.push(value & 0xff)
  else if (value >= -0x80) putNumber(out, 0xd0, exact, 1)
  else if (value >= -0x8000) putNumber(out, 0xd1, exact, 2)
  else putNumber(out, value >= -0x8000_0000 ? 0xd2 : 0xd3, exact, value >= -0x8000_0000 ? 4 : 8)
}

function putNumber(out: number[], type: number, value: bigint, length: number): void {
  out.push(type)
  for (let shift = (length - 1) * 8; shift >= 0; shift -= 8) out.push(Number((value >> BigInt(shift)) & 0xffn))
}

function putAll(out: number[], bytes: Uint8Array): void {
  for (const byte of bytes) out.push(byte)
}

/** The one value that `data` is. Byte strings are copies. Raises MsgpackError. */
export function unpack(data: Uint8Array): Packed {
  const reader = new Reader(data)
  const value = reader.value(1)
  if (!reader.atEnd) throw new MsgpackError("bytes after the value")
  return value
}

class Reader {
  private at = 0
  private readonly view: DataView

  constructor(private readonly data: Uint8Array) {
    this.view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  }

  get atEnd(): boolean {
    return this.at === this.data.length
  }

  value(depth: number): Packed {
    if (depth > DEPTH_MAX) throw new MsgpackError("nested too deeply")
    const type = this.take(1)[0] ?? 0
    if (type < 0x80) return type
    if (type < 0x90) return this.map(type & 15, depth)
    if (type < 0xa0) return this.array(type & 15, depth)
    if (type < 0xc0) return this.text(type & 31)
    if (type >= 0xe0) return type - 0x100
    switch (type) {
      case 0xc0:
        return null
      case 0xc2:
      case 0xc3:
        return type === 0xc3
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return this.take(this.length(1 << (type - 0xc4))).slice()
      case 0xc7:
      case 0xc8:
      case 0xc9:
        return this.skip(this.length(1 << (type - 0xc7)) + 1)
      case 0xca:
      case 0xcb:
        return this.skip(type === 0xca ? 4 : 8)
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.length(1 << (type - 0xcc))
      case 0xcf:
        return exact(this.wide((at) => this.view.getBigUint64(at)))
      case 0xd0:
      case 0xd1:
      case 0xd2:
        return this.signed(1 << (type - 0xd0))
      case 0xd3:
        return exact(this.wide((at) => this.view.getBigInt64(at)))
      case 0xd4:
      case 0xd5:
      case 0xd6:
      case 0xd7:
      case 0xd8:
        return this.skip((1 << (type - 0xd4)) + 1)
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.text(this.length(1 << (type - 0xd9)))
      case 0xdc:
      case 0xdd:
        return this.array(this.length(type === 0xdc ? 2 : 4), depth)
      case 0xde:
      case 0xdf:
        return this.map(this.length(type === 0xde ? 2 : 4), depth)
      default:
        throw new MsgpackError(`type 0x${type.toString(16)}`)
    }
  }

  private take(length: number): Uint8Array {
    if (length > this.data.length - this.at) throw new MsgpackError("it ends too early")
    this.at += length
    return this.data.subarray(this.at - length, this.at)
  }

  private skip(length: number): typeof OPAQUE {
    this.take(length)
    return OPAQUE
  }

  /** An unsigned number of 1, 2 or 4 bytes. */
  private length(bytes: number): number {
    return this.take(bytes).reduce((value, byte) => value * 0x100 + byte, 0)
  }

  private signed(bytes: number): number {
    const value = this.length(bytes)
    const span = 2 ** (bytes * 8)
    return value < span / 2 ? value : value - span
  }

  private wide(read: (at: number) => bigint): bigint {
    this.take(8)
    return read(this.at - 8)
  }

  private text(length: number): string {
    const text = decodeUtf8(this.take(length))
    if (text === undefined) throw new MsgpackError("a text is not UTF-8")
    return text
  }

  private array(count: number, depth: number): Packed[] {
    const items: Packed[] = []
    for (let i = 0; i < count; i++) items.push(this.value(depth + 1))
    return items
  }

  private map(pairs: number, depth: number): typeof OPAQUE {
    for (let i = 0; i < pairs * 2; i++) this.value(depth + 1)
    return OPAQUE
  }
}

const exact = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value)
