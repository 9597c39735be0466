// Generated from src/ringthrough/e2ee/sframe.py by tools/generate_web.py: change that file, not this one.

export const NONCE_BYTES = 12
/** Largest key id or counter that a header can carry. */
export const INTEGER_MAX = 18446744073709551615n
export const CALL_BASE_KEY_BYTES = 32
export const CALL_ID_BYTES = 16
/** A call's counters stay below this, so that a header never exceeds `HEADER_BYTES_MAX`. */
export const CALL_COUNTER_END = 4_294_967_296
export const EPOCH_BITS = 8
export const LEAF_INDEX_MAX = 65_535
export const REPLAY_WINDOW_FRAMES = 1024
/** Config byte, key id below 2^24, counter below 2^32. */
export const HEADER_BYTES_MAX = 8
export const TAG_BYTES = 16
export const LENGTH_BYTES = 2
/** The wire size of a voice frame, the smallest that the transport has. */
export const VOICE_BODY_BYTES = 160
/** What the transport may put in front of the sealed frame inside the same 160 bytes. */
export const SIGNAL_KIND_BYTES = 1
/** Largest audio packet that always fits into a voice frame, with or without the transport's kind byte. */
export const AUDIO_PAYLOAD_BYTES_MAX = 133
