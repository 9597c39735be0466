// The platform's types want bytes that are not shared between threads; ours never are.
import type { Random } from "../core/webcrypto.js"

export const fromBytes = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => bytes as Uint8Array<ArrayBuffer>

/** The engine's randomness. */
export const random: Random = (length) => crypto.getRandomValues(new Uint8Array(length))

export const sha256 = async (bytes: Uint8Array): Promise<Uint8Array> =>
  new Uint8Array(await crypto.subtle.digest("SHA-256", fromBytes(bytes)))
