// What this device remembers, table by table; the same facts as in client/schema.sql.
//
// A row is a plain object of numbers, strings, booleans, null, bytes, and arrays or objects of these.
import type { CallLine, CallOutcome, Trust } from "../api.js"

/** Values of which there is one: who we are, how far the inbox is read. */
export interface ProfileRow {
  readonly value: unknown
}

/** The private half of a key package; goes when its Welcome has been used, or can come no more. */
export interface KeyPackageRow {
  readonly keyPackage: Uint8Array
  readonly ref: Uint8Array
  readonly initPrivateKey: Uint8Array
  readonly encryptionPrivateKey: Uint8Array
  readonly lastResort: boolean
  readonly expiresS: number
  /** False until the directory has answered. */
  readonly published: boolean
}

/** An account we have met: its identity key pinned at first sight, its newest signed device list. */
export interface AccountRow {
  readonly accountId: Uint8Array
  readonly origin: string
  readonly handle: string
  readonly identityKey: Uint8Array
  readonly version: number
  readonly payload: Uint8Array
  readonly signature: Uint8Array
  /** We wrote to them or accepted what they wrote: they may ring, and are told that their messages arrived. */
  readonly accepted: boolean
  /** Their request was refused: they are not heard until we write to them. */
  readonly refused: boolean
  /** What comparing safety numbers told us about `identityKey`. */
  readonly trust: Trust
  /** The key changed, or a comparison failed, and none has come out right since: they do not learn our address. */
  readonly isDoubtful?: boolean
}

export interface ConversationRow {
  readonly id: number
  readonly stream: Uint8Array
  readonly origin: string
  readonly isDirect: boolean
  readonly title: string
  readonly status: "creating" | "active" | "request" | "left"
  /** Not shown: a request that was refused. */
  readonly hidden: boolean
  /** The next record to read. */
  readonly nextSeq: number
  /** The place of the next message. */
  readonly nextOrder: number
  readonly unread: number
  readonly lastText: string
  /** Set when the newest line is about a call. Not in rows that older versions wrote. */
  readonly lastCall?: CallLine | null
  readonly lastTimeS: number
  /** Ids of received messages whose delivery we have not confirmed yet. */
  readonly toConfirm: readonly string[]
}

/** The saved MLS group of a conversation. */
export interface GroupRow {
  readonly state: Uint8Array
}

/** A message that waits has an order of `WAITING_FROM` and more, and gets its place when the log has it. */
export const WAITING_FROM = 2 ** 40

export interface MessageRow {
  readonly conversation: number
  readonly order: number
  readonly id: string
  readonly sender: string
  readonly device: string
  readonly timeS: number
  readonly status: "waiting" | "sent" | "received"
  readonly kind: "text" | "file" | "note" | "call" | "members" | "deleted" | "unknown"
  readonly text: string
  readonly edited: boolean
  readonly replyTo: string | null
  readonly reactions: readonly ReactionRow[]
  readonly file: { readonly name: string; readonly contentType: string; readonly bytes: number } | null
  /** Not in rows that older versions wrote. */
  readonly note?: { readonly callId: string; readonly seconds: number }
  /** The encoded message, as long as a file may be fetched by it, or a note heard. */
  readonly content: Uint8Array | null
  readonly call: CallLine | null
  /** Devices (account and device in hexadecimal) that reported the delivery. */
  readonly deliveredTo: readonly string[]
}

export interface ReactionRow {
  readonly id: string
  readonly sender: string
  readonly text: string
}

/** Something of ours that the log does not hold yet. `body` is the record exactly as it was or will be sent. */
export interface OutboxRow {
  readonly conversation: number
  readonly content: Uint8Array
  readonly id: string
  /** The order under which it is shown while it waits; 0 when nothing is shown. */
  readonly order: number
  readonly body: Uint8Array | null
  readonly bodyHash: string
  readonly epoch: number
}

/** A file message whose ciphertext is not on the server yet. */
export interface UploadRow {
  readonly conversation: number
  readonly order: number
  readonly id: string
  readonly content: Uint8Array
  readonly sha256: string
  readonly blob: Uint8Array
}

/** A commit of ours that the log does not hold yet, and whom to invite once it does. */
export interface PendingCommitRow {
  readonly body: Uint8Array
  readonly epoch: number
  readonly nextTokenHash: Uint8Array
  readonly welcome: Uint8Array | null
  readonly invitees: readonly InviteeRow[]
}

export interface InviteeRow {
  readonly credential: Uint8Array
  readonly keyPackage: Uint8Array
  readonly origin: string
  readonly inbox: Uint8Array
  readonly inboxKey: Uint8Array
}

/** An invitation that waits for its inbox. */
export interface DepositRow {
  readonly conversation: number
  readonly fromSeq: number
  readonly origin: string
  readonly inbox: Uint8Array
  readonly inboxKey: Uint8Array
  readonly welcome: Uint8Array
  readonly blob: { readonly sha256: Uint8Array; readonly key: Uint8Array; readonly nonce: Uint8Array } | null
}

/** A media key of a call under way. */
export interface CallKeyRow {
  readonly callId: string
  readonly epoch: number
  readonly conversation: number
  readonly baseKey: Uint8Array
  readonly expiresS: number
}

export interface CallRow {
  readonly id: string
  readonly conversation: number
  readonly peer: string
  readonly device: string
  readonly outgoing: boolean
  readonly timeS: number
  readonly offerExpiresMs: number
  readonly answeredS: number
  /** Null while it lasts. */
  readonly outcome: CallOutcome | null
  readonly seconds: number
  /** Voice notes of others that have come while it lasts and were not heard to their end. Not in rows that older versions wrote. */
  readonly unheardNotes?: number
}

export interface Rows {
  profile: ProfileRow
  key_package: KeyPackageRow
  account: AccountRow
  conversation: ConversationRow
  group: GroupRow
  message: MessageRow
  outbox: OutboxRow
  upload: UploadRow
  pending_commit: PendingCommitRow
  deposit: DepositRow
  call_key: CallKeyRow
  call: CallRow
}
export type Table = keyof Rows

/** All but messages and files fit into memory and are kept there. */
export const TABLES = [
  "profile",
  "key_package",
  "account",
  "conversation",
  "group",
  "message",
  "outbox",
  "upload",
  "pending_commit",
  "deposit",
  "call_key",
  "call",
] as const satisfies readonly Table[]
export const ON_DISK_ONLY: ReadonlySet<Table> = new Set<Table>(["message", "upload"])
