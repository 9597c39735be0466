/** Everything the page knows: who one is, the conversations, the connection, the screen. The root view model. */

import type {
  CallLine, ConnectionState, ConversationId, ConversationView, EngineEvent, Fault, NetworkCheckView, OwnAccount,
} from "../worker/api.js"
import type { OpenSound, PrepareSound } from "./call-sound.js"
import { Calls } from "./calls.svelte.js"
import type { Clock } from "./clock.js"
import { Conversation } from "./conversation.svelte.js"
import type { EngineClient } from "./engine-client.js"
import { faultOf } from "./faults.js"
import type { Preferences } from "./preferences.svelte.js"
import { formatRoute, parseRoute, type Route } from "./route.js"

/** Conversations kept in memory; opening more forgets the one not seen for the longest time. */
const OPEN_MAX = 12

/** A short break is no news: the line says "offline" only after this. */
const OFFLINE_SHOWN_MS = 1500

const TOAST_MS = 9000

/** The browser's address line. */
export interface Place {
  hash(): string
  go(hash: string, replace: boolean): void
  onChange(listener: () => void): void
}

/** Something arrived that deserves a notification when nobody looks. */
export interface Notice {
  readonly conversation: ConversationId
  readonly title: string
  readonly text: string
  /** It is about this call, and `text` is empty. */
  readonly call: CallLine | null
}

export interface Toast {
  readonly id: number
  readonly fault: Fault
}

export interface Outside {
  readonly engine: EngineClient
  readonly clock: Clock
  readonly place: Place
  readonly preferences: Preferences
  readonly openSound: OpenSound
  readonly prepareSound: PrepareSound
  readonly openDirect?: () => MessagePort
  onNotice(notice: Notice): void
}

export class Session {
  readonly engine: EngineClient
  readonly preferences: Preferences
  readonly calls: Calls
  readonly clock: Clock
  readonly #outside: Outside
  readonly #open = new Map<ConversationId, Conversation>()

  /** `opening` until the engine said whether an account is here. */
  phase = $state<"opening" | "new" | "ready">("opening")
  account = $state.raw<OwnAccount | null>(null)
  connection = $state.raw<ConnectionState>({ kind: "connecting" })
  /** The connection as it is told to people: short breaks left out. */
  offline = $state.raw<{ readonly reason: string } | null>(null)
  conversations = $state.raw<readonly ConversationView[]>([])
  route = $state.raw<Route>({ screen: "chats" })
  check = $state.raw<NetworkCheckView | null>(null)
  toasts = $state.raw<readonly Toast[]>([])
  /** Whom to greet first: set by a link followed before there was an account. */
  invitedBy = $state<string | null>(null)
  /** The account was made in this visit, and nobody was written to yet. */
  justMade = $state(false)
  #lastToast = 0
  #cancelOffline: () => void = () => undefined

