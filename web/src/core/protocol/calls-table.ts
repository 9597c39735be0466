// Generated from src/ringthrough/protocol/calls.py by tools/generate_web.py: change that file, not this one.

export const CALL_ID_BYTES = 16
/** How long a call rings, on both sides. */
export const OFFER_LIFETIME_MS = 60_000
/** How far two devices' ideas of the server's clock may be apart before an offer counts as expired. */
export const CLOCK_SKEW_MS = 10_000
/** A call in which no authentic frame arrived for this long ends. */
export const NO_AUDIO_MS = 20_000

/** Where a call stands on this device. */
export const State = {
  IDLE: "idle",
  CALLING: "calling",
  RINGING: "ringing",
  INCOMING: "incoming",
  IN_CALL: "in_call",
  ENDED: "ended",
} as const
export type State = (typeof State)[keyof typeof State]

/** Kinds of call events that devices send to one another. */
export const Kind = {
  OFFER: "offer",
  RINGING: "ringing",
  ANSWER: "answer",
  DECLINE: "decline",
  BUSY: "busy",
  HANGUP: "hangup",
} as const
export type Kind = (typeof Kind)[keyof typeof Kind]

/** Why a device says that a call is over. */
export const HangupReason = {
  HUNG_UP: "hung_up",
  UNANSWERED: "unanswered",
  DECLINED: "declined",
  BUSY: "busy",
  ANSWERED_ELSEWHERE: "answered_elsewhere",
  GLARE: "glare",
  NO_AUDIO: "no_audio",
  FAILED: "failed",
} as const
export type HangupReason = (typeof HangupReason)[keyof typeof HangupReason]

/** Why the call ended, as the person on this device is told. Closed list. */
export const EndReason = {
  HUNG_UP: "hung_up",
  REMOTE_HUNG_UP: "remote_hung_up",
  DECLINED: "declined",
  BUSY: "busy",
  MISSED: "missed",
  UNANSWERED: "unanswered",
  ANSWERED_ELSEWHERE: "answered_elsewhere",
  NO_AUDIO: "no_audio",
  FAILED: "failed",
  EXPIRED_OFFER: "expired_offer",
} as const
export type EndReason = (typeof EndReason)[keyof typeof EndReason]

/** Everything that may happen to a call. */
export const Input = {
  PLACE: "place",
  ACCEPT: "accept",
  REFUSE: "refuse",
  HANG_UP: "hang_up",
  FAIL: "fail",
  OFFER: "remote offer",
  RINGING: "remote ringing",
  ANSWER: "remote answer",
  DECLINE: "remote decline",
  BUSY: "remote busy",
  HANGUP: "remote hangup",
  FRAME: "frame opened",
  AUDIO: "audio heard",
  TIMER: "timer",
} as const
export type Input = (typeof Input)[keyof typeof Input]

/** What a caller's hangup means to a device that rings. */
export const ENDED_WHILE_RINGING = {
  hung_up: "missed",
  unanswered: "missed",
  declined: "declined",
  busy: "missed",
  answered_elsewhere: "answered_elsewhere",
  glare: "answered_elsewhere",
  no_audio: "missed",
  failed: "missed",
} as const satisfies Record<HangupReason, EndReason>

/** What the peer's hangup means to a device that talks. */
export const ENDED_IN_CALL = {
  hung_up: "remote_hung_up",
  unanswered: "missed",
  declined: "answered_elsewhere",
  busy: "answered_elsewhere",
  answered_elsewhere: "answered_elsewhere",
  glare: "remote_hung_up",
  no_audio: "no_audio",
  failed: "failed",
} as const satisfies Record<HangupReason, EndReason>

