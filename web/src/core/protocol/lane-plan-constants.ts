// Generated from src/ringthrough/protocol/lane_plan.py by tools/generate_web.py: change that file, not this one.

/** No lane is opened before the call is so old. */
export const FIRST_DIAL_MS = 500
/**
 * The spare lane of a call that needs none is opened when it is so old: a narrow pipe has shown itself by then.
 * Before any sound, while it rings, nothing speaks against opening it at once.
 */
export const SPARE_MS = 3000
/** What a call has that needs no more than one. */
export const SPARE_LANES = 2
/** Between two openings. */
export const DIAL_GAP_MS = 1000
export const DIALS_AT_ONCE = 2
/**
 * A handshake that takes longer is not waited for: losses hold it up, and another may be through before. Longer than
 * queueing is laid to it, so that a pipe too narrow for it shows itself first.
 */
export const DIAL_HANGS_MS = 2000
/** While it rings, there is no sound that one handshake more could delay. */
export const DIAL_HANGS_MS_RINGING = 1000
/** Stalled ones counted: networks that count connections begin at more. */
export const LANES_OPEN_MAX = 6
/** What a server sends before the first frame; it counts where connections are frozen by bytes. */
export const HANDSHAKE_BYTES = 4000
/** A lane that was stalled for so long is left; until then loss may be all that ails it. */
export const DEAD_MS = 3000
export const FREEZE_BYTES_MIN = 6000
export const FREEZE_BYTES_MAX = 64_000
/**
 * Two lanes that died after nearly as many bytes within these may have been frozen by rule, not by chance; then no
 * lane receives more than so much above them.
 */
export const FREEZE_SPREAD = 0.25
/** For so long it is known how stalled lanes ended; a device may be on another network later. */
export const STALLS_KEPT_MS = 60_000
/** Share of the bytes that froze a lane, after which another takes its place. */
export const WEAR_SHARE = 0.5
export const EARLY_END_MS = 3000
/** After so many lanes that were reset this soon while others lived, the network counts connections. */
export const EARLY_ENDS_MAX = 2
/** One connection more than are let live is tried after so long, twice as long after each that is reset. */
export const COUNTED_MS_MIN = 10_000
export const COUNTED_MS_MAX = 120_000
/** For so long after a lane died by itself, a reset connection tells of the same trouble and not of a limit. */
export const OUTAGE_MS = 10_000
