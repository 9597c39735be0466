// MIMI content to bytes and back. Whatever `decode` accepts, `encode` gives back byte for byte.
import { utf8 } from "../../utf8.js"
import { decodeDeterministic, encodeDeterministic, type Value } from "./cbor.js"
import { ContentError, Reason } from "./errors.js"
import * as limits from "./limits.js"
import {
  Cardinality,
  EncAlg,
  type Expiration,
  type Extensions,
  type ExternalPart,
  HashAlg,
  type MessageId,
  type MimiContent,
  type NestedPart,
  ROOM_URI,
  type Salt,
  SENDER_URI,
  Semantics,
} from "./model.js"

const UINT32_MAX = 2 ** 32 - 1
const UINT64_MAX = 2n ** 64n - 1n
/** Bytes of key and nonce. */
const AEAD_SIZES: Readonly<Record<number, readonly [number, number]>> = {
  [EncAlg.NONE]: [0, 0],
  [EncAlg.AES_128_GCM]: [16, 12],
  [EncAlg.AES_256_GCM]: [32, 12],
}
const HASH_SIZES: Readonly<Record<number, number>> = { [HashAlg.NONE]: 0, [HashAlg.SHA_256]: 32 }

/** The deterministic encoding. Throws ContentError for a message that `decode` would refuse, for the same reason. */
export function encode(message: MimiContent): Uint8Array {
  const { salt, replaces, topicId, expires, inReplyTo, extensions, body } = message
  const expiry = expires === null ? null : [expires.relative, expires.timeS]
  const encoded = encodeDeterministic([salt, replaces, topicId, expiry, inReplyTo, extensions, partValue(body)])
  decode(encoded)
  return encoded
}

/** Reads and checks one message. Throws ContentError. */
export function decode(data: Uint8Array): MimiContent {
  if (data.length > limits.CONTENT_BYTES_MAX) throw new ContentError(Reason.TOO_LARGE, `${data.length} bytes`)
  const [salt, replaces, topicId, expires, inReplyTo, extensions, body] = array(decodeDeterministic(data), 7)
  const count = { parts: 0 }
  return {
    salt: exact(salt, limits.SALT_BYTES) as Salt,
    replaces: messageIdOf(replaces),
    topicId: bytes(topicId, limits.TOPIC_ID_BYTES_MAX),
    expires: expiration(expires),
    inReplyTo: messageIdOf(inReplyTo),
    extensions: extensionsOf(extensions),
    body: part(body, 1, count),
  }
}

function partValue(part: NestedPart): Value {
  const head = [part.disposition, part.language]
  switch (part.part) {
    case "null":
      return [...head, Cardinality.NULL]
    case "single":
      return [...head, Cardinality.SINGLE, part.contentType, part.content]
    case "external": {
      const where = [part.contentType, part.url, part.expiresS, part.size]
      const seal = [part.encAlg, part.key, part.nonce, part.aad, part.hashAlg, part.contentHash]
      return [...head, Cardinality.EXTERNAL, ...where, ...seal, part.description, part.filename]
    }
    case "multi":
      return [...head, Cardinality.MULTI, part.semantics, part.parts.map(partValue)]
  }
}

function part(value: Value | undefined, depth: number, count: { parts: number }): NestedPart {
  if (depth > limits.PART_DEPTH_MAX) throw new ContentError(Reason.TOO_DEEP, `parts nested in more than ${limits.PART_DEPTH_MAX} levels`)
  if (++count.parts > limits.PARTS_MAX) throw new ContentError(Reason.TOO_MANY, `more than ${limits.PARTS_MAX} parts`)
  if (!Array.isArray(value) || value.length < 3) throw new ContentError(Reason.BAD_STRUCTURE, "a part is no array of three or more")
  const fields = value as readonly Value[]
  const disposition = uint(fields[0], 255)
  const language = text(fields[1], limits.LANGUAGE_BYTES_MAX)
  const cardinality = uint(fields[2], UINT32_MAX)
  switch (cardinality) {
    case Cardinality.NULL:
      array(fields, 3)
      return { part: "null", disposition, language }
    case Cardinality.SINGLE: {
      const [, , , contentType, content] = array(fields, 5)
      const type = text(contentType, limits.CONTENT_TYPE_BYTES_MAX)
      return { part: "single", disposition, language, contentType: type, content: bytes(content, limits.CONTENT_BYTES_MAX) }
    }
    case Cardinality.EXTERNAL:
      return external(array(fields, 15).slice(3), disposition, language)
    case Cardinality.MULTI: {
      const [, , , semantics, parts] = array(fields, 5)
      if (!Array.isArray(parts) || parts.length < 2) throw new ContentError(Reason.BAD_STRUCTURE, "fewer than two parts")
      const inner = (parts as readonly Value[]).map((one) => part(one, depth + 1, count))
      const number = uint(semantics, UINT32_MAX)
      if (number > Semantics.PROCESS_ALL) throw new ContentError(Reason.UNKNOWN_SEMANTICS, String(number))
      return { part: "multi", disposition, language, semantics: number, parts: inner }
    }
    default:
      throw new ContentError(Reason.UNKNOWN_CARDINALITY, String(cardinality))
  }
}

