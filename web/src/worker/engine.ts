// Everything the page may ask (api.ts), answered by this tab's own device.
import { fromHex, toHex } from "../core/bytes.js"
import * as mimi from "../core/e2ee/content/index.js"
import { Mls } from "../core/e2ee/mls.js"
import { safetyNumber } from "../core/identity.js"
import { checkHandle } from "../core/protocol/directory.js"
import type * as api from "./api.js"
import { random } from "./buffers.js"
import type { Conversation } from "./conversation.js"
import { Device } from "./device.js"
import { EngineError } from "./errors.js"
import { isRegistered, loadIdentity, type OwnIdentity, prepareIdentity, signIn } from "./own.js"
import { NetworkCheck } from "./network-check.js"
import type { MessageRow } from "./store/rows.js"
import type { Store } from "./store/store.js"
import { Mutex } from "./sync.js"

const PAGE_MAX = 200
const TEXT_CHARS_MAX = 16_000

const gone = (): EngineError => new EngineError("unknown_message", "That message is not here any more.", "Nothing needs to be done.")

export class LocalEngine implements api.Engine {
  private device: Device | undefined
  private check: NetworkCheck | undefined
  private readonly registering = new Mutex()

  private constructor(
    private readonly store: Store,
    private readonly origin: string,
    private readonly emit: (event: api.EngineEvent) => void,
    private readonly erased: () => void,
  ) {}

  /** `origin` is the server whose page this is. */
  static async start(store: Store, origin: string, emit: (event: api.EngineEvent) => void, erased: () => void): Promise<LocalEngine> {
    const engine = new LocalEngine(store, origin, emit, erased)
    const own = loadIdentity(store)
    if (own !== undefined && isRegistered(store)) engine.device = await Device.start(store, own, emit)
    return engine
  }

  stop(): void {
    this.check?.stop()
    this.device?.stop()
    this.store.close()
  }

  /** What a page that has just opened must learn. */
  async greet(): Promise<readonly api.EngineEvent[]> {
    const call = this.device?.calls.view()
    const events: api.EngineEvent[] = [{ kind: "connection", state: await this.connectionState() }]
    return call === undefined ? events : [...events, { kind: "call", call }]
  }

  networkIsBack(): void {
    this.device?.context.retryNow()
  }

  // -- account ---------------------------------------------------------------------------------------------------

  async account(): Promise<api.OwnAccount | null> {
    return this.device === undefined ? null : accountOf(this.device.context.own)
  }

  createAccount(handle: string): Promise<api.OwnAccount> {
    return this.registering.run(async () => {
      if (this.device !== undefined) throw new EngineError("has_account", "This browser has an account already.", "Reload the page.")
      const name = handle.trim().toLowerCase().replace(/^@/, "")
      try {
        checkHandle(name)
      } catch {
        throw new EngineError("bad_handle", "A name has 2 to 32 letters, digits, dots, dashes or underscores.", "Choose another name.")
      }
      const mls = await Mls.open({ checkMember: () => false })
      const own = await prepareIdentity(this.store, mls, this.origin, name)
      this.device = await Device.start(this.store, own, this.emit)
      const account = accountOf(own)
      this.emit({ kind: "account", account })
      return account
    })
  }

  async connectionState(): Promise<api.ConnectionState> {
    return this.device?.connectionState() ?? { kind: "connecting" }
  }

  async deleteAccount(): Promise<void> {
    const device = this.here()
    await device.context.http(device.context.own.origin).deleteAccount(await signIn(device.context))
    device.stop()
    this.device = undefined
    await this.store.erase()
    this.emit({ kind: "account", account: null })
    this.erased()
  }

  // -- conversations ---------------------------------------------------------------------------------------------

  async conversations(): Promise<readonly api.ConversationView[]> {
    return this.device?.views.conversations() ?? []
  }

  conversationWith(address: string): Promise<string> {
    return this.here().conversationWith(address)
  }

  createGroup(title: string, addresses: readonly string[]): Promise<string> {
    return this.here().createGroup(title, addresses)
  }

  addMembers(conversation: string, addresses: readonly string[]): Promise<void> {
    return this.here().addMembers(this.here().conversation(conversation), addresses)
  }

