// Generated from src/ringthrough/protocol/notes.py by tools/generate_web.py: change that file, not this one.

/** A second is bad when so much of it is lost or late, in either direction. */
export const BAD_PERCENT = 15
/** Or so much, although playout already waits `DELAY_MS_BAD`. */
export const BAD_PERCENT_DELAYED = 5
export const DELAY_MS_BAD = 500
/** A second is good when no more than this is lost or late: one packet of the lean profile. */
export const GOOD_PERCENT = 12
/** Or no more than this, that is none, while playout waits `DELAY_MS_BAD`. */
export const GOOD_PERCENT_DELAYED = 2
export const WINDOW_SECONDS = 20
export const PERCENT_BAD = 20
/**
 * When the seconds of the window add up to so much, speech is given up: each counts what was lost or late in its
 * worse direction, a bad one `PERCENT_BAD`. Losses at random leave most seconds good, and yet nobody can talk.
 */
export const PERCENT_SUM = 120
/** So many good ones in a row, and it is tried again. */
export const GOOD_SECONDS = 5
/** Not sooner than this after it was given up, twice as long each time it is given up again, up to `REST_MS_MAX`. */
export const REST_MS = 5000
export const REST_MS_MAX = 60_000
/** Speech that went on for so long counts as a fresh start. */
export const STEADY_MS = 60_000
/** Seconds further apart than this were not watched: the device itself was stopped, and nothing is known of them. */
export const STOPPED_MS = 2500
/**
 * Something is said at least this often while speech is given up, so that the other side knows it, and that there is
 * somebody.
 */
export const PRESENCE_MS = 8000

/** How a call goes. */
export const Mode = {
  INTERACTIVE: 0,
  NOTES: 1,
} as const
export type Mode = (typeof Mode)[keyof typeof Mode]
