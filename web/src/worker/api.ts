/**
 * What the page asks of the worker, and what it learns from it.
 *
 * Only structured-cloneable data crosses, and nothing secret: keys, tokens and MLS state stay behind this line.
 * Ids are strings of lower-case hexadecimal. Times are Unix seconds by the server's clock unless the name ends in Ms.
 */

export type ConversationId = string
export type MessageId = string
export type AccountId = string
export type CallId = string

/**
 * `verified`: the safety number was compared, and the key is still that one. `changed`: another key came up under their
 * name after we had met them.
 */
export type Trust = "unverified" | "verified" | "changed"

/** Somebody, as they are shown. `address` is `@handle`, or `@handle@host` for people of other servers. */
export interface Person {
  readonly accountId: AccountId
  readonly address: string
  readonly isMe: boolean
  readonly trust: Trust
}

/** Who this browser profile is. */
export interface OwnAccount {
  readonly accountId: AccountId
  readonly handle: string
  readonly address: string
  readonly serverOrigin: string
  /** For the QR code and the link others open: `https://host/#/@handle`. */
  readonly link: string
}

/** The one line about the connection. `offline` comes with what to expect; `elsewhere`: another tab holds it. */
export type ConnectionState =
  | { readonly kind: "connecting" }
  | { readonly kind: "online" }
  | { readonly kind: "offline"; readonly reason: string }

/** `request`: a stranger wrote first, and nothing has been sent back to them yet. */
export type ConversationStatus = "creating" | "active" | "request" | "left"

export interface ConversationView {
  readonly id: ConversationId
  readonly isDirect: boolean
  /** The other person's address, or the group's title. */
  readonly title: string
  readonly status: ConversationStatus
  readonly members: readonly Person[]
  readonly unread: number
  /** What was said last; empty after a call, which `lastCall` tells of. */
  readonly lastText: string
  readonly lastCall: CallLine | null
  readonly lastTimeS: number
  /** Addresses of those who type now. */
  readonly typing: readonly string[]
}

/** `waiting`: kept here, not on the server yet. `sent`: on the server. `delivered`: on every other member's device. */
export type Delivery = "waiting" | "sent" | "delivered" | "received"

export interface ReactionView {
  readonly text: string
  readonly count: number
  readonly mine: boolean
}

export interface FileView {
  readonly name: string
  readonly contentType: string
  readonly bytes: number
}

export type CallOutcome =
  | "answered" | "missed" | "declined" | "busy" | "unanswered" | "answered_elsewhere" | "failed" | "no_audio"

/** A call that is over, as its line in the conversation tells it. `seconds`: how long it lasted, 0 when nobody answered. */
export interface CallLine {
  readonly outgoing: boolean
  readonly outcome: CallOutcome
  readonly seconds: number
}

/** One line of a conversation. `body.kind` decides how it is shown. */
export interface MessageView {
  readonly id: MessageId
  readonly conversation: ConversationId
  /** Place in the conversation: grows by one; what waits comes last. */
  readonly order: number
  readonly sender: Person
  readonly timeS: number
  readonly delivery: Delivery
  readonly edited: boolean
  readonly replyTo: { readonly id: MessageId; readonly sender: string; readonly text: string } | null
  readonly reactions: readonly ReactionView[]
  readonly body:
    | { readonly kind: "text"; readonly text: string }
    | { readonly kind: "file"; readonly file: FileView; readonly caption: string }
    /** Said in a call that could not carry it as speech; `fetchNote` has the sound. */
    | { readonly kind: "note"; readonly seconds: number }
    | ({ readonly kind: "call" } & CallLine)
    | { readonly kind: "members"; readonly text: string }
    | { readonly kind: "deleted" }
    | { readonly kind: "unknown" }
}

/** A page of messages, oldest first. `more` says that older ones exist. */
export interface MessagePage {
  readonly messages: readonly MessageView[]
  readonly more: boolean
}

export type CallPhase = "calling" | "ringing_there" | "ringing_here" | "connecting" | "in_call" | "ended"

