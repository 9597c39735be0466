// Generated from src/ringthrough/e2ee/content/calls.py by tools/generate_web.py: change that file, not this one.

export const CALL_MEDIA_TYPE = "application/vnd.ringthrough.call+cbor"
export const CALL_VERSION = 1
/** The number of a kind on the wire is its place here. */
export const KINDS = ["offer", "ringing", "answer", "decline", "busy", "hangup"] as const
/** The number of a reason on the wire is its place here. */
export const HANGUP_REASONS = ["hung_up", "unanswered", "declined", "busy", "answered_elsewhere", "glare", "no_audio", "failed"] as const

/** The one way to talk that this version offers. */
export const MEDIA_DEFAULT = {
  codec: "opus",
  sampleRateHz: 48_000,
  channels: 1,
  frameMs: 60,
  bitrateBps: 12_000,
  sframeSuite: 4,
  frameBytes: 160,
} as const
