// Generated from src/ringthrough/protocol/carriers.py by tools/generate_web.py: change that file, not this one.

/** So long everything goes both ways before the better one is taken. */
export const OVERLAP_MS = 2000
export const OVERLAP_FRAMES_MIN = 15
/** A direct channel that answered nothing for so long is lost; ICE would notice after 15 s. */
export const SILENT_MS = 300
/** Bounds of the time after which an unanswered frame goes on the lanes. */
export const LATE_MS_MIN = 60
export const LATE_MS_MAX = 250
/** After so many late frames in a row everything goes both ways. */
export const LATE_RUN_MAX = 2
export const IN_TIME_SHARE_MIN = 0.93
/** Share of frames answered in time, below which the channel is not taken, and is left again. */
export const IN_TIME_SHARE_MIN_TAKEN = 0.9
/** By how much the direct channel may be slower than the lanes and still be taken: it costs the server nothing. */
export const BEHIND_MS_MAX = 10
/** A channel that was worse is measured again after the first, twice as late each further time, up to the second. */
export const REST_MS = 10_000
export const REST_MS_MAX = 120_000
/** One that was left because there was no room for both ways is measured again so long after there was. */
export const ROOM_REST_MS = 3000
export const FRAME_AGE_MS_MAX = 1000
/** A device that was itself stopped for so long finds answers waiting: it looks at them before it judges. */
export const STOPPED_MS = 150
export const ARRIVALS_KEPT = 256
/** An attempt that has opened nothing by then has failed. */
export const ATTEMPT_MS_MAX = 8000
export const RETRY_MS = 10_000
export const RETRY_MS_MAX = 120_000
/** A channel that lived so long was good: its loss is followed by another attempt after `RETRY_MS`. */
export const STEADY_MS = 30_000

/** Where frames go. */
export const Way = {
  LANES: 0,
  BOTH: 1,
  DIRECT: 2,
} as const
export type Way = (typeof Way)[keyof typeof Way]

/** What to do about the direct channel now. */
export const Step = {
  NONE: 0,
  BEGIN: 1,
  GIVE_UP: 2,
} as const
export type Step = (typeof Step)[keyof typeof Step]
