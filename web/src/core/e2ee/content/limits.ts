// Generated from src/ringthrough/e2ee/content/limits.py by tools/generate_web.py: change that file, not this one.

/** Encoded content; leaves 4 KiB of the largest record to the MLS message around it. */
export const CONTENT_BYTES_MAX = 61_440
export const CBOR_DEPTH_MAX = 16
export const PART_DEPTH_MAX = 4
export const PARTS_MAX = 1024
export const SALT_BYTES = 16
export const MESSAGE_ID_BYTES = 32
export const TOPIC_ID_BYTES_MAX = 4096
export const EXTENSIONS_MAX = 32
export const EXTENSION_NAME_BYTES_MAX = 255
export const EXTENSION_VALUE_BYTES_MAX = 4096
export const CONTENT_TYPE_BYTES_MAX = 255
export const LANGUAGE_BYTES_MAX = 255
export const URL_BYTES_MAX = 2048
export const URI_BYTES_MAX = 2048
export const DESCRIPTION_BYTES_MAX = 4096
export const FILENAME_BYTES_MAX = 255
/** Key, nonce and content hash of an external part, for algorithms this software does not know. */
export const CRYPTO_FIELD_BYTES_MAX = 64
export const AAD_BYTES_MAX = 4096
export const EXPIRY_SPAN_S_MAX = 31_536_000
export const CALL_ID_BYTES = 16
export const OFFER_LIFETIME_MS = 60_000
export const MEDIA_CHOICES_MAX = 8
export const STATUSES_MAX = 1024
export const REACTION_BYTES_MAX = 64
export const NOTE_PACKETS_MAX = 150
/** Of all packets of a voice note together. */
export const NOTE_BYTES_MAX = 8192