/** How a call goes to the server and back, from what its connections measure. */
export interface WayView {
  /** How much redundancy it gets: `lean` none, against a narrow pipe; `boost` and `heavy` two and three copies against loss. */
  readonly level: "lean" | "normal" | "boost" | "heavy"
  /** Connections that carry it now. */
  readonly lanes: number
  /** By how much even the fastest copies are slower than the way can be. */
  readonly queueingMs: number
  /** Share of copies that were not answered in time, 0 to 1. */
  readonly missShare: number
  /** To the server and back. */
  readonly roundTripMs: number
  /** Connections opened for it so far, the message connection counted. */
  readonly lanesOpened: number
}

/** What is in the call's way (docs/spec/verdicts.md), and two sentences: what is the matter, what is done about it. */
export interface VerdictView {
  readonly verdict: string
  readonly matter: string
  readonly remedy: string
}

/** One second of a call. */
export interface TracePoint {
  readonly roundTripMs: number
  /** Share of the peer's sound that had to be invented, 0 to 1. */
  readonly lostShare: number
}

/** Voice notes of a call: what is said goes by them while nothing interactive passes (docs/spec/media.md section 9). */
export interface NotesView {
  /** False when talking has begun to work again. */
  readonly on: boolean
  /** The button is held; for so long. */
  readonly speaking: boolean
  readonly spokenMs: number
  /** Notes of ours that are not on the server yet. */
  readonly unsent: number
  /** Notes of the peer that are heard now, or next. */
  readonly playing: number
}

/** The direct channel beside the lanes. `blocked`: tried in vain, or not wanted by the other side. */
export interface DirectView {
  readonly state: "off" | "trying" | "open" | "blocked"
  /** Two for people: what follows "Through the message connection", and a sentence about the direct one. */
  readonly clause: string
  readonly why: string
  /** What is said goes on it alone. */
  readonly carries: boolean
  /** Frames sent on each way since the call began; while both are compared, on both. */
  readonly framesDirect: number
  readonly framesLanes: number
}

export type Quality = "good" | "fair" | "poor" | "unknown"

export interface CallView {
  readonly id: CallId
  readonly conversation: ConversationId
  readonly peer: Person | null
  readonly incoming: boolean
  readonly phase: CallPhase
  readonly muted: boolean
  /** When sound began, or null. */
  readonly sinceMs: number | null
  /** What carries the call and why, a sentence for people. */
  readonly carrier: string
  /** Null until sound is on its way. */
  readonly way: WayView | null
  /** What is in its way, the one that matters most first; empty while too little was measured. */
  readonly verdicts: readonly VerdictView[]
  /** The last minute, the oldest second first. */
  readonly trace: readonly TracePoint[]
  /** Packets that were damaged, repeated, forged or of a key that we do not have; nothing of them was played. */
  readonly ignored: number
  /** Null while it carries speech, and did for a while. */
  readonly notes: NotesView | null
  /** Null until sound is on its way. */
  readonly direct: DirectView | null
  /** How well we hear the other side, and it us. */
  readonly quality: Quality
  readonly qualityThere: Quality
  /** Why it ended, in words for people; empty until then. */
  readonly ended: string
}

/** One row of "what the server knows about me", made from the server's real schema. */
export interface ServerKnowledge {
  readonly what: string
  readonly why: string
  readonly until: string
  /** The value it holds about this account, as far as it can be shown. */
  readonly value: string
}

export interface CallHistoryEntry extends CallLine {
  readonly conversation: ConversationId
  readonly peer: string
  readonly timeS: number
}

/** One part of a network check. `values` are counts, bytes and milliseconds, by name. */
export interface CheckStep {
  readonly name: "connection" | "lanes" | "rhythm" | "bytes" | "idle"
  readonly state: "waiting" | "running" | "done" | "failed" | "left_out"
  readonly values: Readonly<Record<string, number>>
}

export interface NetworkCheckView {
  readonly running: boolean
  readonly done: number
  readonly total: number
  readonly steps: readonly CheckStep[]
  /** Empty until all was measured, and where nothing was found but a step failed. */
  readonly verdicts: readonly VerdictView[]
}

