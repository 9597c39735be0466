// The part of WebCrypto (W3C Web Cryptography Level 2) that this layer uses, declared here because it is compiled
// without the types of the DOM. The same in browsers, workers and Node.
import { fromBase64 } from "./bytes.js"

/** A key that the engine holds; none of ours can be taken out again. */
export interface Key {
  readonly algorithm: object
}

interface AeadParameters {
  readonly name: "AES-GCM"
  readonly iv: Uint8Array
  readonly additionalData: Uint8Array
}

interface Subtle {
  digest(name: "SHA-256" | "SHA-512", data: Uint8Array): Promise<ArrayBuffer>
  importKey(format: "raw" | "pkcs8", data: Uint8Array, algorithm: object, extractable: boolean, uses: readonly string[]): Promise<Key>
  exportKey(format: "jwk", key: Key): Promise<{ x?: string }>
  sign(name: "Ed25519" | "HMAC", key: Key, data: Uint8Array): Promise<ArrayBuffer>
  verify(name: "Ed25519", key: Key, signature: Uint8Array, data: Uint8Array): Promise<boolean>
  encrypt(parameters: AeadParameters, key: Key, data: Uint8Array): Promise<ArrayBuffer>
  decrypt(parameters: AeadParameters, key: Key, data: Uint8Array): Promise<ArrayBuffer>
}

const { subtle } = (globalThis as unknown as { crypto: { subtle: Subtle } }).crypto

/** Randomness is an argument in this layer; the shell passes `crypto.getRandomValues`. */
export type Random = (length: number) => Uint8Array

export const sha256 = async (data: Uint8Array): Promise<Uint8Array> => new Uint8Array(await subtle.digest("SHA-256", data))
export const sha512 = async (data: Uint8Array): Promise<Uint8Array> => new Uint8Array(await subtle.digest("SHA-512", data))

/** HMAC (RFC 2104). */
export async function hmac(hash: "SHA-256" | "SHA-512", key: Uint8Array, message: Uint8Array): Promise<Uint8Array> {
  const imported = await subtle.importKey("raw", key, { name: "HMAC", hash }, false, ["sign"])
  return new Uint8Array(await subtle.sign("HMAC", imported, message))
}

/** AES-GCM (RFC 5116 section 5.1) with one key and a tag of 16 bytes. */
export class AesGcm {
  private constructor(private readonly key: Key) {}

  /** `key` has 16 or 32 bytes; a RangeError otherwise. */
  static async create(key: Uint8Array): Promise<AesGcm> {
    if (key.length !== 16 && key.length !== 32) throw new RangeError(`an AES key of ${key.length} bytes`)
    return new AesGcm(await subtle.importKey("raw", key, { name: "AES-GCM" }, false, ["encrypt", "decrypt"]))
  }

  async seal(nonce: Uint8Array, plaintext: Uint8Array, additionalData: Uint8Array): Promise<Uint8Array> {
    return new Uint8Array(await subtle.encrypt({ name: "AES-GCM", iv: nonce, additionalData }, this.key, plaintext))
  }

  /** The plaintext, or `undefined` if the tag does not fit. */
  async open(nonce: Uint8Array, sealed: Uint8Array, additionalData: Uint8Array): Promise<Uint8Array | undefined> {
    try {
      return new Uint8Array(await subtle.decrypt({ name: "AES-GCM", iv: nonce, additionalData }, this.key, sealed))
    } catch {
      return undefined
    }
  }
}

/** A 32-byte seed as the engine takes it: PrivateKeyInfo, RFC 8410 section 7. */
const ED25519_PKCS8_HEAD = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20)

async function ed25519Private(privateKey: Uint8Array, extractable: boolean): Promise<Key> {
  if (privateKey.length !== 32 && privateKey.length !== 48) throw new RangeError("an Ed25519 seed has 32 bytes")
  const pkcs8 = privateKey.length === 48 ? privateKey : Uint8Array.of(...ED25519_PKCS8_HEAD, ...privateKey)
  return subtle.importKey("pkcs8", pkcs8, { name: "Ed25519" }, extractable, ["sign"])
}

/** Ed25519 (RFC 8032). `privateKey` is the 32-byte seed, or PKCS #8 as the MLS adapter makes it. */
export async function ed25519Sign(privateKey: Uint8Array, message: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await subtle.sign("Ed25519", await ed25519Private(privateKey, false), message))
}

/** Whether the signature holds; a key or signature of another length does not. */
export async function ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<boolean> {
  try {
    const key = await subtle.importKey("raw", publicKey, { name: "Ed25519" }, false, ["verify"])
    return await subtle.verify("Ed25519", key, signature, message)
  } catch {
    return false
  }
}

/** The 32-byte public key of a private one. */
export async function ed25519PublicKey(privateKey: Uint8Array): Promise<Uint8Array> {
  const { x = "" } = await subtle.exportKey("jwk", await ed25519Private(privateKey, true))
  return fromBase64(`${x.replaceAll("-", "+").replaceAll("_", "/")}=`)
}
