// The call-signalling machine: who rings, who talks, and why a call ended. No I/O, no clock, no keys.
//
// One CallMachine is one call on one device. What the person does, what other devices sent and how late it is go in;
// actions for the shell come out. The rules are the rows of TRANSITIONS, generated from the Python machine.
// Times are milliseconds of the server's clock.
import type { Brand } from "../brand.js"
import { compareBytes, equalBytes } from "../bytes.js"
import {
  CALL_ID_BYTES,
  CLOCK_SKEW_MS,
  ENDED_IN_CALL,
  ENDED_WHILE_RINGING,
  type EndReason,
  type HangupReason,
  type Input,
  type Kind,
  NO_AUDIO_MS,
  OFFER_LIFETIME_MS,
  type State,
  TRANSITIONS,
} from "./calls-table.js"

export * from "./calls-table.js"

/** 16 random bytes, chosen by the caller. */
export type CallId = Brand<Uint8Array, "CallId">
/** Names the conversation to the shell; compared, never read. */
export type ConversationId = Brand<Uint8Array, "ConversationId">
/** A device's place in the conversation's group. */
export type LeafIndex = Brand<number, "LeafIndex">

/** A call event from another device, already authenticated. `toLeaf` limits a hangup to one device. */
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
  | { readonly action: "start_audio"; readonly callId: CallId; readonly peer: LeafIndex }
  | { readonly action: "stop_audio" }
  | { readonly action: "ring"; readonly callId: CallId }
  | { readonly action: "stop_ringing" }
  | { readonly action: "show_ringing" }
  | { readonly action: "ended"; readonly reason: EndReason }
  | { readonly action: "refused"; readonly what: Input }

const NONE = new Uint8Array(0)

export class CallMachine {
  state: State = "idle"
  callId = NONE as CallId
  conversation = NONE as ConversationId
  peer: LeafIndex | null = null
  isCaller = false
  endReason: EndReason | null = null
  deadlineMs: number | null = null

  /** `leaf` is this device's own place in the conversation's group. */
  constructor(readonly leaf: LeafIndex) {}

  place(callId: CallId, conversation: ConversationId, nowMs: number): readonly Action[] {
    if (callId.length !== CALL_ID_BYTES) throw new RangeError(`a call id has ${CALL_ID_BYTES} bytes`)
    if (this.state === "idle") {
      this.callId = callId
      this.conversation = conversation
      this.isCaller = true
    }
    return this.step("place", undefined, nowMs)
  }

  answer(nowMs: number): readonly Action[] {
    return this.step("accept", undefined, nowMs)
  }

  decline(nowMs: number): readonly Action[] {
    return this.step("refuse", undefined, nowMs)
  }

  hangUp(nowMs: number): readonly Action[] {
    return this.step("hang_up", undefined, nowMs)
  }

  /** The shell cannot go on: no microphone, no keys, no connection. */
  fail(nowMs: number): readonly Action[] {
    return this.step("fail", undefined, nowMs)
  }

  /** Another device sent a call event. */
  remote(event: CallEvent, nowMs: number): readonly Action[] {
    const what = `remote ${event.kind}` as const
    if (event.callId.length !== CALL_ID_BYTES || (event.leaf === this.leaf && event.own)) return [{ action: "refused", what }]
    return this.step(what, event, nowMs)
  }

  /** An authentic frame of the peer arrived. Calling it once a second is enough. */
  audioHeard(nowMs: number): readonly Action[] {
    return this.step("audio heard", undefined, nowMs)
  }

  /** Time has passed; does nothing before `deadlineMs`. */
  tick(nowMs: number): readonly Action[] {
    if (this.deadlineMs === null || nowMs < this.deadlineMs) return []
    return this.step("timer", undefined, nowMs)
  }

  private step(what: Input, event: CallEvent | undefined, nowMs: number): readonly Action[] {
    for (const [state, input, when, then, steps] of TRANSITIONS) {
      if (state !== this.state || input !== what || !this.holds(when, event, nowMs)) continue
      this.state = then
      return (steps as readonly string[]).flatMap((step) => this.carryOut(step, event, nowMs))
    }
    return [{ action: "refused", what }]
  }

