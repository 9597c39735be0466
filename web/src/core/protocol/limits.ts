// Generated from src/ringthrough/protocol/limits.py by tools/generate_web.py: change that file, not this one.

export const VERSION_MIN = 1
export const VERSION_MAX = 1
export const STREAM_ID_BYTES = 16
export const TOKEN_BYTES = 32
export const TOKEN_HASH_BYTES = 32
/** The only sizes a record or a signal may have, so that its length says little about what it carries. */
export const PADDED_SIZES_BYTES = [160, 320, 640, 1280, 2560, 5120, 10_240, 20_480, 40_960, 65_536] as const
export const RECORD_BYTES_MAX = 65_536
export const SIGNAL_BYTES_MAX = 5120
export const APPEND_RECORDS_MAX = 64
export const APPEND_BYTES_MAX = 262_144
/** Largest WebSocket message either side may send. */
export const MESSAGE_BYTES_MAX = 266_240
export const BUNDLE_ID_BYTES = 16
export const LANES_PER_BUNDLE_MAX = 8
export const STREAMS_PER_CONNECTION_MAX = 4096
export const REQUESTS_IN_FLIGHT_MAX = 256
export const RECORD_LIFETIME_S = 2_592_000
export const BLOB_LIFETIME_S = 2_592_000
export const BLOB_BYTES_MAX = 67_108_864
export const HANDLE_PATTERN = "[a-z0-9](?:[a-z0-9._-]{0,30}[a-z0-9])"
export const DEVICES_PER_ACCOUNT_MAX = 16
export const KEY_PACKAGE_BYTES_MAX = 4096
export const KEY_PACKAGES_PER_DEVICE_MAX = 200
export const CHALLENGE_LIFETIME_S = 60
export const SESSION_LIFETIME_S = 3600

/** The wire size for a body of `length` bytes. A RangeError if it is larger than the largest wire size. */
export function paddedSize(length: number): number {
  const padded = PADDED_SIZES_BYTES.find((size) => length <= size)
  if (padded === undefined) throw new RangeError(`${length} bytes exceed the largest wire size, ${RECORD_BYTES_MAX}`)
  return padded
}