/** In `state`, if `when` holds, `what` leads to `then` by `steps`. The first row that fits is taken. */
export const TRANSITIONS = [
  ["idle", "place", "", "calling", ["send offer", "time offer"]],
  ["idle", "remote offer", "from an own device", "idle", []],
  ["idle", "remote offer", "expired", "ended", ["take call", "end expired_offer"]],
  ["idle", "remote offer", "", "incoming", ["take call", "send ringing", "ring", "time ringing"]],
  ["calling", "remote ringing", "this call, from another account", "ringing", ["show ringing"]],
  ["calling", "remote answer", "this call, from another account", "in_call", ["take peer", "note answer", "start audio"]],
  ["calling", "frame opened", "this call, from another account", "in_call", ["show ringing", "take peer", "start audio"]],
  ["calling", "remote decline", "this call, from another account", "ended", ["send hangup declined", "end declined"]],
  ["calling", "remote busy", "this call, from another account", "ended", ["send hangup busy", "end busy"]],
  ["calling", "remote offer", "same conversation, lower call id", "in_call", ["send hangup glare", "take call", "send answer", "start audio"]],
  ["calling", "remote offer", "same conversation, higher call id", "calling", []],
  ["calling", "remote offer", "another call", "calling", ["send busy"]],
  ["calling", "hang_up", "", "ended", ["send hangup hung_up", "end hung_up"]],
  ["calling", "fail", "", "ended", ["send hangup failed", "end failed"]],
  ["calling", "timer", "", "ended", ["send hangup unanswered", "end unanswered"]],
  ["ringing", "remote ringing", "this call, from another account", "ringing", []],
  ["ringing", "remote answer", "this call, from another account", "in_call", ["take peer", "note answer", "start audio"]],
  ["ringing", "frame opened", "this call, from another account", "in_call", ["take peer", "start audio"]],
  ["ringing", "remote decline", "this call, from another account", "ended", ["send hangup declined", "end declined"]],
  ["ringing", "remote busy", "this call, from another account", "ended", ["send hangup busy", "end busy"]],
  ["ringing", "remote offer", "same conversation, lower call id", "in_call", ["send hangup glare", "take call", "send answer", "start audio"]],
  ["ringing", "remote offer", "same conversation, higher call id", "ringing", []],
  ["ringing", "remote offer", "another call", "ringing", ["send busy"]],
  ["ringing", "hang_up", "", "ended", ["send hangup hung_up", "end hung_up"]],
  ["ringing", "fail", "", "ended", ["send hangup failed", "end failed"]],
  ["ringing", "timer", "", "ended", ["send hangup unanswered", "end unanswered"]],
  ["incoming", "accept", "", "in_call", ["stop ringing", "send answer", "start audio"]],
  ["incoming", "refuse", "", "ended", ["stop ringing", "send decline", "end declined"]],
  ["incoming", "hang_up", "", "ended", ["stop ringing", "send decline", "end declined"]],
  ["incoming", "fail", "", "ended", ["stop ringing", "end failed"]],
  ["incoming", "remote hangup", "this call, from the peer, to this device or all", "ended", ["stop ringing", "end as told while ringing"]],
  ["incoming", "remote answer", "this call, not from the peer", "ended", ["stop ringing", "end answered_elsewhere"]],
  ["incoming", "remote decline", "this call, from an own device", "ended", ["stop ringing", "end declined"]],
  ["incoming", "remote offer", "same conversation, another call of the ringing device", "incoming", ["take call", "send ringing", "time ringing"]],
  ["incoming", "remote offer", "another call", "incoming", ["send busy"]],
  ["incoming", "timer", "", "ended", ["stop ringing", "end missed"]],
  ["in_call", "hang_up", "", "ended", ["stop audio", "send hangup hung_up", "end hung_up"]],
  ["in_call", "fail", "", "ended", ["stop audio", "send hangup failed", "end failed"]],
  ["in_call", "remote hangup", "this call, from the peer, to this device or all", "ended", ["stop audio", "end as told in call"]],
  ["in_call", "remote answer", "this call, from the peer, whose answer is to come", "in_call", ["note answer"]],
  ["in_call", "remote answer", "this call, from another account, not the peer, this device called", "in_call", ["send hangup answered_elsewhere to it"]],
  ["in_call", "remote offer", "same conversation, higher call id, from the peer, whose answer is to come", "in_call", []],
  ["in_call", "remote offer", "another call", "in_call", ["send busy"]],
  ["in_call", "audio heard", "", "in_call", ["time audio"]],
  ["in_call", "timer", "", "ended", ["stop audio", "send hangup no_audio", "end no_audio"]],
] as const
