// The call-signalling machine: who rings, who talks, and why a call ended. No I/O, no clock, no keys.
//
// One `CallMachine` is one call on one device. What the person does, what other devices sent and how late it is go in;
// `Action`s for the shell come out. The rules are the rows of `TRANSITIONS` (calls-table, generated from Python) and
// nothing else; docs/spec/media.md prints that table, calls-rules says what its words mean.
//
// Times are milliseconds of the server's clock: the shell adds its measured offset to its own clock.
import { type Action, type Call, type CallEvent, type CallId, type ConversationId, type Facts, GUARDS, type LeafIndex, STEPS } from "./calls-rules.js"
import { CALL_ID_BYTES, type EndReason, Input, type Kind, State, TRANSITIONS } from "./calls-table.js"

export type { Action, CallEvent, CallId, ConversationId, LeafIndex, Send } from "./calls-rules.js"
export * from "./calls-table.js"

const REMOTE: Readonly<Record<Kind, Input>> = {
  offer: Input.OFFER,
  ringing: Input.RINGING,
  answer: Input.ANSWER,
  decline: Input.DECLINE,
  busy: Input.BUSY,
  hangup: Input.HANGUP,
}

/**
 * One call on one device. Use a new machine for the next call, once this one has ended.
 *
 * Make it when the person calls or the first offer arrives, for that conversation. While it lives, hand it every call
 * event of every conversation: it answers other callers with "busy" by itself. After each input, wake it with `tick` at
 * `deadlineMs`.
 */
export class CallMachine {
  private readonly call: Call = {
    state: State.IDLE,
    callId: new Uint8Array(0) as CallId,
    conversation: new Uint8Array(0) as ConversationId,
    peer: null,
    isCaller: false,
    isConfirmed: false,
    endReason: null,
    deadlineMs: null,
  }

  /** `leaf` is this device's own place in the conversation's group. */
  constructor(readonly leaf: LeafIndex) {}

  get state(): State {
    return this.call.state
  }
  get callId(): CallId {
    return this.call.callId
  }
  get conversation(): ConversationId {
    return this.call.conversation
  }
  get peer(): LeafIndex | null {
    return this.call.peer
  }
  get isCaller(): boolean {
    return this.call.isCaller
  }
  get isConfirmed(): boolean {
    return this.call.isConfirmed
  }
  get endReason(): EndReason | null {
    return this.call.endReason
  }
  get deadlineMs(): number | null {
    return this.call.deadlineMs
  }

  /** The person calls. `callId` is 16 fresh random bytes; a RangeError for another length. */
  place(callId: CallId, conversation: ConversationId, nowMs: number): readonly Action[] {
    if (callId.length !== CALL_ID_BYTES) throw new RangeError(`a call id has ${CALL_ID_BYTES} bytes`)
    if (this.call.state === State.IDLE) Object.assign(this.call, { callId, conversation, isCaller: true })
    return this.step(Input.PLACE, null, nowMs)
  }

  /** The person takes the call. */
  answer(nowMs: number): readonly Action[] {
    return this.step(Input.ACCEPT, null, nowMs)
  }

  /** The person does not want the call. */
  decline(nowMs: number): readonly Action[] {
    return this.step(Input.REFUSE, null, nowMs)
  }

  /** The person ends the call, or gives up calling. */
  hangUp(nowMs: number): readonly Action[] {
    return this.step(Input.HANG_UP, null, nowMs)
  }

  /** The shell cannot go on: no microphone, no keys, no connection. */
  fail(nowMs: number): readonly Action[] {
    return this.step(Input.FAIL, null, nowMs)
  }

  /** Another device sent a call event. */
  remote(event: CallEvent, nowMs: number): readonly Action[] {
    const what = REMOTE[event.kind]
    if (event.callId.length !== CALL_ID_BYTES || (event.leaf === this.leaf && event.own)) return [{ action: "refused", what }]
    return this.step(what, event, nowMs)
  }

  /**
   * While we call, an authentic frame of this call arrived, sealed as `leaf`: whoever sends sound has answered.
   *
   * Hand in none of a device that the offer was not made to, and none where others than the two accounts hold the keys:
   * a frame is not signed (docs/spec/media.md section 11).
   */
  frameOpened(leaf: LeafIndex, nowMs: number, own = false): readonly Action[] {
    const { callId, conversation } = this.call
    const event: CallEvent = { kind: "answer", callId, conversation, leaf, own, sentMs: 0, reason: "hung_up", toLeaf: null }
    return this.step(Input.FRAME, event, nowMs)
  }

  /** An authentic frame of the peer arrived. Calling it once a second is enough. */
  audioHeard(nowMs: number): readonly Action[] {
    return this.step(Input.AUDIO, null, nowMs)
  }

  /** Time has passed; does nothing before `deadlineMs`. */
  tick(nowMs: number): readonly Action[] {
    if (this.call.deadlineMs === null || nowMs < this.call.deadlineMs) return []
    return this.step(Input.TIMER, null, nowMs)
  }

  private step(what: Input, event: CallEvent | null, nowMs: number): readonly Action[] {
    const facts: Facts = { call: this.call, leaf: this.leaf, event, nowMs }
    const row = TRANSITIONS.find(([state, input, when]) => state === this.call.state && input === what && GUARDS[when](facts))
    if (row === undefined) return [{ action: "refused", what }]
    const [, , , then, steps] = row
    this.call.state = then
    return steps.map((name) => STEPS[name](facts)).filter((action) => action !== null)
  }
}