function external(fields: readonly Value[], disposition: number, language: string): ExternalPart {
  const [contentType, url, expiresS, size, encAlg, key, nonce, aad, hashAlg, digest, description, filename] = fields
  const found: ExternalPart = {
    part: "external",
    disposition,
    language,
    contentType: text(contentType, limits.CONTENT_TYPE_BYTES_MAX),
    url: text(url, limits.URL_BYTES_MAX),
    expiresS: uint(expiresS, UINT32_MAX),
    size: big(size, UINT64_MAX),
    encAlg: uint(encAlg, 2 ** 16 - 1),
    key: bytes(key, limits.CRYPTO_FIELD_BYTES_MAX),
    nonce: bytes(nonce, limits.CRYPTO_FIELD_BYTES_MAX),
    aad: bytes(aad, limits.AAD_BYTES_MAX),
    hashAlg: uint(hashAlg, 255),
    contentHash: bytes(digest, limits.CRYPTO_FIELD_BYTES_MAX),
    description: text(description, limits.DESCRIPTION_BYTES_MAX),
    filename: fileName(filename),
  }
  const sizes = AEAD_SIZES[found.encAlg]
  if (sizes !== undefined && (found.key.length !== sizes[0] || found.nonce.length !== sizes[1])) {
    throw new ContentError(Reason.BAD_ENCRYPTION, `key or nonce do not fit algorithm ${found.encAlg}`)
  }
  if (found.encAlg === EncAlg.NONE && found.aad.length > 0) throw new ContentError(Reason.BAD_ENCRYPTION, "associated data without encryption")
  const hashBytes = HASH_SIZES[found.hashAlg]
  if (hashBytes !== undefined && found.contentHash.length !== hashBytes) {
    throw new ContentError(Reason.BAD_HASH, `${found.contentHash.length} bytes for algorithm ${found.hashAlg}`)
  }
  return found
}

/** A suggested name must not choose a folder, nor hide in one. */
function fileName(value: Value | undefined): string {
  const name = text(value, limits.FILENAME_BYTES_MAX)
  if (name === "." || name === ".." || /[/\\\u0000-\u001f\u007f]/.test(name)) throw new ContentError(Reason.UNSAFE_FILENAME, "a name")
  return name
}

function messageIdOf(value: Value | undefined): MessageId | null {
  if (value === null) return null
  const id = exact(value, limits.MESSAGE_ID_BYTES)
  if (id[0] !== HashAlg.SHA_256) throw new ContentError(Reason.BAD_MESSAGE_ID, `unknown hash algorithm ${id[0]}`)
  return id as MessageId
}

function expiration(value: Value | undefined): Expiration | null {
  if (value === null) return null
  const [relative, timeS] = array(value, 2)
  if (typeof relative !== "boolean") throw new ContentError(Reason.BAD_STRUCTURE, "an expiration without its boolean")
  return { relative, timeS: uint(timeS, UINT32_MAX) }
}

function extensionsOf(value: Value | undefined): Extensions {
  if (!(value instanceof Map)) throw new ContentError(Reason.BAD_STRUCTURE, "extensions are no map")
  if (value.size > limits.EXTENSIONS_MAX) throw new ContentError(Reason.TOO_MANY, `more than ${limits.EXTENSIONS_MAX} extensions`)
  const found = new Map<number | string, Value>()
  for (const [key, item] of value as ReadonlyMap<number | string | Uint8Array, Value>) {
    if (key instanceof Uint8Array || key === "") throw new ContentError(Reason.BAD_KEY, "an extension's name is an integer or a text that is not empty")
    if (typeof key === "string" && utf8(key).length > limits.EXTENSION_NAME_BYTES_MAX) throw new ContentError(Reason.TOO_LONG, "an extension's name")
    if (encodeDeterministic(item).length > limits.EXTENSION_VALUE_BYTES_MAX) throw new ContentError(Reason.TOO_LONG, `extension ${key}`)
    if (key === SENDER_URI || key === ROOM_URI) text(item, limits.URI_BYTES_MAX)
    found.set(key, item)
  }
  return found
}

function array(value: Value | undefined, length: number): readonly Value[] {
  if (!Array.isArray(value) || value.length !== length) throw new ContentError(Reason.BAD_STRUCTURE, `no array of ${length}`)
  return value as readonly Value[]
}

function big(value: Value | undefined, maximum: bigint): number | bigint {
  if (typeof value !== "number" && typeof value !== "bigint") throw new ContentError(Reason.BAD_STRUCTURE, "no unsigned integer")
  if (value < 0 || BigInt(value) > maximum) throw new ContentError(Reason.OUT_OF_RANGE, `${value}, at most ${maximum}`)
  return value
}

const uint = (value: Value | undefined, maximum: number): number => Number(big(value, BigInt(maximum)))

function bytes(value: Value | undefined, maximum: number): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new ContentError(Reason.BAD_STRUCTURE, "no byte string")
  if (value.length > maximum) throw new ContentError(Reason.TOO_LONG, `${value.length} bytes, at most ${maximum}`)
  return value
}

function exact(value: Value | undefined, length: number): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length !== length) throw new ContentError(Reason.BAD_STRUCTURE, `no byte string of ${length}`)
  return value
}

function text(value: Value | undefined, maximum: number): string {
  if (typeof value !== "string") throw new ContentError(Reason.BAD_STRUCTURE, "no text")
  if (utf8(value).length > maximum) throw new ContentError(Reason.TOO_LONG, `a text of more than ${maximum} bytes`)
  return value
}