  async removeMember(conversation: string, accountId: string): Promise<void> {
    await this.here().conversation(conversation).commit([], (member) => toHex(member.accountId) === accountId)
  }

  acceptRequest(conversation: string): Promise<void> {
    return this.here().accept(this.here().conversation(conversation))
  }

  refuseRequest(conversation: string): Promise<void> {
    return this.here().refuse(this.here().conversation(conversation))
  }

  // -- messages --------------------------------------------------------------------------------------------------

  async messages(conversation: string, before: number | null, limit: number): Promise<api.MessagePage> {
    const device = this.here()
    const row = device.views.find(conversation)
    if (row === undefined) throw new EngineError("unknown_conversation", "There is no such conversation here.", "Go back to the list.")
    const count = Math.min(Math.max(1, Math.floor(limit)), PAGE_MAX)
    const rows = await this.store.page(row.id, 0, before ?? Number.MAX_SAFE_INTEGER, count + 1)
    const messages = await Promise.all(rows.slice(0, count).reverse().map((message) => device.views.message(message)))
    return { messages, more: rows.length > count }
  }

  async sendText(conversation: string, text: string, replyTo: string | null): Promise<string> {
    const inReplyTo = replyTo === null ? {} : { inReplyTo: (await this.message(replyTo)).messageId }
    return this.say(this.here().conversation(conversation), mimi.textMessage(salt(), checkText(text), inReplyTo), true)
  }

  async editText(message: string, text: string): Promise<void> {
    const { conversation, messageId } = await this.ownMessage(message)
    await this.say(conversation, mimi.textMessage(salt(), checkText(text), { replaces: messageId }), false)
  }

  async deleteMessage(message: string): Promise<void> {
    const { conversation, messageId } = await this.ownMessage(message)
    await this.say(conversation, mimi.deleteMessage(salt(), messageId), false)
  }

  async react(message: string, text: string): Promise<void> {
    const { conversation, messageId, row } = await this.message(message)
    const own = toHex(this.here().context.own.accountId)
    for (const reaction of row.reactions) {
      if (reaction.sender !== own) continue
      if (reaction.text === text) return
      await this.say(conversation, mimi.deleteMessage(salt(), fromHex(reaction.id) as mimi.MessageId, { reactionTo: messageId }), false)
    }
    if (text !== "") await this.say(conversation, mimi.reactionMessage(salt(), text, messageId), false)
  }

  async sendFile(conversation: string, file: File, caption: string): Promise<string> {
    const device = this.here()
    const target = device.conversation(conversation)
    await device.accept(target)
    return device.uploads.send(target, file, caption, device.waitingOrder())
  }

  async fetchFile(message: string): Promise<Blob> {
    const { conversation, row } = await this.message(message)
    return this.here().uploads.fetch(conversation, row)
  }

  async fetchNote(message: string): Promise<readonly Uint8Array[]> {
    const { row } = await this.message(message)
    const meaning = row.content === null ? undefined : mimi.interpret(mimi.decode(row.content))
    if (row.kind !== "note" || meaning?.kind !== "note") throw gone()
    return meaning.note.packets
  }

  async typing(conversation: string): Promise<void> {
    await this.here().typing.send(this.here().conversation(conversation))
  }

  async markRead(conversation: string): Promise<void> {
    const row = this.here().views.find(conversation)
    if (row === undefined || row.unread === 0) return
    await this.store.transaction((tx) => tx.patch("conversation", row.id, { unread: 0 }))
  }

  // -- trust -----------------------------------------------------------------------------------------------------

  async safetyNumber(account: string): Promise<string> {
    const { own, people } = this.here().context
    const row = people.row(account)
    if (row === undefined) throw new EngineError("unknown_account", "This person is not known here.", "Write to them first.")
    return safetyNumber(own.identityKey, row.identityKey)
  }

  async verify(account: string, number: string | null): Promise<void> {
    const isSame = number === null || plainDigits(number) === plainDigits(await this.safetyNumber(account))
    const { people } = this.here().context
    await (isSame ? people.trust(account, number === null ? "unverified" : "verified") : people.differs(account))
    if (!isSame) throw new EngineError("numbers_differ", "The numbers are not the same.", "Do not trust this chat: compare again, face to face.")
  }

