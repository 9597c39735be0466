/** One conversation as the page shows it: its messages, what is being written, and what is on its way. */

import { SvelteMap } from "svelte/reactivity"
import type { ConversationId, Engine, EngineEvent, Fault, MessageId, MessageView } from "../worker/api.js"
import type { Clock } from "./clock.js"
import { faultOf } from "./faults.js"
import { firstUnread, merged, type Timeline } from "./timeline.js"

const FIRST_PAGE = 60
const NEXT_PAGE = 200

/** The engine hears of typing at most this often. */
const TYPING_EVERY_MS = 3000

export interface Transfer {
  readonly done: number
  readonly total: number
}

type MessagesEvent = Extract<EngineEvent, { kind: "messages" }>

export class Conversation {
  readonly id: ConversationId
  readonly #engine: Engine
  readonly #clock: Clock
  readonly #onFault: (fault: Fault) => void

  messages = $state.raw<Timeline>([])
  /** Older messages exist that are not here yet. */
  more = $state(false)
  loaded = $state(false)
  /** Where "new" begins: set when the conversation opens, so that it stays while it is read. */
  unreadFrom = $state.raw<MessageId | null>(null)

  draft = $state("")
  replyTo = $state.raw<MessageView | null>(null)
  editing = $state.raw<MessageView | null>(null)
  readonly transfers = new SvelteMap<MessageId, Transfer>()
  /** The newest arrivals, for people who listen instead of look. */
  arrivals = $state.raw<readonly MessageView[]>([])

  #loadingOlder = false
  #typingSentMs = -Infinity
  #draftBeforeEdit = ""

  constructor(id: ConversationId, engine: Engine, clock: Clock, onFault: (fault: Fault) => void) {
    this.id = id
    this.#engine = engine
    this.#clock = clock
    this.#onFault = onFault
  }

  /** Loads the newest page once; `unread` places the mark. */
  async open(unread: number): Promise<void> {
    if (this.loaded) {
      this.unreadFrom = firstUnread(this.messages, unread)
      return
    }
    await this.#try(async () => {
      const page = await this.#engine.messages(this.id, null, Math.max(FIRST_PAGE, Math.min(unread + 10, 500)))
      this.messages = merged(page.messages, this.messages)
      this.more = page.more
      this.unreadFrom = firstUnread(this.messages, unread)
    })
    this.loaded = true
  }

  async loadOlder(): Promise<void> {
    const oldest = this.messages[0]
    if (this.#loadingOlder || !this.more || oldest === undefined) return
    this.#loadingOlder = true
    await this.#try(async () => {
      const page = await this.#engine.messages(this.id, oldest.order, NEXT_PAGE)
      this.messages = merged(this.messages, page.messages)
      this.more = page.more
    })
    this.#loadingOlder = false
  }

  absorb(event: MessagesEvent): void {
    const newest = this.messages.at(-1)?.order ?? -Infinity
    const arrivals = event.changed.filter((message) => !message.sender.isMe && message.order > newest)
    this.messages = merged(this.messages, event.changed, event.removed)
    if (arrivals.length > 0) this.arrivals = arrivals
    for (const message of event.changed) {
      if (message.delivery !== "waiting") this.transfers.delete(message.id)
    }
  }

  absorbTransfer(message: MessageId, done: number, total: number): void {
    if (done >= total) this.transfers.delete(message)
    else this.transfers.set(message, { done, total })
  }

  /** Sends the draft, or saves the edit. What failed comes back as the draft. */
  async submit(): Promise<void> {
    const text = this.draft.trim()
    const { editing, replyTo } = this
    if (text === "") return
    if (editing !== null) {
      this.stopEditing()
      if (editing.body.kind === "text" && editing.body.text === text) return
      await this.#try(() => this.#engine.editText(editing.id, text))
      return
    }
    this.draft = ""
    this.replyTo = null
    this.unreadFrom = null
    this.#typingSentMs = -Infinity
    const sent = await this.#try(() => this.#engine.sendText(this.id, text, replyTo?.id ?? null))
    if (!sent && this.draft === "") {
      this.draft = text
      this.replyTo = replyTo
    }
  }

  reply(message: MessageView): void {
    if (this.editing !== null) this.stopEditing()
    this.replyTo = message
  }

  startEditing(message: MessageView): void {
    if (message.body.kind !== "text") return
    if (this.editing === null) this.#draftBeforeEdit = this.draft
    this.replyTo = null
    this.editing = message
    this.draft = message.body.text
  }

  stopEditing(): void {
    this.editing = null
    this.draft = this.#draftBeforeEdit
    this.#draftBeforeEdit = ""
  }

  /** The newest text message of one's own, which arrow-up in an empty composer edits. */
  lastOwnText(): MessageView | null {
    return this.messages.findLast((message) => message.sender.isMe && message.body.kind === "text") ?? null
  }

  /** Takes the reaction back when it is one's own already. */
  async react(message: MessageView, emoji: string): Promise<void> {
    const mine = message.reactions.some((reaction) => reaction.mine && reaction.text === emoji)
    await this.#try(() => this.#engine.react(message.id, mine ? "" : emoji))
  }

  async remove(message: MessageView): Promise<void> {
    if (this.editing?.id === message.id) this.stopEditing()
    if (this.replyTo?.id === message.id) this.replyTo = null
    await this.#try(() => this.#engine.deleteMessage(message.id))
  }

  async sendFiles(files: readonly File[], caption: string): Promise<void> {
    for (const [index, file] of files.entries()) {
      await this.#try(() => this.#engine.sendFile(this.id, file, index === files.length - 1 ? caption : ""))
    }
  }

  async fetchFile(message: MessageId): Promise<Blob> {
    try {
      return await this.#engine.fetchFile(message)
    } finally {
      this.transfers.delete(message)
    }
  }

  fetchNote(message: MessageId): Promise<readonly Uint8Array[]> {
    return this.#engine.fetchNote(message)
  }

  typed(): void {
    const nowMs = this.#clock.nowMs()
    if (this.editing !== null || this.draft.trim() === "" || nowMs - this.#typingSentMs < TYPING_EVERY_MS) return
    this.#typingSentMs = nowMs
    // Nobody needs to hear that a typing sign was lost.
    this.#engine.typing(this.id).catch(() => undefined)
  }

  async markRead(): Promise<void> {
    await this.#try(() => this.#engine.markRead(this.id))
  }

  async #try(work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work()
      return true
    } catch (error) {
      this.#onFault(faultOf(error))
      return false
    }
  }
}
