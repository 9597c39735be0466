// Generated from src/ringthrough/protocol/lanes.py by tools/generate_web.py: change that file, not this one.

/** A frame this old is forgotten: nobody would play it. */
export const FRAME_LIFETIME_MS = 1000
/** Frames that a lane may take before its first answer. */
export const UNANSWERED_MAX = 8
/** A lane that has answered nothing for at least this long, while another one did, is stalled. */
export const STALL_MS_MIN = 1000
export const STALL_ROUND_TRIPS = 4
/** How much longer than an answer may take all lanes must have waited before a further one is wanted. */
export const STUCK_MS = 60
/** The same before the first answer: what opened the call may fill a narrow pipe, and a handshake would fill it up. */
export const STUCK_MS_UNKNOWN = 1000
/** So many frames dropped within so long, with answers in between, show a full pipe whatever its delay was before. */
export const OVERFLOWS = 3
export const OVERFLOW_MS = 1000
/**
 * Two copies on a lane, or their answers, that arrive within so long, sent so much apart, were held by a loss and let
 * go at once: a pipe narrow enough to fill up lets them out one after the other.
 */
export const TOGETHER_MS = 5
export const APART_MS = 20
/** When no lane has answered for this and a round trip and a half, the network under all of them is in doubt. */
export const SILENCE_MS = 700
/** How far behind the newest frame a receiver still tells a copy from a frame. */
export const WINDOW_FRAMES = 1024
