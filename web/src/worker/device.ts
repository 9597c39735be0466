// One registered device at work: its conversations, inbox, marks, typing and calls.
import { toHex } from "../core/bytes.js"
import { checkHandle } from "../core/protocol/directory.js"
import { normaliseOrigin } from "../core/origin.js"
import type { Applied } from "../core/e2ee/mls.js"
import { decodeCredential } from "../core/identity.js"
import type { ConnectionState, EngineEvent } from "./api.js"
import { random } from "./buffers.js"
import { Calls } from "./calls.js"
import type { Connection } from "./connection.js"
import { Context } from "./context.js"
import { type Arrival, Conversation, type Listener, type Snapshot, stageCommit } from "./conversation.js"
import { DIRECT_SIGNAL_KIND } from "./direct.js"
import { EngineError, faultOf } from "./errors.js"
import { Inbox } from "./inbox.js"
import { Marks } from "./marks.js"
import { deliverInvitations, inviteesOf } from "./membership.js"
import { isRegistered, keepStock, newKeyPackage, type OwnIdentity, register } from "./own.js"
import type { KnownPerson } from "./people.js"
import type { ConversationRow, InviteeRow } from "./store/rows.js"
import type { Store } from "./store/store.js"
import { Stopped } from "./sync.js"
import { Typing } from "./typing.js"
import { Uploads } from "./uploads.js"
import { Views } from "./views.js"

/** Devices added by one commit, so that the commit fits into one record. */
const ADD_BATCH_MAX = 48
/** How long a new conversation is awaited before it is shown as it is. */
const SETTLE_MS = 5_000

export class Device implements Listener {
  readonly conversations = new Map<number, Conversation>()
  readonly views: Views
  readonly typing: Typing
  readonly calls: Calls
  readonly uploads: Uploads
  private readonly marks: Marks
  private lastWaiting = 0
  private wasOnline = false

  private constructor(
    readonly context: Context,
    private readonly emit: (event: EngineEvent) => void,
  ) {
    this.views = new Views(context.store, context.own, (id) => this.live(id), emit)
    this.typing = new Typing(context, () => this.views.announce())
    this.calls = new Calls(context, this.views, (id) => this.conversations.get(id), emit, () => this.waitingOrder())
    this.uploads = new Uploads(context, (id) => this.conversations.get(id), emit)
    this.marks = new Marks(context, (id) => this.conversations.get(id))
    context.onConnection = (connection) => this.connectionChanged(connection)
  }

  /** Registers first when that is not done. */
  static async start(store: Store, own: OwnIdentity, emit: (event: EngineEvent) => void): Promise<Device> {
    const context = await Context.open(store, own, emit)
    try {
      if (!isRegistered(store)) await register(context)
    } catch (error) {
      context.stop()
      throw error
    }
    const device = new Device(context, emit)
    for (const row of store.rows("conversation")) {
      if (row.status !== "left") await device.open(row.id).catch((error: unknown) => device.fault(error))
    }
    const inbox = new Inbox(context, (id) => device.joined(id), (error) => device.fault(error))
    for (const work of [inbox.run(), deliverInvitations(context), keepStock(context), device.uploads.run()]) {
      work.catch((error: unknown) => device.fault(error))
    }
    await device.calls.restore()
    device.connectionChanged(context.connection(own.origin))
    return device
  }

  stop(): void {
    this.calls.stop()
    this.context.stop()
  }

  connectionState(): ConnectionState {
    const connection = this.context.connection(this.context.own.origin)
    if (connection.isConnected) return { kind: "online" }
    if (connection.generation === 0) return { kind: "connecting" }
    const isOffline = "onLine" in navigator && !navigator.onLine
    const reason = isOffline ? "This device is offline." : connection.downReason
    return { kind: "offline", reason: `${reason} What you write is kept and sent later.` }
  }

  private connectionChanged(connection: Connection): void {
    if (connection.origin !== this.context.own.origin) return
    if (connection.isConnected && !this.wasOnline) this.context.errands.beat()
    this.wasOnline = connection.isConnected
    this.emit({ kind: "connection", state: this.connectionState() })
  }

  // -- conversations ---------------------------------------------------------------------------------------------

  private live(id: number): { members: readonly { accountId: Uint8Array; deviceId: Uint8Array }[]; typing: readonly string[] } {
    const present = this.conversations.get(id)?.snapshot.members.map(([, credential]) => credential) ?? []
    const coming = this.context.store.get("pending_commit", id)?.invitees ?? []
    const members = [...present, ...coming.map(({ credential }) => decodeCredential(credential))]
    return { members, typing: this.typing.who(id).map((account) => this.views.addressOf(account)) }
  }