/** A failure to show: `what` happened and what to do `next`. */
export interface Fault {
  readonly code: string
  readonly what: string
  readonly next: string
}

/** Everything the page may ask. A rejected promise carries a `Fault`. */
export interface Engine {
  account(): Promise<OwnAccount | null>
  createAccount(handle: string): Promise<OwnAccount>
  connectionState(): Promise<ConnectionState>

  conversations(): Promise<readonly ConversationView[]>
  /** `@handle` or `@handle@host`; makes the conversation when there is none. */
  conversationWith(address: string): Promise<ConversationId>
  createGroup(title: string, addresses: readonly string[]): Promise<ConversationId>
  addMembers(conversation: ConversationId, addresses: readonly string[]): Promise<void>
  removeMember(conversation: ConversationId, accountId: AccountId): Promise<void>
  acceptRequest(conversation: ConversationId): Promise<void>
  refuseRequest(conversation: ConversationId): Promise<void>

  /** The newest messages below `before` (an order), or the newest of all. */
  messages(conversation: ConversationId, before: number | null, limit: number): Promise<MessagePage>
  sendText(conversation: ConversationId, text: string, replyTo: MessageId | null): Promise<MessageId>
  editText(message: MessageId, text: string): Promise<void>
  deleteMessage(message: MessageId): Promise<void>
  /** An empty text takes the reaction back. */
  react(message: MessageId, text: string): Promise<void>
  /** Progress comes as `transfer` events with the returned id. */
  sendFile(conversation: ConversationId, file: File, caption: string): Promise<MessageId>
  fetchFile(message: MessageId): Promise<Blob>
  /** The Opus packets of a voice note, in their order. */
  fetchNote(message: MessageId): Promise<readonly Uint8Array[]>
  typing(conversation: ConversationId): Promise<void>
  markRead(conversation: ConversationId): Promise<void>

  /** Sixty digits, the same on both sides. */
  safetyNumber(account: AccountId): Promise<string>
  /**
   * Remembers that the other side shows `number` too. When ours is another one, any earlier verification is taken back
   * and the promise rejects with `numbers_differ`. `null` takes it back, and a warning with it.
   */
  verify(account: AccountId, number: string | null): Promise<void>
  /** Tries each kind of connection with the own server; `check` events tell how far it is. */
  checkNetwork(withPause: boolean): Promise<void>
  stopCheck(): Promise<void>
  serverKnows(): Promise<readonly ServerKnowledge[]>
  deleteAccount(): Promise<void>

  placeCall(conversation: ConversationId): Promise<CallId>
  answerCall(call: CallId): Promise<void>
  declineCall(call: CallId): Promise<void>
  hangUp(call: CallId): Promise<void>
  mute(call: CallId, muted: boolean): Promise<void>
  /** While the call goes by voice notes: the button is pressed, or released. */
  speak(call: CallId, speaking: boolean): Promise<void>
  callHistory(): Promise<readonly CallHistoryEntry[]>
  /** Ports to the capture and the playout worklet of this tab's call (see audio/ports.ts). */
  attachAudio(call: CallId, capture: MessagePort, playout: MessagePort): Promise<void>
  /** The page's half of a direct channel (worker/direct-ports.ts), or why there is none: the person hides their address, or the browser has no WebRTC. */
  attachDirect(call: CallId, peer: MessagePort | "hidden" | "unable"): Promise<void>
}

/** What the worker says unasked. */
export type EngineEvent =
  | { readonly kind: "connection"; readonly state: ConnectionState }
  | { readonly kind: "account"; readonly account: OwnAccount | null }
  | { readonly kind: "conversations"; readonly conversations: readonly ConversationView[] }
  /** These messages are new or changed; those in `removed` are gone. */
  | {
      readonly kind: "messages"
      readonly conversation: ConversationId
      readonly changed: readonly MessageView[]
      readonly removed: readonly MessageId[]
    }
  | { readonly kind: "transfer"; readonly message: MessageId; readonly done: number; readonly total: number }
  | { readonly kind: "call"; readonly call: CallView }
  | { readonly kind: "check"; readonly check: NetworkCheckView }
  | { readonly kind: "fault"; readonly fault: Fault }
