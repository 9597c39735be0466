// The message structure of MIMI content (draft-ietf-mimi-content-08 sections 4 and appendix B), as plain data.
import type { Brand } from "../../brand.js"
import type { Value } from "./cbor.js"

/** 32 bytes: a hash algorithm's number and 31 bytes of the hash, see `messageId`. */
export type MessageId = Brand<Uint8Array, "MessageId">
/** 16 random bytes, fresh for every message. */
export type Salt = Brand<Uint8Array, "Salt">

/** Registered keys of the extensions map. */
export const SENDER_URI = 1
export const ROOM_URI = 2

/** What a part is for. 9 to 255 are legal, unknown, and treated as `RENDER`. */
export const Disposition = {
  UNSPECIFIED: 0,
  RENDER: 1,
  REACTION: 2,
  PROFILE: 3,
  INLINE: 4,
  ICON: 5,
  ATTACHMENT: 6,
  SESSION: 7,
  PREVIEW: 8,
} as const

/** Which kind of part follows. */
export const Cardinality = { NULL: 0, SINGLE: 1, EXTERNAL: 2, MULTI: 3 } as const
/** What a receiver does with the parts of a multi part. */
export const Semantics = { CHOOSE_ONE: 0, SINGLE_UNIT: 1, PROCESS_ALL: 2 } as const
/** AEAD algorithm numbers (RFC 5116 registry) that this software opens. */
export const EncAlg = { NONE: 0, AES_128_GCM: 1, AES_256_GCM: 2 } as const
/** Named Information hash algorithms that this software checks. */
export const HashAlg = { NONE: 0, SHA_256: 1 } as const

interface Part {
  readonly disposition: number
  readonly language: string
}
/** No content: a message that deletes another one. */
export interface NullPart extends Part {
  readonly part: "null"
}
/** Content of one media type. */
export interface SinglePart extends Part {
  readonly part: "single"
  readonly contentType: string
  readonly content: Uint8Array
}
/** Content that lies elsewhere. `contentHash` is over the bytes at `url`, and `size` counts them, or is 0. */
export interface ExternalPart extends Part {
  readonly part: "external"
  readonly contentType: string
  readonly url: string
  readonly size: number | bigint
  readonly expiresS: number
  readonly encAlg: number
  readonly key: Uint8Array
  readonly nonce: Uint8Array
  readonly aad: Uint8Array
  readonly hashAlg: number
  readonly contentHash: Uint8Array
  readonly description: string
  readonly filename: string
}
/** Two or more parts and what they are to one another. */
export interface MultiPart extends Part {
  readonly part: "multi"
  readonly semantics: number
  readonly parts: readonly NestedPart[]
}
export type NestedPart = NullPart | SinglePart | ExternalPart | MultiPart

/** When to delete: seconds since 1970, or (relative) seconds after it was read. */
export interface Expiration {
  readonly relative: boolean
  readonly timeS: number
}

export type Extensions = ReadonlyMap<number | string, Value>

/** One message as it goes into an MLS application message. */
export interface MimiContent {
  readonly salt: Salt
  readonly replaces: MessageId | null
  readonly topicId: Uint8Array
  readonly expires: Expiration | null
  readonly inReplyTo: MessageId | null
  readonly extensions: Extensions
  readonly body: NestedPart
}
