// Generated from src/ringthrough/protocol/verdicts.py by tools/generate_web.py: change that file, not this one.

/** A condition is told for so long after it was last measured: words that flicker help nobody. */
export const RECENT_MS = 10_000
/** What happened once is told for so long. */
export const EVENT_MS = 60_000
/** A round trip to the server from which on people fall into each other's words. */
export const FAR_MS = 300
/** What is missed may be told so long before the silence that it began with. */
export const BREAK_MS = 2000
/** For so long after a break, what was lost with it still looks like a way that loses packets. */
export const AFTER_BREAK_MS = 20_000
/**
 * Less is sent for so long before it is laid to the other side: it is also for up to 5 s, until either end has found
 * out whether short packets made answers late.
 */
export const NARROW_THERE_MS = 6000
/** Before so much of the call was measured nothing is said to be clear. */
export const WARM_UP_MS = 3000

/** What is in the way; the first that holds heads the call screen. */
export const Verdict = {
  SILENT: "silent",
  FROZEN: "frozen",
  COUNTED: "counted",
  NARROW: "narrow",
  LOSSY: "lossy",
  RECONNECTED: "reconnected",
  IDLE_CUT: "idle_cut",
  LANE_LOST: "lane_lost",
  DIRECT_LOST: "direct_lost",
  NARROW_THERE: "narrow_there",
  FAR: "far",
  DIRECT_DEGRADED: "direct_degraded",
  DIRECT_KEYS_BLOCKED: "direct_keys_blocked",
  DIRECT_BLOCKED: "direct_blocked",
  CLEAR: "clear",
} as const
export type Verdict = (typeof Verdict)[keyof typeof Verdict]

/** The direct way between the two devices (UDP), as its carrier tells. */
export const Direct = {
  OFF: "off",
  TRYING: "trying",
  OPEN: "open",
  BLOCKED: "blocked",
  KEYS_BLOCKED: "keys_blocked",
  DEGRADED: "degraded",
} as const
export type Direct = (typeof Direct)[keyof typeof Direct]

/** Two sentences for people: what is the matter, and what the program does about it. */
export const WORDS = {
  silent: { matter: "Nothing passes at the moment.", remedy: "New connections are tried, one a second; the call goes on when one answers." },
  frozen: { matter: "This network freezes each connection after a few kilobytes.", remedy: "Each connection is replaced before it freezes." },
  counted: { matter: "This network cuts connections when there are too many.", remedy: "No more are opened than it lets live." },
  narrow: { matter: "This connection is narrow: what is sent waits in a queue.", remedy: "Nothing is sent twice, and the sound takes less." },
  lossy: { matter: "Packets get lost on the way.", remedy: "The sound is sent more than once, over several connections." },
  reconnected: { matter: "The connection broke off and was made anew, as when a device changes its network.", remedy: "The call went on over the new connection." },
  idle_cut: { matter: "This network forgets connections that are silent for some seconds.", remedy: "None is left silent for so long." },
  lane_lost: { matter: "A connection fell silent or was cut.", remedy: "The call went on over another one." },
  direct_lost: { matter: "Direct UDP passed at first and then fell silent.", remedy: "The call went on through the message connection." },
  narrow_there: { matter: "The other side's connection is narrow.", remedy: "The sound takes less, so that it fits there." },
  far: { matter: "The way to the server and back is long.", remedy: "Nothing can shorten it; wait a moment before you reply." },
  direct_degraded: { matter: "Direct UDP passes here, but badly.", remedy: "The call is carried by the message connection, which is left alone." },
  direct_keys_blocked: { matter: "Direct UDP passes here, but the exchange of its keys (DTLS) does not.", remedy: "The call is carried by the message connection." },
  direct_blocked: { matter: "Direct UDP does not pass here.", remedy: "The call is carried by the message connection." },
  clear: { matter: "Nothing is in the way.", remedy: "Nothing needs to be done." },
} as const

export const DIRECT_VERDICTS: { readonly [D in Direct]?: Verdict } = {
  blocked: "direct_blocked",
  keys_blocked: "direct_keys_blocked",
  degraded: "direct_degraded",
}

/** What a verdict explains is not told beside it, nor after it. */
export const EXPLAINS: { readonly [V in Verdict]?: readonly Verdict[] } = {
  frozen: ["lane_lost", "reconnected", "idle_cut"],
  counted: ["lane_lost"],
  idle_cut: ["lane_lost"],
  narrow: ["lossy", "far", "lane_lost", "narrow_there"],
  lossy: ["lane_lost"],
  direct_degraded: ["direct_lost"],
}
