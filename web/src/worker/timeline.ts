// What a message does to the conversation that this device remembers. Runs inside the transaction that stores it.
//
// Only who wrote a message may edit or delete it (CANNOT-FORGE); the format cannot say so, the reader must.
import { toHex } from "../core/bytes.js"
import type * as mimi from "../core/e2ee/content/index.js"
import { Status } from "../core/e2ee/content/index.js"
import { noteSeconds, noteWords } from "./notes.js"
import type { ConversationRow, MessageRow } from "./store/rows.js"
import type { Transaction } from "./store/store.js"

const REACTIONS_PER_PERSON_MAX = 8
const REACTIONS_MAX = 256
const TO_CONFIRM_MAX = 1024

/** A message that passed all checks. `waiting` holds its order if it is ours and not on the server yet. */
export interface Said {
  readonly conversation: number
  readonly id: string
  readonly sender: string
  readonly device: string
  readonly timeS: number
  readonly status: MessageRow["status"]
  readonly waiting: number | null
  readonly content: Uint8Array
  readonly message: mimi.MimiContent
  readonly meaning: mimi.Meaning
}

/** Takes a message into the conversation; true if it is shown as a line of its own. */
export async function apply(tx: Transaction, said: Said): Promise<boolean> {
  const { message, meaning } = said
  switch (meaning.kind) {
    case "status":
      await confirm(tx, said, meaning.marks)
      return false
    case "reaction":
      await react(tx, said, meaning.text)
      return false
    case "deletion":
      if (message.inReplyTo !== undefined && message.inReplyTo !== null) await unreact(tx, said)
      else await remove(tx, said)
      return false
    case "call":
      return false
    case "note":
      if (meaning.note.packets.length === 0) return false
      break
    case "text":
      if (isSet(message.replaces)) {
        await edit(tx, said, meaning.text)
        return false
      }
      break
    default:
      if (isSet(message.replaces)) return false
  }
  if ((await tx.message(said.id)) !== undefined) return false // said twice, word for word
  addLine(tx, lineOf(said))
  return true
}

const isSet = (id: Uint8Array | null | undefined): id is Uint8Array => id !== undefined && id !== null

function lineOf(said: Said): Omit<MessageRow, "order"> & { readonly order: number | null } {
  const { conversation, id, sender, device, timeS, status, message, content } = said
  const shown = { kind: "unknown", text: "", file: null, content: null, ...shownOf(said.meaning, content) } as const
  const replyTo = isSet(message.inReplyTo) ? toHex(message.inReplyTo) : null
  const common = { conversation, id, sender, device, timeS, status, replyTo }
  return { ...common, ...shown, order: said.waiting, edited: false, reactions: [], call: null, deliveredTo: [] }
}

type Shown = Partial<Pick<MessageRow, "kind" | "text" | "file" | "content" | "note">>

function shownOf(meaning: mimi.Meaning, content: Uint8Array): Shown {
  if (meaning.kind === "text") return { kind: "text", text: meaning.text }
  if (meaning.kind === "note") {
    return { kind: "note", content, note: { callId: toHex(meaning.note.callId), seconds: noteSeconds(meaning.note) } }
  }
  const part = attachmentOf(meaning)
  if (part === undefined) {
    const texts = meaning.kind === "several" ? meaning.items.flatMap((item) => (item.kind === "text" ? [item.text] : [])) : []
    return texts.length > 0 ? { kind: "text", text: texts.join("\n") } : {}
  }
  const caption = meaning.kind === "several" ? meaning.items.find((item) => item.kind === "text") : undefined
  const bytes = Math.max(0, Number(part.size) - 16)
  const file = { name: part.filename || "file", contentType: part.contentType, bytes }
  return { kind: "file", text: caption?.kind === "text" ? caption.text : "", file, content }
}

/** The file that a message points to. */
export function attachmentOf(meaning: mimi.Meaning): mimi.ExternalPart | undefined {
  if (meaning.kind === "attachment") return meaning.part
  if (meaning.kind !== "several") return undefined
  return meaning.items.map(attachmentOf).find((part) => part !== undefined)
}

/** Puts a line at its place, which is the next one unless it waits. */
export function addLine(tx: Transaction, line: Omit<MessageRow, "order"> & { readonly order: number | null }): MessageRow {
  const conversation = tx.get("conversation", line.conversation) as ConversationRow
  const row: MessageRow = { ...line, order: line.order ?? conversation.nextOrder }
  tx.putMessage(row)
  const arrives = row.status === "received" && ["text", "file", "note", "unknown"].includes(row.kind)
  // A note of the call that goes on is heard there; what is left of them counts when it is over.
  const call = row.note && tx.get("call", row.note.callId)
  const isHeard = arrives && call?.outcome === null
  if (isHeard) tx.patch("call", call.id, { unheardNotes: (call.unheardNotes ?? 0) + 1 })
  const counts = arrives && !isHeard
  const toConfirm = arrives ? [...conversation.toConfirm, row.id].slice(-TO_CONFIRM_MAX) : conversation.toConfirm
  tx.patch("conversation", line.conversation, {
    nextOrder: conversation.nextOrder + (line.order === null ? 1 : 0),
    unread: conversation.unread + (counts || (row.call?.outcome === "missed" && !row.call.outgoing) ? 1 : 0),
    ...saidLast(row),
    lastTimeS: row.timeS,
    toConfirm,
  })
  return row
}

