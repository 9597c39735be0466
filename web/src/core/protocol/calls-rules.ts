// What the conditions and steps of the call table mean. The compiler refuses a table that names one not written here.
import type { Brand } from "../brand.js"
import { compareBytes, equalBytes } from "../bytes.js"
import {
  CLOCK_SKEW_MS,
  ENDED_IN_CALL,
  ENDED_WHILE_RINGING,
  EndReason,
  HangupReason,
  type Input,
  Kind,
  NO_AUDIO_MS,
  OFFER_LIFETIME_MS,
  type State,
  type TRANSITIONS,
} from "./calls-table.js"

/** 16 random bytes, chosen by the caller. */
export type CallId = Brand<Uint8Array, "CallId">
/** Names the conversation to the shell; compared, never read. */
export type ConversationId = Brand<Uint8Array, "ConversationId">
/** A device's place in the conversation's group. */
export type LeafIndex = Brand<number, "LeafIndex">

/**
 * A call event from another device, already authenticated.
 *
 * `leaf` is the device that sent it and `own` whether it belongs to this device's account. `sentMs` is when an offer was
 * made. `reason` goes with a hangup; `toLeaf` limits a hangup to one device, null means all.
 */
export interface CallEvent {
  readonly kind: Kind
  readonly callId: CallId
  readonly conversation: ConversationId
  readonly leaf: LeafIndex
  readonly own: boolean
  readonly sentMs: number
  readonly reason: HangupReason
  readonly toLeaf: LeafIndex | null
}

/** Send a call event in `conversation`, as a stored, acknowledged message. */
export interface Send {
  readonly action: "send"
  readonly kind: Kind
  readonly callId: CallId
  readonly conversation: ConversationId
  readonly reason: HangupReason | null
  readonly toLeaf: LeafIndex | null
}

export type Action =
  | Send
  /** Derive the call's keys, open the microphone, send to and play from `peer`. */
  | { readonly action: "start_audio"; readonly callId: CallId; readonly peer: LeafIndex }
  /** Close the microphone and forget the call's keys. */
  | { readonly action: "stop_audio" }
  /** Ring on this device. */
  | { readonly action: "ring"; readonly callId: CallId }
  /** Be quiet. */
  | { readonly action: "stop_ringing" }
  /** A device of the other side has confirmed that it rings; only now may the caller be told so. */
  | { readonly action: "show_ringing" }
  /** The call is over on this device. Always the last action of a call. */
  | { readonly action: "ended"; readonly reason: EndReason }
  /** The input has no place in this state and changed nothing: late, doubled, forged or impossible. */
  | { readonly action: "refused"; readonly what: Input }

/** The call as the machine holds it; steps change it. */
export interface Call {
  state: State
  callId: CallId
  conversation: ConversationId
  peer: LeafIndex | null
  isCaller: boolean
  /** Whether the peer's signed answer to our call has been read; a frame may have come before it. */
  isConfirmed: boolean
  endReason: EndReason | null
  deadlineMs: number | null
}

/** One input together with the call as it was before. */
export interface Facts {
  readonly call: Call
  readonly leaf: LeafIndex
  readonly event: CallEvent | null
  readonly nowMs: number
}

type Guard = (facts: Facts) => boolean
type Step = (facts: Facts) => Action | null
type Row = (typeof TRANSITIONS)[number]

function remote({ event }: Facts): CallEvent {
  if (event === null) throw new Error("a rule for remote events was used for another input")
  return event
}

const sameCall: Guard = (facts) => equalBytes(remote(facts).callId, facts.call.callId)
const sameConversation: Guard = (facts) => equalBytes(remote(facts).conversation, facts.call.conversation)
const thisCall: Guard = (facts) => sameCall(facts) && sameConversation(facts)
const otherSide: Guard = (facts) => thisCall(facts) && !remote(facts).own
const fromPeer: Guard = (facts) => remote(facts).leaf === facts.call.peer
const expired: Guard = (facts) => facts.nowMs >= remote(facts).sentMs + OFFER_LIFETIME_MS + CLOCK_SKEW_MS
const another: Guard = (facts) => !sameCall(facts) && !remote(facts).own && !expired(facts)
const crossing: Guard = (facts) => sameConversation(facts) && another(facts)
const answerToCome: Guard = (facts) => facts.call.isCaller && !facts.call.isConfirmed && fromPeer(facts)
const order = (facts: Facts): number => compareBytes(remote(facts).callId, facts.call.callId)

/**
 * The conditions of the table. Those about offers of another call hold only for offers that are not expired and come
 * from another account.
 */