  async serverKnows(): Promise<readonly api.ServerKnowledge[]> {
    const { context } = this.here()
    return context.http(context.own.origin).serverKnows(await signIn(context))
  }

  /** Not beside a call, which it would disturb; ends with the check. */
  async checkNetwork(withPause: boolean): Promise<void> {
    if (this.isInCall) throw new EngineError("busy", "A call is going on, and the check would disturb it.", "Check when it is over.")
    if (this.check !== undefined) return
    const check = new NetworkCheck(this.origin, withPause, (view) => this.emit({ kind: "check", check: view }))
    this.check = check
    await check.run().finally(() => (this.check = undefined))
  }

  async stopCheck(): Promise<void> {
    this.check?.stop()
  }

  // -- calls -----------------------------------------------------------------------------------------------------

  async placeCall(conversation: string): Promise<string> {
    const device = this.here()
    const target = device.conversation(conversation)
    const direct = device.calls.whyNotDirect(target)
    await device.accept(target)
    return device.calls.place(target, direct)
  }

  async answerCall(call: string): Promise<void> {
    this.here().calls.answer(call)
  }

  async declineCall(call: string): Promise<void> {
    this.here().calls.decline(call)
  }

  async hangUp(call: string): Promise<void> {
    this.here().calls.hangUp(call)
  }

  async mute(call: string, muted: boolean): Promise<void> {
    this.here().calls.mute(call, muted)
  }

  async speak(call: string, speaking: boolean): Promise<void> {
    this.here().calls.speak(call, speaking)
  }

  async callHistory(): Promise<readonly api.CallHistoryEntry[]> {
    return this.device?.calls.history() ?? []
  }

  async attachAudio(call: string, capture: MessagePort, playout: MessagePort): Promise<void> {
    this.here().calls.attach(call, capture, playout)
  }

  async attachDirect(call: string, peer: MessagePort | "hidden" | "unable"): Promise<void> {
    this.here().calls.attachDirect(call, peer)
  }

  get isInCall(): boolean {
    return this.device?.calls.isBusy ?? false
  }

  // -- inside ----------------------------------------------------------------------------------------------------

  private here(): Device {
    if (this.device === undefined) throw new EngineError("no_account", "There is no account in this browser yet.", "Choose a name first.")
    return this.device
  }

  private async say(conversation: Conversation, message: mimi.MimiContent, isShown: boolean): Promise<string> {
    const device = this.here()
    await device.accept(conversation)
    return (await conversation.say(message, isShown ? device.waitingOrder() : 0)).id
  }

  private async message(id: string): Promise<{ conversation: Conversation; messageId: mimi.MessageId; row: MessageRow }> {
    const device = this.here()
    const row = /^01[0-9a-f]{62}$/.test(id) ? await this.store.message(id) : undefined
    const conversation = row && device.conversations.get(row.conversation)
    if (row === undefined || conversation === undefined) throw gone()
    return { conversation, messageId: fromHex(id) as mimi.MessageId, row }
  }

  private async ownMessage(id: string): ReturnType<LocalEngine["message"]> {
    const found = await this.message(id)
    if (found.row.sender !== toHex(this.here().context.own.accountId)) {
      throw new EngineError("not_yours", "Only who wrote a message can change it.", "Nothing needs to be done.")
    }
    if (found.row.kind === "deleted") throw gone()
    return found
  }
}

const plainDigits = (number: string): string => number.replace(/\D/g, "")

const salt = (): mimi.Salt => random(16) as mimi.Salt

function checkText(text: string): string {
  const trimmed = wellFormed(text.trim())
  if (trimmed === "") throw new EngineError("empty", "There is nothing to send.", "Write something first.")
  if (trimmed.length > TEXT_CHARS_MAX) throw new EngineError("too_large", "The message is too long.", "Send it in parts or as a file.")
  return trimmed
}

const accountOf = (own: OwnIdentity): api.OwnAccount => ({
  accountId: toHex(own.accountId),
  handle: own.handle,
  address: `@${own.handle}`,
  serverOrigin: own.origin,
  link: `${own.origin}/#/@${own.handle}`,
})


/** A lone half of a surrogate pair cannot be written as UTF-8. */
const wellFormed = (text: string): string => new TextDecoder().decode(new TextEncoder().encode(text))
