// What the page is shown, made from stored rows. After each transaction the lines that it changed go out.
import { toHex } from "../core/bytes.js"
import type { ConversationView, EngineEvent, MessageView, Person, ReactionView } from "./api.js"
import { noteWords } from "./notes.js"
import type { OwnIdentity } from "./own.js"
import type { ConversationRow, MessageRow } from "./store/rows.js"
import type { Committed, Store } from "./store/store.js"
import { Mutex } from "./sync.js"

/** Members and typists of a conversation, which only the running one knows. */
export interface Live {
  readonly members: readonly { readonly accountId: Uint8Array; readonly deviceId: Uint8Array }[]
  readonly typing: readonly string[]
}

const GATHER_MS = 30

export class Views {
  private readonly one = new Mutex()
  private announced: ReturnType<typeof setTimeout> | undefined

  constructor(
    private readonly store: Store,
    private readonly own: OwnIdentity,
    private readonly live: (conversation: number) => Live,
    private readonly emit: (event: EngineEvent) => void,
  ) {
    store.onCommitted = (changes) => this.committed(changes)
  }

  idOf(conversation: number): string {
    return toHex((this.store.get("conversation", conversation) as ConversationRow).stream)
  }

  /** The row behind an id of the page. */
  find(id: string): ConversationRow | undefined {
    return this.store.rows("conversation").find((row) => !row.hidden && toHex(row.stream) === id)
  }

  person(accountId: string): Person {
    const { trust = "unverified" } = this.store.get("account", accountId) ?? {}
    return { accountId, address: this.addressOf(accountId), isMe: accountId === toHex(this.own.accountId), trust }
  }

  addressOf(accountId: string): string {
    if (accountId === toHex(this.own.accountId)) return `@${this.own.handle}`
    const row = this.store.get("account", accountId)
    if (row === undefined) return `(${accountId.slice(0, 8)})`
    return row.origin === this.own.origin ? `@${row.handle}` : `@${row.handle}@${row.origin.replace(/^https:\/\//, "")}`
  }

  conversations(): ConversationView[] {
    const shown = this.store.rows("conversation").filter((row) => !row.hidden)
    return shown.map((row) => this.conversation(row)).sort((a, b) => b.lastTimeS - a.lastTimeS)
  }

  private conversation(row: ConversationRow): ConversationView {
    const { members, typing } = this.live(row.id)
    const ids = [...new Set(members.map(({ accountId }) => toHex(accountId)))]
    const others = ids.filter((id) => id !== toHex(this.own.accountId))
    const people = others.map((id) => this.addressOf(id)).join(", ")
    return {
      id: toHex(row.stream),
      isDirect: row.isDirect,
      title: row.isDirect || row.title === "" ? people || row.title : row.title,
      status: row.status,
      members: ids.map((id) => this.person(id)),
      unread: row.unread,
      lastText: row.lastText,
      lastCall: row.lastCall ?? null,
      lastTimeS: row.lastTimeS,
      typing,
    }
  }

  async message(row: MessageRow): Promise<MessageView> {
    const replied = row.replyTo === null ? undefined : await this.store.message(row.replyTo)
    const isKnown = replied !== undefined && replied.conversation === row.conversation
    return {
      id: row.id,
      conversation: this.idOf(row.conversation),
      order: row.order,
      sender: this.person(row.sender),
      timeS: row.timeS,
      delivery: this.deliveryOf(row),
      edited: row.edited,
      replyTo:
        row.replyTo === null
          ? null
          : { id: row.replyTo, sender: isKnown ? this.addressOf(replied.sender) : "", text: isKnown ? replied.text || (replied.file?.name ?? (replied.note ? noteWords(replied.note) : "")) : "" },
      reactions: this.reactionsOf(row),
      body: bodyOf(row),
    }
  }

  private deliveryOf(row: MessageRow): MessageView["delivery"] {
    if (row.status !== "sent") return row.status
    const own = toHex(this.own.accountId)
    const others = this.live(row.conversation).members.filter(({ accountId }) => toHex(accountId) !== own)
    const isEverywhere = others.every(({ accountId, deviceId }) => row.deliveredTo.includes(`${toHex(accountId)}:${toHex(deviceId)}`))
    return others.length > 0 && isEverywhere ? "delivered" : "sent"
  }

  private reactionsOf(row: MessageRow): ReactionView[] {
    const own = toHex(this.own.accountId)
    return [...new Set(row.reactions.map(({ text }) => text))].map((text) => {
      const same = row.reactions.filter((reaction) => reaction.text === text)
      return { text, count: new Set(same.map(({ sender }) => sender)).size, mine: same.some(({ sender }) => sender === own) }
    })
  }

  /** Tells the page about all conversations, at most once in a while. */
  announce(): void {
    this.announced ??= setTimeout(() => {
      this.announced = undefined
      this.emit({ kind: "conversations", conversations: this.conversations() })
    }, GATHER_MS)
  }

  private committed(changes: readonly Committed[]): void {
    if (changes.some(({ table }) => table === "conversation" || table === "account" || table === "group")) this.announce()
    const lines = changes.filter(({ table }) => table === "message")
    if (lines.length === 0) return
    const rows = lines.flatMap(({ row }) => (row === null ? [] : [row as MessageRow]))
    const byConversation = new Map<number, MessageRow[]>()
    for (const row of rows) byConversation.set(row.conversation, [...(byConversation.get(row.conversation) ?? []), row])
    void this.one.run(async () => {
      for (const [conversation, changed] of byConversation) {
        const views = await Promise.all(changed.map((row) => this.message(row)))
        this.emit({ kind: "messages", conversation: this.idOf(conversation), changed: views, removed: [] })
      }
    }).catch(() => undefined)
  }
}

function bodyOf(row: MessageRow): MessageView["body"] {
  if (row.kind === "file" && row.file !== null) return { kind: "file", file: row.file, caption: row.text }
  if (row.kind === "note" && row.note !== undefined) return { kind: "note", seconds: row.note.seconds }
  if (row.kind === "call" && row.call !== null) return { kind: "call", ...row.call }
  if (row.kind === "text" || row.kind === "members") return { kind: row.kind, text: row.text }
  return row.kind === "deleted" ? { kind: "deleted" } : { kind: "unknown" }
}
