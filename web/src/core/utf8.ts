// UTF-8, strictly: what is not well-formed is refused in both directions, and a byte order mark is a character.
interface Utf8 {
  TextEncoder: new () => { encode(text: string): Uint8Array }
  TextDecoder: new (label: string, options: { fatal: boolean; ignoreBOM: boolean }) => { decode(bytes: Uint8Array): string }
}
// Declared here since this layer is compiled without the types of the DOM; every engine has both.
const engine = globalThis as unknown as Utf8
const encoder = new engine.TextEncoder()
const decoder = new engine.TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

/** The bytes of a text, or `undefined` if it has a lone surrogate. */
export function encodeUtf8(text: string): Uint8Array | undefined {
  return /\p{Surrogate}/u.test(text) ? undefined : encoder.encode(text)
}

/** The bytes of a text of our own, such as a label. */
export function utf8(text: string): Uint8Array {
  const bytes = encodeUtf8(text)
  if (bytes === undefined) throw new RangeError("a text with a lone surrogate")
  return bytes
}

/** The text, or `undefined` if the bytes are not UTF-8 (RFC 3629). */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}
