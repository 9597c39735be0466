// Files: sealed before they are uploaded, opened only after size, hash and tag were checked.
import { equalBytes } from "../../bytes.js"
import { AesGcm, type Random, sha256 } from "../../webcrypto.js"
import { ContentError, Reason } from "./errors.js"
import { Disposition, EncAlg, type ExternalPart, HashAlg } from "./model.js"

const KEY_BYTES: Readonly<Record<number, number>> = { [EncAlg.AES_128_GCM]: 16, [EncAlg.AES_256_GCM]: 32 }
const NONCE_BYTES = 12
const NONE = new Uint8Array(0)

/** What is uploaded (`blob`), and what only the receivers of the message get. */
export interface SealedFile {
  readonly blob: Uint8Array
  readonly key: Uint8Array
  readonly nonce: Uint8Array
  readonly encAlg: number
}

/**
 * Encrypts a file with a key of its own. The blob is 16 bytes longer than the file. Throws ContentError
 * `unsupported_algorithm` for no encryption.
 */
export async function sealFile(plaintext: Uint8Array, random: Random, encAlg: number = EncAlg.AES_128_GCM): Promise<SealedFile> {
  const keyBytes = KEY_BYTES[encAlg]
  if (keyBytes === undefined) throw new ContentError(Reason.UNSUPPORTED_ALGORITHM, `AEAD ${encAlg}`)
  const [key, nonce] = [random(keyBytes), random(NONCE_BYTES)]
  return { blob: await (await AesGcm.create(key)).seal(nonce, plaintext, NONE), key, nonce, encAlg }
}

/** The part that tells the receivers where the blob is and how to open it. */
export async function sealedPart(
  sealed: SealedFile,
  about: {
    urlOf(sha256: Uint8Array): string
    readonly contentType: string
    readonly filename?: string
    readonly description?: string
    readonly disposition?: number
    readonly expiresS?: number
  },
): Promise<ExternalPart> {
  const contentHash = await sha256(sealed.blob)
  return {
    part: "external",
    disposition: about.disposition ?? Disposition.ATTACHMENT,
    language: "",
    contentType: about.contentType,
    url: about.urlOf(contentHash),
    size: sealed.blob.length,
    expiresS: about.expiresS ?? 0,
    encAlg: sealed.encAlg,
    key: sealed.key,
    nonce: sealed.nonce,
    aad: NONE,
    hashAlg: HashAlg.SHA_256,
    contentHash,
    description: about.description ?? "",
    filename: about.filename ?? "",
  }
}

/**
 * The file that `part` describes, from the bytes found at its URL. Throws ContentError: `unsupported_algorithm` (no
 * encryption or no hash is refused too), `hash_mismatch`, `decryption_failed`.
 */
export async function openFile(
  part: Pick<ExternalPart, "encAlg" | "key" | "nonce" | "aad" | "hashAlg" | "contentHash" | "size">,
  blob: Uint8Array,
): Promise<Uint8Array> {
  const keyBytes = KEY_BYTES[part.encAlg]
  if (keyBytes === undefined || part.hashAlg !== HashAlg.SHA_256) {
    throw new ContentError(Reason.UNSUPPORTED_ALGORITHM, `AEAD ${part.encAlg}, hash ${part.hashAlg}`)
  }
  const isRightSize = Number(part.size) === 0 || Number(part.size) === blob.length
  if (!isRightSize || !equalBytes(await sha256(blob), part.contentHash)) {
    throw new ContentError(Reason.HASH_MISMATCH, "these are not the bytes that the sender uploaded")
  }
  const fits = part.key.length === keyBytes && part.nonce.length === NONCE_BYTES
  const opened = fits ? await (await AesGcm.create(part.key)).open(part.nonce, blob, part.aad) : undefined
  if (opened === undefined) throw new ContentError(Reason.DECRYPTION_FAILED, "the key does not open these bytes")
  return opened
}