  constructor(outside: Outside) {
    this.#outside = outside
    this.engine = outside.engine
    this.preferences = outside.preferences
    this.clock = outside.clock
    this.calls = new Calls({ ...outside, onFault: (fault) => this.report(fault) })
    outside.place.onChange(() => this.#read())
    this.#read()
    outside.engine.subscribe((event) => this.#absorb(event))
  }

  readonly byId = $derived(new Map(this.conversations.map((view) => [view.id, view])))
  readonly requests = $derived(this.conversations.filter((view) => view.status === "request"))
  readonly listed = $derived(this.conversations.filter((view) => view.status !== "request"))
  readonly unread = $derived(this.conversations.reduce((sum, view) => sum + view.unread, 0))

  async start(): Promise<void> {
    await this.try(async () => {
      const [account, connection] = await Promise.all([this.engine.account(), this.engine.connectionState()])
      this.#setConnection(connection)
      if (account !== null) this.conversations = await this.engine.conversations()
      this.account = account
      this.phase = account === null ? "new" : "ready"
      if (account !== null) void this.calls.loadHistory()
    })
  }

  /** Rejects with a `Fault`: the form shows it where it was typed. */
  async createAccount(handle: string): Promise<void> {
    this.justMade = true
    try {
      this.account = await this.engine.createAccount(handle)
    } catch (error) {
      this.justMade = false
      throw error
    }
    this.phase = "ready"
    // The welcome proposes the person whose link brought one here; their own question would be a second one.
    if (this.route.screen === "person") this.go({ screen: "chats" }, true)
  }

  /** Opens the conversation with somebody, made when there is none. Rejects with a `Fault`. */
  async openWith(address: string, draft = ""): Promise<void> {
    const id = await this.engine.conversationWith(address)
    const conversation = this.conversation(id)
    if (conversation.draft === "") conversation.draft = draft
    this.justMade = false
    this.invitedBy = null
    this.go({ screen: "chat", id, info: false })
  }

  go(route: Route, replace = false): void {
    this.route = route
    this.#outside.place.go(formatRoute(route), replace)
  }

  /** The model of a conversation; its draft stays while others are looked at. */
  conversation(id: ConversationId): Conversation {
    let found = this.#open.get(id)
    if (found === undefined) {
      found = new Conversation(id, this.engine, this.clock, (fault) => this.report(fault))
      for (const [old, model] of this.#open) {
        if (this.#open.size < OPEN_MAX) break
        if (model.draft === "") this.#open.delete(old)
      }
    }
    this.#open.delete(id)
    this.#open.set(id, found)
    return found
  }

  report(fault: Fault): void {
    if (this.toasts.some((toast) => toast.fault.code === fault.code && toast.fault.what === fault.what)) return
    const id = ++this.#lastToast
    this.toasts = [...this.toasts.slice(-2), { id, fault }]
    this.clock.after(TOAST_MS, () => this.dismissToast(id))
  }

  dismissToast(id: number): void {
    this.toasts = this.toasts.filter((toast) => toast.id !== id)
  }

  /** Runs what may fail; a fault becomes a toast. */
  async try(work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work()
      return true
    } catch (error) {
      this.report(faultOf(error))
      return false
    }
  }

  #read(): void {
    const route = parseRoute(this.#outside.place.hash())
    if (route.screen === "person" && this.account === null) this.invitedBy = route.address
    this.route = route
  }

  #absorb(event: EngineEvent): void {
    switch (event.kind) {
      case "connection":
        this.#setConnection(event.state)
        break
      case "account":
        this.account = event.account
        if (this.phase !== "opening") this.phase = event.account === null ? "new" : "ready"
        if (event.account === null) this.#forgetEverything()
        break
      case "conversations":
        this.#setConversations(event.conversations)
        break
      case "messages":
        this.#open.get(event.conversation)?.absorb(event)
        break
      case "transfer":
        for (const model of this.#open.values()) {
          if (model.messages.some(({ id }) => id === event.message)) {
            model.absorbTransfer(event.message, event.done, event.total)
          }
        }
        break
      case "call":
        this.calls.absorb(event.call)
        break
      case "check":
        this.check = event.check
        break
      case "fault":
        this.report(event.fault)
        break
    }
  }

  #setConnection(state: ConnectionState): void {
    this.connection = state
    this.#cancelOffline()
    this.#cancelOffline = () => undefined
    if (state.kind === "online") {
      this.offline = null
      return
    }
    const reason = state.kind === "offline" ? state.reason : ""
    if (this.offline !== null) {
      if (reason !== "") this.offline = { reason }
      return
    }
    this.#cancelOffline = this.clock.after(OFFLINE_SHOWN_MS, () => {
      this.offline = { reason }
    })
  }

  #setConversations(conversations: readonly ConversationView[]): void {
    const before = this.byId
    this.conversations = conversations
    for (const view of conversations) {
      if (view.unread <= (before.get(view.id)?.unread ?? 0)) continue
      this.#outside.onNotice({ conversation: view.id, title: view.title, text: view.lastText, call: view.lastCall })
    }
  }

  #forgetEverything(): void {
    this.#open.clear()
    this.conversations = []
    this.justMade = false
    this.go({ screen: "chats" }, true)
  }
}