export const GUARDS: Readonly<Record<Row[2], Guard>> = {
  "": () => true,
  "this call, from another account": otherSide,
  "this call, from an own device": (facts) => thisCall(facts) && remote(facts).own,
  "this call, from the peer, to this device or all": (facts) => {
    const { toLeaf } = remote(facts)
    return thisCall(facts) && fromPeer(facts) && (toLeaf === null || toLeaf === facts.leaf)
  },
  "this call, not from the peer": (facts) => thisCall(facts) && !fromPeer(facts),
  "this call, from another account, not the peer, this device called": (facts) =>
    facts.call.isCaller && otherSide(facts) && !fromPeer(facts),
  "this call, from the peer, whose answer is to come": (facts) => otherSide(facts) && answerToCome(facts),
  // A device's messages come in its order: an offer ahead of the answer was made before it, and lost a glare.
  "same conversation, higher call id, from the peer, whose answer is to come": (facts) =>
    crossing(facts) && order(facts) > 0 && answerToCome(facts),
  "from an own device": (facts) => remote(facts).own,
  expired,
  "same conversation, lower call id": (facts) => crossing(facts) && order(facts) < 0,
  "same conversation, higher call id": (facts) => crossing(facts) && order(facts) > 0,
  "same conversation, another call of the ringing device": (facts) => crossing(facts) && fromPeer(facts),
  "another call": another,
}

const send =
  (kind: Kind, reason: HangupReason | null = null): Step =>
  ({ call: { callId, conversation } }) => ({ action: "send", kind, callId, conversation, reason, toLeaf: null })

const end =
  (reason: EndReason): Step =>
  ({ call }) => {
    call.endReason = reason
    call.deadlineMs = null
    return { action: "ended", reason }
  }

const time =
  (deadlineMs: (facts: Facts) => number): Step =>
  (facts) => {
    facts.call.deadlineMs = deadlineMs(facts)
    return null
  }

const timeAudio = time(({ nowMs }) => nowMs + NO_AUDIO_MS)

/** The steps of the table: what changes, and what the shell is to do. */
export const STEPS: Readonly<Record<Row[4][number], Step>> = {
  "take call": (facts) => {
    const { callId, conversation, leaf } = remote(facts)
    Object.assign(facts.call, { callId, conversation, peer: leaf, isCaller: false })
    return null
  },
  "take peer": (facts) => {
    facts.call.peer = remote(facts).leaf
    return null
  },
  "note answer": ({ call }) => {
    call.isConfirmed = true
    return null
  },
  "time offer": time(({ nowMs }) => nowMs + OFFER_LIFETIME_MS),
  // An offer from a device whose clock is ahead must not ring for longer than any other.
  "time ringing": time((facts) => Math.min(remote(facts).sentMs + CLOCK_SKEW_MS, facts.nowMs) + OFFER_LIFETIME_MS),
  "time audio": timeAudio,
  ring: ({ call: { callId } }) => ({ action: "ring", callId }),
  "stop ringing": () => ({ action: "stop_ringing" }),
  "show ringing": () => ({ action: "show_ringing" }),
  "start audio": (facts) => {
    const { callId, peer } = facts.call
    if (peer === null) throw new Error("audio starts after a peer was taken")
    timeAudio(facts)
    return { action: "start_audio", callId, peer }
  },
  "stop audio": () => ({ action: "stop_audio" }),
  "send offer": send(Kind.OFFER),
  "send ringing": send(Kind.RINGING),
  "send answer": send(Kind.ANSWER),
  "send decline": send(Kind.DECLINE),
  "send busy": (facts) => {
    const { callId, conversation } = remote(facts)
    return { action: "send", kind: Kind.BUSY, callId, conversation, reason: null, toLeaf: null }
  },
  "send hangup hung_up": send(Kind.HANGUP, HangupReason.HUNG_UP),
  "send hangup unanswered": send(Kind.HANGUP, HangupReason.UNANSWERED),
  "send hangup declined": send(Kind.HANGUP, HangupReason.DECLINED),
  "send hangup busy": send(Kind.HANGUP, HangupReason.BUSY),
  "send hangup glare": send(Kind.HANGUP, HangupReason.GLARE),
  "send hangup no_audio": send(Kind.HANGUP, HangupReason.NO_AUDIO),
  "send hangup failed": send(Kind.HANGUP, HangupReason.FAILED),
  "send hangup answered_elsewhere to it": (facts) => {
    const { callId, conversation } = facts.call
    const reason = HangupReason.ANSWERED_ELSEWHERE
    return { action: "send", kind: Kind.HANGUP, callId, conversation, reason, toLeaf: remote(facts).leaf }
  },
  "end hung_up": end(EndReason.HUNG_UP),
  "end declined": end(EndReason.DECLINED),
  "end busy": end(EndReason.BUSY),
  "end missed": end(EndReason.MISSED),
  "end unanswered": end(EndReason.UNANSWERED),
  "end answered_elsewhere": end(EndReason.ANSWERED_ELSEWHERE),
  "end no_audio": end(EndReason.NO_AUDIO),
  "end failed": end(EndReason.FAILED),
  "end expired_offer": end(EndReason.EXPIRED_OFFER),
  "end as told while ringing": (facts) => end(ENDED_WHILE_RINGING[remote(facts).reason])(facts),
  "end as told in call": (facts) => end(ENDED_IN_CALL[remote(facts).reason])(facts),
}