  private async open(id: number): Promise<Conversation> {
    const conversation = await Conversation.open(this.context, id, this)
    this.conversations.set(id, conversation)
    conversation.start()
    this.marks.schedule(conversation)
    this.views.announce()
    return conversation
  }

  /** An invitation came: a new conversation, or one that had removed us. */
  private async joined(id: number): Promise<void> {
    const known = this.conversations.get(id)
    await (known === undefined ? this.open(id) : known.resume())
    const conversation = this.conversations.get(id)
    // People of other servers, and those nobody looked up yet, are shown by name.
    for (const [, { accountId, origin }] of conversation?.snapshot.members ?? []) {
      if (this.context.people.row(accountId) === undefined) await this.context.people.refresh(accountId, origin).catch(() => undefined)
    }
    this.views.announce()
  }

  /** The conversation behind an id of the page. */
  conversation(id: string): Conversation {
    const row = this.views.find(id)
    const conversation = row && this.conversations.get(row.id)
    if (conversation === undefined) throw new EngineError("unknown_conversation", "There is no such conversation here.", "Go back to the list.")
    return conversation
  }

  async findPerson(address: string): Promise<KnownPerson> {
    const [handle = "", ...host] = address.trim().toLowerCase().replace(/^@/, "").split("@")
    const wrong = new EngineError("bad_address", `“${address.trim()}” is not a name here.`, "Write @name, or @name@server.")
    try {
      checkHandle(handle)
      return await this.context.people.lookUp(handle, host.length > 0 ? normaliseOrigin(host.join("@")) : this.context.own.origin)
    } catch (error) {
      throw error instanceof RangeError || (error as { code?: string }).code === "bad_request" ? wrong : error
    }
  }

  async conversationWith(address: string): Promise<string> {
    const person = await this.findPerson(address)
    const own = toHex(this.context.own.accountId)
    const other = toHex(person.accountId)
    if (other === own) throw new EngineError("self", "That is you.", "Write the name of somebody else.")
    for (const [id, conversation] of this.conversations) {
      const { isDirect, status, hidden } = conversation.row
      if (!isDirect || status === "left" || hidden) continue
      const accounts = new Set(conversation.snapshot.members.map(([, { accountId }]) => toHex(accountId)))
      const waitsFor = conversation.context.store.get("pending_commit", id)?.invitees ?? []
      waitsFor.forEach(({ credential }) => accounts.add(toHex(decodeCredential(credential).accountId)))
      if (accounts.size === 2 && accounts.has(other) && accounts.has(own)) return this.views.idOf(id)
    }
    return this.create([person], "", true)
  }

  async createGroup(title: string, addresses: readonly string[]): Promise<string> {
    const people = await Promise.all(addresses.map((address) => this.findPerson(address)))
    const own = toHex(this.context.own.accountId)
    const others = new Map(people.map((person) => [toHex(person.accountId), person]).filter(([id]) => id !== own) as [string, KnownPerson][])
    return this.create([...others.values()], title.trim().slice(0, 128), false)
  }

  private async create(people: readonly KnownPerson[], title: string, isDirect: boolean): Promise<string> {
    const { own, store, mls } = this.context
    const invitees = (await Promise.all(people.map((person) => inviteesOf(this.context, person)))).flat()
    const stream = random(16)
    const first = invitees.slice(0, ADD_BATCH_MAX)
    // The group, and whom it is for, are stored at once: a reload in between finishes what was begun.
    const id = await this.context.people.withFreshDevices(() =>
      store.transaction(async (tx) => {
        const group = await mls.createGroup(stream, await newKeyPackage(this.context))
        const pending = await stageCommit(this.context, group, first, [])
        const row: ConversationRow = {
          id: tx.nextKey("conversation"), stream, origin: own.origin, isDirect, title, status: "creating", hidden: false, nextSeq: 1,
          nextOrder: 1, unread: 0, lastText: "", lastTimeS: this.context.nowS(), toConfirm: [],
        }
        tx.put("conversation", row.id, row)
        tx.put("group", row.id, { state: await group.save() })
        tx.put("pending_commit", row.id, pending)
        for (const { accountId } of people) tx.patch("account", toHex(accountId), { accepted: true, refused: false })
        return row.id
      }),
    )
    const conversation = await this.open(id)
    await conversation.settled(SETTLE_MS)
    if (invitees.length > first.length) await this.add(conversation, invitees.slice(ADD_BATCH_MAX))
    return this.views.idOf(id)
  }

