// Bytes: joined, compared, written as text. Nothing here knows a protocol.

/** All parts, one after the other, in a buffer of their own. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}

/** As Python compares bytes: the first different byte decides, else the longer one is greater. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length && i < b.length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

/** Not in constant time: for ids and public values only. */
export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => compareBytes(a, b) === 0

/** A big-endian number in so many bytes. */
export function bigEndian(value: number | bigint, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let rest = BigInt(value)
  for (let i = length - 1; i >= 0; i--, rest >>= 8n) bytes[i] = Number(rest & 0xffn)
  if (rest !== 0n) throw new RangeError(`${value} does not fit into ${length} bytes`)
  return bytes
}

/** The number that `bytes` is in big-endian order. */
export function fromBigEndian(bytes: Uint8Array): bigint {
  let value = 0n
  for (const byte of bytes) value = (value << 8n) | BigInt(byte)
  return value
}

export const toHex = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")

/** The opposite of `toHex`; a RangeError for anything but pairs of hexadecimal digits. */
export function fromHex(text: string): Uint8Array {
  if (!/^(?:[0-9a-f]{2})*$/i.test(text)) throw new RangeError("not hexadecimal")
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
const SEXTETS = new Map(Array.from(ALPHABET, (letter, value) => [letter, value]))

/** RFC 4648 section 4, with padding. */
export function toBase64(bytes: Uint8Array): string {
  const out: string[] = []
  for (let i = 0; i < bytes.length; i += 3) {
    const left = bytes.length - i
    const group = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0)
    const letters = [18, 12, 6, 0].map((shift) => ALPHABET[(group >> shift) & 63])
    out.push(...letters.slice(0, Math.min(left, 3) + 1).map((letter) => letter ?? ""), "=".repeat(Math.max(0, 3 - left)))
  }
  return out.join("")
}

/** The opposite of `toBase64`; a RangeError for another alphabet, white space or missing padding. */
export function fromBase64(text: string): Uint8Array {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0
  if (text.length % 4 !== 0) throw new RangeError("not base64")
  const bytes = new Uint8Array((text.length / 4) * 3 - padding)
  let at = 0
  for (let i = 0; i < text.length; i += 4) {
    const isLast = i + 4 === text.length
    let group = 0
    for (let j = 0; j < 4; j++) {
      const sextet = SEXTETS.get(text[i + j] ?? "") ?? (isLast && j >= 4 - padding ? 0 : undefined)
      if (sextet === undefined) throw new RangeError("not base64")
      group = (group << 6) | sextet
    }
    for (let j = 16; j >= 0 && at < bytes.length; j -= 8) bytes[at++] = (group >> j) & 0xff
  }
  return bytes
}
