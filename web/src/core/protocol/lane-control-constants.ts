// Generated from src/ringthrough/protocol/lane_control.py by tools/generate_web.py: change that file, not this one.

export const UINT32_MAX = 4_294_967_295
export const ROUND_TRIP_MS_UNKNOWN = 200
export const ROUND_TRIP_WINDOW_MS = 2000
/** However short the way, an answer may take so long: a busy device, at either end, is not a loss. */
export const RESEND_AFTER_MS_MIN = 45
export const MISS_WINDOW_MS = 4000
/** So many copies, or so many missed ones, tell what share is missed. */
export const MISS_SAMPLES_MIN = 20
export const MISSES_MIN = 5
export const BOOST_ABOVE = 0.09
export const BOOST_BELOW = 0.05
/** Shares of missed copies at which a level is entered and left. */
export const HEAVY_ABOVE = 0.32
export const HEAVY_BELOW = 0.26
/** Fewer could be missed by chance at half the loss. */
export const HEAVY_MISSES_MIN = 13
/** A lean hop that misses more than this is no narrow one. */
export const LOSSY_ABOVE = 0.25
/** How long the share must be below before a level is left. */
export const CALM_MS = 10_000
export const DELAY_WINDOW_MS = 600
export const BASE_WINDOW_MS = 30_000
export const QUEUEING_MS = 40
export const QUEUEING_MS_SEVERE = 150
export const QUEUEING_MS_OVER = 20
/** What may wait in the pipe. More would be heard too late. */
export const QUEUED_MS_MAX = 400
export const SUSTAINED_MS = 500
export const SUSTAINED_MS_SEVERE = 300
/** A queue delays one copy after another; where fewer have told of it, a loss may have held them all. */
export const QUEUED_SAMPLES_MIN = 3
export const PROBATION_MS = 3000
export const PROBATION_WINDOW_MS = 250
/** A level just entered is left again at the first sign of a queue, before anybody hears it. */
export const PROBATION_SUSTAINED_MS = 200
/** After a step down, what made the queue is still in it: the next step waits for so long. */
export const DRAIN_MS = 1000
/** For so long after a lane began to open, queueing is laid to its handshake. */
export const EXCUSED_MS = 1500
/** Only below this much queueing do late answers tell of loss. */
export const CLEAR_MS = 15
export const HOLD_MS_MAX = 240_000
/** Share of a hold that is kept where more than `LOSSY_ABOVE` is missed. */
export const LOSSY_HOLD_SHARE = 0.2
/** A lean hop whose delay neither falls nor grows for so long has a new ordinary delay: the way changed. */
export const SETTLED_MS = 3000
export const SETTLED_SPREAD_MS = 15
export const NARROW_HEARD_MS = 2000
/** Where one answer stands for several frames: for so many, at the latest after so long. */
export const SPARING_FRAMES = 3
export const SPARING_MS = 360
/** When nothing was missed, queued or changed for so long, short packets are tried: while it still rings. */
export const SHORT_AFTER_MS = 600
/** So many frames within so long are those of short packets. */
export const SHORT_FRAMES = 6
export const SHORT_FRAMES_MS = 200
/** For so long after the last of them, a queue is laid to them. */
export const SHORT_RECENT_MS = 1000
/**
 * From so many missed copies on, above this share, they are left: late answers are the first sign of a queue, and the
 * repair of a loss takes longer than they spare.
 */
export const SHORT_MISSES_MIN = 2
export const SHORT_MISSES_MAX = 0.03
/** For so long less is sent after short packets may have filled the pipe: a queue has time to show, and to go. */
export const SHORT_DRAIN_MS_MIN = 400
export const SHORT_DRAIN_MS_MAX = 3000
/**
 * They are tried again so long after they were first left, where no queue was seen: a device that has just answered a
 * call is busy for a moment.
 */
export const SHORT_AGAIN_MS = 3000
/** And so long after a queue, or the next time; twice as long each further time, up to `HOLD_MS_MAX`. */
export const HOLD_SHORT_MS = 60_000
/** When nothing was missed, queued or changed for so long, answers are spared. */
export const QUIET_MS = 4000

/** How much redundancy the hop gets. */
export const Level = {
  LEAN: 0,
  NORMAL: 1,
  BOOST: 2,
  HEAVY: 3,
} as const
export type Level = (typeof Level)[keyof typeof Level]

/** `copies` of each frame at once, up to `resends` more when answers are late; `lanes` are worth having. */
export const PLANS = {
  [Level.LEAN]: { copies: 1, resends: 0, lanes: 1 },
  [Level.NORMAL]: { copies: 1, resends: 2, lanes: 2 },
  [Level.BOOST]: { copies: 2, resends: 2, lanes: 4 },
  [Level.HEAVY]: { copies: 3, resends: 2, lanes: 6 },
} as const

/** See HOLD_MS_MAX. */
export const HOLD_MS_MIN = {
  [Level.NORMAL]: 120_000,
  [Level.BOOST]: 15_000,
  [Level.HEAVY]: 15_000,
} as const