/** What the list of conversations says of a line. A call's words are the page's to choose. */
const saidLast = (row: MessageRow): Pick<ConversationRow, "lastText" | "lastCall"> => ({ lastText: previewOf(row), lastCall: row.call })

function previewOf(row: MessageRow): string {
  if (row.kind === "note" && row.note !== undefined) return noteWords(row.note)
  if (row.kind === "file") return row.text || row.file?.name || ""
  return row.text.slice(0, 200)
}

/** Our message stands in the log: it gets the place that everybody sees. */
export async function place(tx: Transaction, id: string, order: number, timeS: number): Promise<void> {
  const row = await tx.message(id)
  if (row === undefined || order === 0) return
  const conversation = tx.get("conversation", row.conversation) as ConversationRow
  tx.drop("message", [row.conversation, row.order])
  tx.putMessage({ ...row, order: conversation.nextOrder, timeS, status: "sent" })
  // A call that ended while this waited is not the last line any more.
  const last = conversation.lastCall ? saidLast(row) : {}
  tx.patch("conversation", row.conversation, { nextOrder: conversation.nextOrder + 1, lastTimeS: timeS, ...last })
}

/** The message that is meant, if it is one of this conversation. */
async function target(tx: Transaction, said: Said, id: Uint8Array | null | undefined): Promise<MessageRow | undefined> {
  const row = isSet(id) ? await tx.message(toHex(id)) : undefined
  return row?.conversation === said.conversation ? row : undefined
}

async function edit(tx: Transaction, said: Said, text: string): Promise<void> {
  const row = await target(tx, said, said.message.replaces)
  if (row === undefined || row.sender !== said.sender || (row.kind !== "text" && row.kind !== "file")) return
  tx.putMessage({ ...row, text, edited: true })
  const conversation = tx.get("conversation", said.conversation) as ConversationRow
  if (row.order === conversation.nextOrder - 1 || row.order === said.waiting) {
    tx.patch("conversation", said.conversation, { lastText: text.slice(0, 200) })
  }
}

async function remove(tx: Transaction, said: Said): Promise<void> {
  const row = await target(tx, said, said.message.replaces)
  if (row === undefined || row.sender !== said.sender || row.kind === "members" || row.kind === "call") return
  tx.putMessage({ ...row, kind: "deleted", text: "", file: null, content: null, reactions: [], edited: false })
  const conversation = tx.get("conversation", said.conversation) as ConversationRow
  if (row.order >= conversation.nextOrder - 1) tx.patch("conversation", said.conversation, { lastText: "" })
}

async function react(tx: Transaction, said: Said, text: string): Promise<void> {
  const row = await target(tx, said, said.message.inReplyTo)
  if (row === undefined || row.kind === "deleted" || text === "") return
  const others = row.reactions.filter((reaction) => reaction.sender !== said.sender || reaction.text !== text)
  const own = others.filter((reaction) => reaction.sender === said.sender)
  if (own.length >= REACTIONS_PER_PERSON_MAX || others.length >= REACTIONS_MAX) return
  tx.putMessage({ ...row, reactions: [...others, { id: said.id, sender: said.sender, text }] })
}

async function unreact(tx: Transaction, said: Said): Promise<void> {
  const row = await target(tx, said, said.message.inReplyTo)
  const { replaces } = said.message
  if (row === undefined || !isSet(replaces)) return
  const isTaken = (id: string, sender: string): boolean => id === toHex(replaces) && sender === said.sender
  const reactions = row.reactions.filter(({ id, sender }) => !isTaken(id, sender))
  if (reactions.length < row.reactions.length) tx.putMessage({ ...row, reactions })
}

/** Somebody's device reports what became of messages; only those of ours matter. */
async function confirm(tx: Transaction, said: Said, marks: readonly mimi.Mark[]): Promise<void> {
  const from = `${said.sender}:${said.device}`
  for (const { messageId, status } of marks) {
    if (status !== Status.DELIVERED && status !== Status.READ) continue
    const row = await target(tx, said, messageId)
    if (row === undefined || row.status === "received" || row.sender === said.sender || row.deliveredTo.includes(from)) continue
    tx.putMessage({ ...row, deliveredTo: [...row.deliveredTo, from] })
  }
}

