/** What crosses between the page and the engine's worker: calls with a number, their answers, and events. */

import type { Engine, EngineEvent, Fault } from "../worker/api.js"

export type EngineMethod = keyof Engine

export interface EngineCall {
  readonly kind: "call"
  readonly id: number
  readonly method: EngineMethod
  readonly args: readonly unknown[]
}

export type EngineAnswer =
  | { readonly kind: "answer"; readonly id: number; readonly value: unknown }
  | { readonly kind: "refusal"; readonly id: number; readonly fault: Fault }

export interface EngineNews {
  readonly kind: "news"
  readonly event: EngineEvent
}

/** The half of a `MessagePort`, a `Worker` or a worker's global scope that this layer uses. */
export interface Wire {
  postMessage(message: unknown, transfer: Transferable[]): void
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void
  removeEventListener(type: "message", listener: (event: MessageEvent) => void): void
  /** A `MessagePort` delivers nothing before this. */
  start?(): void
}

const METHODS: Record<EngineMethod, true> = {
  account: true, createAccount: true, connectionState: true,
  conversations: true, conversationWith: true, createGroup: true, addMembers: true, removeMember: true,
  acceptRequest: true, refuseRequest: true,
  messages: true, sendText: true, editText: true, deleteMessage: true, react: true, sendFile: true, fetchFile: true, fetchNote: true,
  typing: true, markRead: true,
  safetyNumber: true, verify: true, serverKnows: true, checkNetwork: true, stopCheck: true, deleteAccount: true,
  placeCall: true, answerCall: true, declineCall: true, hangUp: true, mute: true, speak: true, callHistory: true,
  attachAudio: true, attachDirect: true,
}

/** Every call the engine takes; what is not here is refused. */
export const ENGINE_METHODS = Object.keys(METHODS) as readonly EngineMethod[]
