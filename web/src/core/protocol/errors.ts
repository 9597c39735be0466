// Generated from src/ringthrough/protocol/errors.py by tools/generate_web.py: change that file, not this one.

/** Why a request was refused. The value is the wire form. */
export const ErrorCode = {
  BAD_FRAME: "bad_frame",
  UNKNOWN_TYPE: "unknown_type",
  HELLO_FIRST: "hello_first",
  UNSUPPORTED_VERSION: "unsupported_version",
  TOO_LARGE: "too_large",
  BAD_SIZE: "bad_size",
  FORBIDDEN: "forbidden",
  STREAM_EXISTS: "stream_exists",
  BAD_HANDLE: "bad_handle",
  CONFLICT: "conflict",
  STALE: "stale",
  TOO_MANY: "too_many",
  RATE_LIMITED: "rate_limited",
  UNAVAILABLE: "unavailable",
  INTERNAL: "internal",
  BAD_REQUEST: "bad_request",
  BAD_SIGNATURE: "bad_signature",
  NOT_FOUND: "not_found",
  HANDLE_TAKEN: "handle_taken",
  UNAUTHENTICATED: "unauthenticated",
  HASH_MISMATCH: "hash_mismatch",
} as const
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode]

/**
 * Input that does not follow the protocol. Nothing was changed by it.
 *
 * `request` and `handle` are 0 where they do not apply or could not be read.
 */
export class ProtocolError extends Error {
  override name = "ProtocolError"

  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly request = 0,
    readonly handle = 0,
  ) {
    super(message)
  }
}
