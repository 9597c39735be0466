/** An engine whose people follow a script: for tests and pictures of the page, never shipped. */

import type {
  CallHistoryEntry, CallView, ConnectionState, ConversationView, Engine, EngineEvent, Fault, MessageView, NetworkCheckView, OwnAccount, Person,
  ServerKnowledge, Trust,
} from "../../src/worker/api.js"
import * as cast from "./people.js"
import { picture } from "./picture.js"

interface Talk {
  view: ConversationView
  messages: MessageView[]
}

const fault = (code: string, what: string, next: string): Fault => ({ code, what, next })

export type Scene = "full" | "new" | "bare" | "long"

export class FakeEngine implements Engine {
  readonly #nowS: number
  #emit: (event: EngineEvent) => void = () => undefined
  #account: OwnAccount | null = null
  #connection: ConnectionState = { kind: "online" }
  #talks = new Map<string, Talk>()
  #call: CallView | null = null
  #history: CallHistoryEntry[] = []
  #ids = 0
  /** What the page asked for, in order: `method(first argument)`. */
  readonly asked: string[] = []

  constructor(scene: Scene, nowS: number) {
    this.#nowS = nowS
    if (scene !== "new") this.#account = this.#own("noor")
    if (scene === "full") this.#fill()
    if (scene === "long") this.#talk("@jun", [cast.ME, cast.JUN], cast.longTalk(10_000), { unread: 0 })
  }

  listen(emit: (event: EngineEvent) => void): void {
    this.#emit = emit
  }

  #id(): string {
    return (++this.#ids).toString(16).padStart(32, "0")
  }

