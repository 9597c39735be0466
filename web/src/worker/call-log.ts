// What is remembered of calls: a row while one lasts, so that a reload rings again, and a line once it is over.
import { toHex } from "../core/bytes.js"
import type * as mimi from "../core/e2ee/content/index.js"
import type { EndReason } from "../core/protocol/calls-table.js"
import type { CallHistoryEntry, CallOutcome } from "./api.js"
import { forgetCallKeys } from "./call-keys.js"
import type { CallRow } from "./store/rows.js"
import type { Store, Transaction } from "./store/store.js"
import { addLine, type Said } from "./timeline.js"

/** Calls remembered, the newest. */
const CALLS_MAX = 500

/** Somebody calls: kept in the transaction that stores the offer. */
export function noteOffer(tx: Transaction, said: Said, body: mimi.CallBody): void {
  if (body.kind !== "offer" || said.status !== "received") return
  const id = toHex(body.callId)
  if (tx.get("call", id) !== undefined) return
  putCall(tx, {
    id, conversation: said.conversation, peer: said.sender, device: said.device, outgoing: false, timeS: said.timeS,
    offerExpiresMs: Number(body.expiresMs), answeredS: 0, outcome: null, seconds: 0,
  })
}

export function putCall(tx: Transaction, row: CallRow): void {
  tx.put("call", row.id, row)
  const over = tx.entries("call").filter(([, { outcome }]) => outcome !== null)
  const oldest = over.sort(([, a], [, b]) => b.timeS - a.timeS).slice(CALLS_MAX)
  for (const [key] of oldest) tx.drop("call", key)
}

/** The call is over: its keys go, and the conversation has a line about it. */
export function finishCall(tx: Transaction, id: string, outcome: CallOutcome, nowS: number, own: string): void {
  const row = tx.get("call", id)
  forgetCallKeys(tx, id)
  if (row === undefined || row.outcome !== null) return
  const unheard = row.unheardNotes ?? 0
  const seconds = row.answeredS === 0 ? 0 : Math.max(0, nowS - row.answeredS)
  tx.put("call", id, { ...row, outcome, seconds })
  if (tx.get("conversation", row.conversation) === undefined) return
  addLine(tx, {
    conversation: row.conversation, order: null, id, sender: row.outgoing ? own : row.peer, device: row.device, timeS: row.timeS,
    status: row.outgoing ? "sent" : "received", kind: "call", text: "", edited: false, replyTo: null, reactions: [], file: null,
    content: null, call: { outgoing: row.outgoing, outcome, seconds }, deliveredTo: [],
  })
  const { unread = 0 } = tx.get("conversation", row.conversation) ?? {}
  tx.patch("conversation", row.conversation, { unread: unread + unheard })
}

/** So many more voice notes of a call were heard to their end while it lasts. */
export function notesHeard(tx: Transaction, id: string, count: number): void {
  const row = tx.get("call", id)
  if (row?.outcome === null) tx.patch("call", id, { unheardNotes: Math.max(0, (row.unheardNotes ?? 0) - count) })
}

export const history = (store: Store, idOf: (conversation: number) => string, addressOf: (id: string) => string): CallHistoryEntry[] =>
  store
    .rows("call")
    .flatMap(({ conversation, peer, timeS, outgoing, outcome, seconds }) =>
      outcome === null ? [] : [{ conversation: idOf(conversation), peer: addressOf(peer), timeS, outgoing, outcome, seconds }],
    )
    .sort((a, b) => b.timeS - a.timeS)

/** How a call is remembered, from the reason why it ended. */
export function outcomeOf(reason: EndReason, wasAnswered: boolean, outgoing: boolean): CallOutcome {
  switch (reason) {
    case "hung_up":
    case "remote_hung_up":
      if (wasAnswered) return "answered"
      return outgoing ? "unanswered" : "missed"
    case "expired_offer":
      return "missed"
    default:
      return reason
  }
}

const WORDS: Readonly<Record<EndReason, string>> = {
  hung_up: "You hung up.",
  remote_hung_up: "The other side hung up.",
  declined: "The call was declined.",
  busy: "The other side is in another call.",
  missed: "The call was missed.",
  unanswered: "Nobody answered.",
  answered_elsewhere: "The call was taken on another device.",
  no_audio: "No sound came through for 20 seconds, so the call ended.",
  failed: "The call was cut off: one of the two devices failed or was closed.",
  expired_offer: "The call was missed.",
}

export const wordsFor = (reason: EndReason, incoming: boolean): string =>
  reason === "declined" && incoming ? "You declined the call." : WORDS[reason]