  private holds(when: string, event: CallEvent | undefined, nowMs: number): boolean {
    if (when === "") return true
    if (event === undefined) throw new Error("a rule for remote events was used for another input")
    const sameConversation = equalBytes(event.conversation, this.conversation)
    const sameId = equalBytes(event.callId, this.callId)
    const thisCall = sameId && sameConversation
    const expired = nowMs >= event.sentMs + OFFER_LIFETIME_MS + CLOCK_SKEW_MS
    const crossing = sameConversation && !sameId && !event.own && !expired
    switch (when) {
      case "this call, from another account":
        return thisCall && !event.own
      case "this call, from an own device":
        return thisCall && event.own
      case "this call, from the peer, to this device or all":
        return thisCall && event.leaf === this.peer && (event.toLeaf === null || event.toLeaf === this.leaf)
      case "this call, not from the peer":
        return thisCall && event.leaf !== this.peer
      case "this call, from another account, not the peer, this device called":
        return this.isCaller && thisCall && !event.own && event.leaf !== this.peer
      case "from an own device":
        return event.own
      case "expired":
        return expired
      case "same conversation, lower call id":
        return crossing && compareBytes(event.callId, this.callId) < 0
      case "same conversation, higher call id":
        return crossing && compareBytes(event.callId, this.callId) > 0
      case "same conversation, another call of the ringing device":
        return crossing && event.leaf === this.peer
      case "another call":
        return !sameId && !event.own && !expired
      default:
        throw new Error(`no such condition: ${when}`)
    }
  }

  private carryOut(step: string, event: CallEvent | undefined, nowMs: number): readonly Action[] {
    switch (step) {
      case "take call":
        if (event === undefined) return []
        this.callId = event.callId
        this.conversation = event.conversation
        this.peer = event.leaf
        this.isCaller = false
        return []
      case "take peer":
        this.peer = event?.leaf ?? null
        return []
      case "time offer":
        this.deadlineMs = nowMs + OFFER_LIFETIME_MS
        return []
      case "time ringing":
        // An offer from a device whose clock is ahead must not ring for longer than any other.
        this.deadlineMs = Math.min((event?.sentMs ?? nowMs) + OFFER_LIFETIME_MS + CLOCK_SKEW_MS, nowMs + OFFER_LIFETIME_MS)
        return []
      case "time audio":
        this.deadlineMs = nowMs + NO_AUDIO_MS
        return []
      case "start audio":
        this.deadlineMs = nowMs + NO_AUDIO_MS
        return [{ action: "start_audio", callId: this.callId, peer: this.peer as LeafIndex }]
      case "ring":
        return [{ action: "ring", callId: this.callId }]
      case "stop ringing":
        return [{ action: "stop_ringing" }]
      case "show ringing":
        return [{ action: "show_ringing" }]
      case "stop audio":
        return [{ action: "stop_audio" }]
      case "send busy":
        return event === undefined ? [] : [{ ...this.send("busy"), callId: event.callId, conversation: event.conversation }]
      case "send hangup answered_elsewhere to it":
        return [{ ...this.send("hangup"), reason: "answered_elsewhere", toLeaf: event?.leaf ?? null }]
      case "end as told while ringing":
        return this.end(ENDED_WHILE_RINGING[event?.reason ?? "hung_up"])
      case "end as told in call":
        return this.end(ENDED_IN_CALL[event?.reason ?? "hung_up"])
    }
    const [verb, first, second] = step.split(" ")
    if (verb === "end") return this.end(first as EndReason)
    return [{ ...this.send(first as Kind), reason: (second as HangupReason | undefined) ?? null }]
  }

  private send(kind: Kind): Send {
    return { action: "send", kind, callId: this.callId, conversation: this.conversation, reason: null, toLeaf: null }
  }

  private end(reason: EndReason): readonly Action[] {
    this.endReason = reason
    this.deadlineMs = null
    return [{ action: "ended", reason }]
  }
}