  #own(handle: string): OwnAccount {
    return {
      accountId: cast.ME.accountId, handle, address: `@${handle}`, serverOrigin: "https://chat.example.org",
      link: `https://chat.example.org/#/@${handle}`,
    }
  }

  #fill(): void {
    const { ME } = cast
    this.#talk("@ana", [ME, cast.ANA], cast.WITH_ANA, {})
    this.#talk("Garden committee", [ME, cast.LINA, cast.TOMAS, cast.SARA, cast.JUN], cast.IN_GROUP, { isDirect: false, unread: 3 })
    this.#talk(cast.STRANGER.address, [ME, cast.STRANGER], cast.FROM_STRANGER, { status: "request", unread: 2 })
    this.#talk("@tomas", [ME, cast.TOMAS], cast.WITH_TOMAS, { typing: ["@tomas"] })
    this.#talk("@city-library", [ME, cast.CITY], cast.WITH_LIBRARY, {})
    this.#talk("@echo", [ME, cast.ECHO], cast.WITH_ECHO, {})
    this.#talk("@jun", [ME, cast.JUN], cast.longTalk(40).map((line) => ({ ...line, minutesAgo: line.minutesAgo + 9 * 1440 })), {})
    const at = (minutesAgo: number): number => this.#nowS - minutesAgo * 60
    const of = (title: string): string => [...this.#talks.values()].find((talk) => talk.view.title === title)!.view.id
    this.#history = [
      { conversation: of("@tomas"), peer: "@tomas", timeS: at(1450), outgoing: false, outcome: "missed", seconds: 0 },
      { conversation: of("@ana"), peer: "@ana", timeS: at(1850), outgoing: true, outcome: "answered", seconds: 1284 },
      { conversation: of("@jun"), peer: "@jun", timeS: at(4000), outgoing: false, outcome: "answered", seconds: 412 },
      { conversation: of("@ana"), peer: "@ana", timeS: at(7000), outgoing: true, outcome: "unanswered", seconds: 0 },
      { conversation: of("@echo"), peer: "@echo", timeS: at(7200), outgoing: true, outcome: "answered", seconds: 38 },
    ]
  }

  #talk(title: string, members: readonly Person[], lines: readonly cast.Line[], some: Partial<ConversationView>): Talk {
    const id = this.#id()
    const messages: MessageView[] = []
    for (const [index, line] of lines.entries()) {
      const answered = line.answers === undefined ? undefined : messages[line.answers]
      messages.push({
        id: this.#id(), conversation: id, order: index, sender: line.from, timeS: this.#nowS - line.minutesAgo * 60,
        delivery: line.delivery ?? (line.from.isMe ? "delivered" : "received"), edited: line.edited ?? false,
        replyTo: answered === undefined ? null : { id: answered.id, sender: answered.sender.address, text: this.#words(answered) },
        reactions: line.reactions ?? [],
        body: line.body ?? { kind: "text", text: line.text ?? "" },
      })
    }
    const view: ConversationView = {
      id, isDirect: true, title, status: "active", members, unread: 0, lastText: "", lastCall: null, lastTimeS: 0, typing: [], ...some,
    }
    const talk = { view, messages }
    this.#talks.set(id, talk)
    this.#touch(talk)
    return talk
  }

  #words({ body, sender }: MessageView): string {
    switch (body.kind) {
      case "text": return body.text
      case "file": return body.caption || body.file.name
      case "note": return `Voice note, ${body.seconds} s`
      case "call": return ""
      case "members": return body.text
      case "deleted": return `${sender.address} deleted a message`
      case "unknown": return ""
    }
  }

  #touch(talk: Talk): void {
    const last = talk.messages.at(-1)
    if (last === undefined) return
    const lastCall = last.body.kind === "call" ? last.body : null
    talk.view = { ...talk.view, lastText: this.#words(last), lastCall, lastTimeS: last.timeS }
  }

  #list(): readonly ConversationView[] {
    return [...this.#talks.values()].map(({ view }) => view).sort((a, b) => b.lastTimeS - a.lastTimeS)
  }

  #sayList(): void {
    this.#emit({ kind: "conversations", conversations: this.#list() })
  }

  #find(message: string): { talk: Talk; index: number } {
    for (const talk of this.#talks.values()) {
      const index = talk.messages.findIndex(({ id }) => id === message)
      if (index >= 0) return { talk, index }
    }
    throw fault("not_found", "This message is not here any more.", "Reload the page.")
  }

  #change(message: string, some: Partial<MessageView>): void {
    const { talk, index } = this.#find(message)
    const changed = { ...talk.messages[index]!, ...some }
    talk.messages[index] = changed
    this.#touch(talk)
    this.#emit({ kind: "messages", conversation: talk.view.id, changed: [changed], removed: [] })
    this.#sayList()
  }

  #of(conversation: string): Talk {
    const talk = this.#talks.get(conversation)
    if (talk === undefined) throw fault("not_found", "This conversation is not here.", "Choose another one.")
    return talk
  }

  /** Adds a message as if it had just been written. */
  say(conversation: string, from: Person, body: MessageView["body"], some: Partial<MessageView> = {}): MessageView {
    const talk = this.#of(conversation)
    const waits = this.#connection.kind !== "online"
    const message: MessageView = {
      id: this.#id(), conversation, order: (talk.messages.at(-1)?.order ?? -1) + 1, sender: from, timeS: this.#nowS,
      delivery: from.isMe ? (waits ? "waiting" : "sent") : "received", edited: false, replyTo: null, reactions: [], body, ...some,
    }
    talk.messages.push(message)
    if (!from.isMe) talk.view = { ...talk.view, unread: talk.view.unread + 1 }
    this.#touch(talk)
    this.#emit({ kind: "messages", conversation, changed: [message], removed: [] })
    this.#sayList()
    return message
  }

  // -- what tests and pictures do from outside -------------------------------------------------------------------------

  idOf(title: string): string {
    return this.#list().find((view) => view.title === title)?.id ?? ""
  }

  arrive(title: string, text: string): void {
    const talk = this.#of(this.idOf(title))
    this.say(talk.view.id, talk.view.members.find((person) => !person.isMe)!, { kind: "text", text })
  }

  connection(state: ConnectionState): void {
    this.#connection = state
    this.#emit({ kind: "connection", state })
  }

  trouble(some: Fault): void {
    this.#emit({ kind: "fault", fault: some })
  }

  transfer(message: string, done: number, total: number): void {
    this.#emit({ kind: "transfer", message, done, total })
  }

  call(title: string, some: Partial<CallView>): void {
    const talk = this.#of(this.idOf(title))
    const peer = talk.view.members.find((person) => !person.isMe) ?? null
    const base: CallView = this.#call ?? {
      id: this.#id(), conversation: talk.view.id, peer, incoming: true, phase: "ringing_here", muted: false, sinceMs: null,
      carrier: "", way: null, direct: null, verdicts: [], trace: [], ignored: 0, notes: null, quality: "unknown", qualityThere: "unknown", ended: "",
    }
    this.#call = { ...base, ...some }
    this.#emit({ kind: "call", call: this.#call })
    if (this.#call.phase === "ended") this.#call = null
  }

  // -- Engine --------------------------------------------------------------------------------------------------------

  async account(): Promise<OwnAccount | null> {
    return this.#account
  }

  async createAccount(handle: string): Promise<OwnAccount> {
    this.asked.push(`createAccount(${handle})`)
    if (handle === "taken") throw fault("handle_taken", "@taken belongs to somebody else.", "Choose another handle.")
    this.#account = this.#own(handle)
    this.#emit({ kind: "account", account: this.#account })
    return this.#account
  }

  async connectionState(): Promise<ConnectionState> {
    return this.#connection
  }

  async conversations(): Promise<readonly ConversationView[]> {
    return this.#list()
  }

  async conversationWith(address: string): Promise<string> {
    this.asked.push(`conversationWith(${address})`)
    const known = this.idOf(address)
    if (known !== "") return known
    if (address === "@nobody") throw fault("unknown_handle", "Nobody here is called @nobody.", "Check the spelling.")
    const person = address === "@echo" ? cast.ECHO : { accountId: this.#id(), address, isMe: false, trust: "unverified" as const }
    const talk = this.#talk(address, [cast.ME, person], [], { lastTimeS: this.#nowS })
    this.#sayList()
    return talk.view.id
  }

  async createGroup(title: string, addresses: readonly string[]): Promise<string> {
    this.asked.push(`createGroup(${title})`)
    const people = addresses.map((address) => ({ accountId: this.#id(), address, isMe: false, trust: "unverified" as const }))
    const talk = this.#talk(title, [cast.ME, ...people], [], { isDirect: false, lastTimeS: this.#nowS })
    this.#sayList()
    return talk.view.id
  }

  async addMembers(conversation: string, addresses: readonly string[]): Promise<void> {
    const talk = this.#of(conversation)
    const people = addresses.map((address) => ({ accountId: this.#id(), address, isMe: false, trust: "unverified" as const }))
    talk.view = { ...talk.view, members: [...talk.view.members, ...people] }
    this.say(conversation, cast.ME, { kind: "members", text: `@noor added ${addresses.join(", ")}` })
  }

  async removeMember(conversation: string, accountId: string): Promise<void> {
    this.asked.push(`removeMember(${accountId})`)
    const talk = this.#of(conversation)
    const own = accountId === cast.ME.accountId
    talk.view = { ...talk.view, status: own ? "left" : "active", members: talk.view.members.filter((person) => person.accountId !== accountId) }
    this.#sayList()
  }

  async acceptRequest(conversation: string): Promise<void> {
    this.asked.push("acceptRequest()")
    const talk = this.#of(conversation)
    talk.view = { ...talk.view, status: "active", unread: 0 }
    this.#sayList()
  }

  async refuseRequest(conversation: string): Promise<void> {
    this.asked.push("refuseRequest()")
    this.#talks.delete(conversation)
    this.#sayList()
  }

  async messages(conversation: string, before: number | null, limit: number): Promise<{ messages: readonly MessageView[]; more: boolean }> {
    const all = this.#of(conversation).messages.filter((message) => before === null || message.order < before)
    return { messages: all.slice(-limit), more: all.length > limit }
  }

  async sendText(conversation: string, text: string, replyTo: string | null): Promise<string> {
    this.asked.push(`sendText(${text})`)
    const answered = replyTo === null ? null : this.#find(replyTo)
    const quoted = answered?.talk.messages[answered.index]
    const message = this.say(conversation, cast.ME, { kind: "text", text }, quoted === undefined ? {} : {
      replyTo: { id: quoted.id, sender: quoted.sender.address, text: this.#words(quoted) },
    })
    if (this.#of(conversation).view.title === "@echo" && this.#connection.kind === "online") {
      setTimeout(() => {
        this.#change(message.id, { delivery: "delivered" })
        this.say(conversation, cast.ECHO, { kind: "text", text })
      }, 300)
    }
    return message.id
  }

  async editText(message: string, text: string): Promise<void> {
    this.asked.push(`editText(${text})`)
    this.#change(message, { body: { kind: "text", text }, edited: true })
  }

  async deleteMessage(message: string): Promise<void> {
    this.asked.push("deleteMessage()")
    this.#change(message, { body: { kind: "deleted" }, reactions: [] })
  }

  async react(message: string, text: string): Promise<void> {
    this.asked.push(`react(${text})`)
    const { talk, index } = this.#find(message)
    const others = talk.messages[index]!.reactions
      .map((reaction) => (reaction.mine ? { ...reaction, mine: false, count: reaction.count - 1 } : reaction))
      .filter((reaction) => reaction.count > 0 && reaction.text !== text)
    const same = talk.messages[index]!.reactions.find((reaction) => reaction.text === text)
    const mine = text === "" ? [] : [{ text, mine: true, count: (same?.mine ? same.count : (same?.count ?? 0) + 1) }]
    this.#change(message, { reactions: [...others, ...mine] })
  }

  async sendFile(conversation: string, file: File, caption: string): Promise<string> {
    this.asked.push(`sendFile(${file.name}, ${file.type}, ${caption})`)
    const body = { kind: "file", file: { name: file.name, contentType: file.type, bytes: file.size }, caption } as const
    const { id } = this.say(conversation, cast.ME, body, { delivery: "waiting" })
    this.#emit({ kind: "transfer", message: id, done: Math.floor(file.size * 0.4), total: file.size })
    return id
  }

  async fetchFile(message: string): Promise<Blob> {
    this.asked.push("fetchFile()")
    const { talk, index } = this.#find(message)
    const { body } = talk.messages[index]!
    if (body.kind === "file" && body.file.contentType === "image/png") return picture()
    return new Blob(["%PDF-1.4 nothing"], { type: "application/pdf" })
  }

  async fetchNote(): Promise<readonly Uint8Array[]> {
    this.asked.push("fetchNote()")
    return Array.from({ length: 17 }, () => Uint8Array.of(0x58))
  }

  async typing(): Promise<void> {
    this.asked.push("typing()")
  }

  async markRead(conversation: string): Promise<void> {
    const talk = this.#of(conversation)
    talk.view = { ...talk.view, unread: 0 }
    this.#sayList()
  }

  async safetyNumber(): Promise<string> {
    return "482915037166420958317704426189350271640883925570163492837415"
  }

  async verify(account: string, number: string | null): Promise<void> {
    this.asked.push(`verify(${number ?? "null"})`)
    const isSame = number === null || number === (await this.safetyNumber())
    this.trust(account, number === null || !isSame ? "unverified" : "verified")
    if (!isSame) throw fault("numbers_differ", "The numbers are not the same.", "Compare again.")
  }

  members(title: string): readonly Person[] {
    return [...this.#talks.values()].find(({ view }) => view.title === title)!.view.members
  }

  /** What is known of somebody's key, wherever they are a member. */
  trust(account: string, trust: Trust): void {
    for (const talk of this.#talks.values()) {
      const members = talk.view.members.map((person) => (person.accountId === account ? { ...person, trust } : person))
      talk.view = { ...talk.view, members }
    }
    this.#sayList()
  }

  async serverKnows(): Promise<readonly ServerKnowledge[]> {
    return [
      { what: "Your account number", why: "To tell accounts apart. It is random.", until: "you delete the account", value: cast.ME.accountId },
      { what: "Your handle", why: "So that others find you when they type it.", until: "you delete the account", value: "@noor" },
      { what: "The public key of your account", why: "To check that your devices are yours.", until: "you delete the account", value: "9f3c 41d0 77ab 12ee … 6b20" },
      { what: "Your devices", why: "Each has a public key and an inbox for invitations.", until: "you remove the device", value: "1 device, added 24 November 2026" },
      { what: "Key packages", why: "Others use one each time they start a conversation with you.", until: "used, or 90 days", value: "41 left" },
      { what: "Your inbox", why: "Encrypted invitations wait here. Who sent them is inside.", until: "fetched, or 30 days", value: "0 waiting" },
    ]
  }

  async checkNetwork(withPause: boolean): Promise<void> {
    this.asked.push(`checkNetwork(${String(withPause)})`)
    this.checked({ running: true, done: 18, total: 23 })
  }

  async stopCheck(): Promise<void> {
    this.asked.push("stopCheck()")
    this.checked({ running: false, verdicts: [] })
  }

  /** How far the check is. */
  checked(some: Partial<NetworkCheckView>): void {
    const steps: NetworkCheckView["steps"] = [
      { name: "connection", state: "done", values: { openMs: 61, p50Ms: 48, p95Ms: 57 } },
      { name: "lanes", state: "done", values: { opened: 4, live: 4 } },
      { name: "rhythm", state: "done", values: { latePercent: 7, queueingMs: 0 } },
      { name: "bytes", state: some.running ? "running" : "done", values: { bytes: 15_872, frozen: 1 } },
      { name: "idle", state: "left_out", values: {} },
    ]
    this.#emit({ kind: "check", check: { running: false, done: 23, total: 23, verdicts: [], steps, ...some } })
  }

  async deleteAccount(): Promise<void> {
    this.asked.push("deleteAccount()")
    this.#account = null
    this.#talks.clear()
    this.#emit({ kind: "account", account: null })
  }

  async placeCall(conversation: string): Promise<string> {
    this.asked.push("placeCall()")
    const { view } = this.#of(conversation)
    this.#call = null
    this.call(view.title, { incoming: false, phase: "calling" })
    return this.#call!.id
  }

  async answerCall(): Promise<void> {
    this.asked.push("answerCall()")
    this.#callChange({ phase: "connecting" })
  }

  async declineCall(): Promise<void> {
    this.asked.push("declineCall()")
    this.#callChange({ phase: "ended", ended: "You declined." })
  }

  async hangUp(): Promise<void> {
    this.asked.push("hangUp()")
    this.#callChange({ phase: "ended", ended: "You hung up." })
  }

  async mute(_call: string, muted: boolean): Promise<void> {
    this.asked.push(`mute(${String(muted)})`)
    this.#callChange({ muted })
  }

  /** As the engine tells it: how long is spoken, then what is on its way. */
  async speak(_call: string, speaking: boolean): Promise<void> {
    this.asked.push(`speak(${String(speaking)})`)
    const notes = this.#call?.notes
    if (notes) this.#callChange({ notes: { ...notes, speaking, spokenMs: speaking ? 1_300 : 0, unsent: speaking ? notes.unsent : notes.unsent + 1 } })
  }

  #callChange(some: Partial<CallView>): void {
    if (this.#call === null) return
    this.#call = { ...this.#call, ...some }
    this.#emit({ kind: "call", call: this.#call })
    if (this.#call.phase === "ended") this.#call = null
  }

  async callHistory(): Promise<readonly CallHistoryEntry[]> {
    return this.#history
  }

  async attachAudio(): Promise<void> {
    this.asked.push("attachAudio()")
  }

  async attachDirect(_call: string, peer: MessagePort | "hidden" | "unable"): Promise<void> {
    this.asked.push(`attachDirect(${typeof peer === "string" ? peer : "port"})`)
  }
}