  async addMembers(conversation: Conversation, addresses: readonly string[]): Promise<void> {
    const people = await Promise.all(addresses.map((address) => this.findPerson(address)))
    const present = new Set(conversation.snapshot.members.map(([, { accountId }]) => toHex(accountId)))
    const absent = people.filter(({ accountId }) => !present.has(toHex(accountId)))
    const invitees = (await Promise.all(absent.map((person) => inviteesOf(this.context, person)))).flat()
    await this.context.store.transaction((tx) => {
      for (const { accountId } of absent) tx.patch("account", toHex(accountId), { accepted: true, refused: false })
    })
    await this.add(conversation, invitees)
  }

  private async add(conversation: Conversation, invitees: readonly InviteeRow[]): Promise<void> {
    for (let at = 0; at < invitees.length; at += ADD_BATCH_MAX) {
      await conversation.commit(invitees.slice(at, at + ADD_BATCH_MAX), () => false)
    }
  }

  /** Those in it may ring from now on, and learn that their messages arrived. */
  async accept(conversation: Conversation): Promise<void> {
    const own = toHex(this.context.own.accountId)
    const others = conversation.snapshot.members.map(([, { accountId }]) => toHex(accountId)).filter((id) => id !== own)
    const isDone = conversation.row.status !== "request" && others.every((id) => this.context.people.row(id)?.accepted !== false)
    if (isDone) return
    await this.context.store.transaction((tx) => {
      if (tx.get("conversation", conversation.id)?.status === "request") tx.patch("conversation", conversation.id, { status: "active" })
      for (const id of others) tx.patch("account", id, { accepted: true, refused: false })
    })
    this.marks.schedule(conversation)
  }

  async refuse(conversation: Conversation): Promise<void> {
    const own = toHex(this.context.own.accountId)
    await this.context.store.transaction((tx) => {
      tx.patch("conversation", conversation.id, { status: "left", hidden: true, toConfirm: [] })
      for (const [, { accountId }] of conversation.snapshot.members) {
        const id = toHex(accountId)
        if (id !== own && tx.get("account", id)?.accepted === false) tx.patch("account", id, { refused: true })
      }
    })
    conversation.stop()
    this.conversations.delete(conversation.id)
  }

  /** The place of a message that waits: above all others, in the order of writing. */
  waitingOrder(): number {
    this.lastWaiting = Math.max(this.lastWaiting + 1, 2 ** 40 + Date.now())
    return this.lastWaiting
  }

  // -- what conversations report ---------------------------------------------------------------------------------

  arrived(conversation: Conversation, arrival: Arrival): void {
    this.typing.spoke(conversation.id, arrival.said.sender)
    if (arrival.said.status === "received") this.marks.schedule(conversation)
    if (arrival.meaning.kind === "call") this.calls.arrived(conversation, arrival, arrival.meaning.body)
    if (arrival.meaning.kind === "note") this.calls.noteArrived(conversation, arrival, arrival.meaning.note)
    conversation.progress.beat()
  }

  signal(conversation: Conversation, body: Uint8Array): void {
    if (body[0] === 1 || body[0] === DIRECT_SIGNAL_KIND) this.calls.signal(conversation, body)
    else if (body[0] === 2) this.typing.signal(conversation, body)
  }

  membersText(applied: Applied, before: Snapshot): string {
    const names = (members: Applied["added"]): string =>
      [...new Set(members.map(({ identity }) => this.views.addressOf(toHex(decodeCredential(identity).accountId))))].join(", ")
    const by = before.members.find(([{ leaf }]) => leaf === applied.committer)?.[1]
    const who = by === undefined ? "" : this.views.addressOf(toHex(by.accountId))
    if (applied.removedSelf) return `${who || "Somebody"} removed you`
    if (applied.added.length > 0) return who === "" ? `${names(applied.added)} joined again` : `${who} added ${names(applied.added)}`
    return applied.removed.length > 0 ? `${who} removed ${names(applied.removed)}` : ""
  }

  fault(error: unknown): void {
    if (error instanceof Stopped || this.context.signal.aborted) return
    this.emit({ kind: "fault", fault: faultOf(error) })
  }
}
