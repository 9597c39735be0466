// Generated from src/ringthrough/e2ee/content/errors.py by tools/generate_web.py: change that file, not this one.
import { E2eeError } from "../errors.js"

/** Stable names. The first group is about CBOR, the second about the message, the third about bodies in it. */
export const Reason = {
  TRUNCATED: "truncated",
  TRAILING_BYTES: "trailing_bytes",
  NOT_SHORTEST: "not_shortest",
  INDEFINITE_LENGTH: "indefinite_length",
  KEYS_UNSORTED: "keys_unsorted",
  DUPLICATE_KEY: "duplicate_key",
  BAD_KEY: "bad_key",
  BAD_UTF8: "bad_utf8",
  UNSUPPORTED_VALUE: "unsupported_value",
  TOO_DEEP: "too_deep",
  TOO_LARGE: "too_large",
  BAD_STRUCTURE: "bad_structure",
  BAD_MESSAGE_ID: "bad_message_id",
  OUT_OF_RANGE: "out_of_range",
  TOO_LONG: "too_long",
  TOO_MANY: "too_many",
  UNKNOWN_CARDINALITY: "unknown_cardinality",
  UNKNOWN_SEMANTICS: "unknown_semantics",
  BAD_ENCRYPTION: "bad_encryption",
  BAD_HASH: "bad_hash",
  UNSAFE_FILENAME: "unsafe_filename",
  WRONG_SENDER: "wrong_sender",
  WRONG_ROOM: "wrong_room",
  IMPLAUSIBLE_EXPIRY: "implausible_expiry",
  UNSUPPORTED_VERSION: "unsupported_version",
  UNKNOWN_KIND: "unknown_kind",
  UNKNOWN_REASON: "unknown_reason",
  UNKNOWN_CODEC: "unknown_codec",
  BAD_BODY: "bad_body",
  UNSUPPORTED_ALGORITHM: "unsupported_algorithm",
  HASH_MISMATCH: "hash_mismatch",
  DECRYPTION_FAILED: "decryption_failed",
} as const
export type Reason = (typeof Reason)[keyof typeof Reason]

/** Content that cannot be sent or must not be believed. `reason` is one of `Reason`. */
export class ContentError extends E2eeError {
  override name = "ContentError"

  constructor(
    override readonly reason: Reason,
    message: string,
  ) {
    super(`${reason}: ${message}`)
  }
}
