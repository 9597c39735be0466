// One conversation: its MLS group, its stream, what we have to send and what we receive.
//
// The log decides. A message or commit of ours counts as accepted when it comes back in the stream, in its place
// between those of others; an acknowledgement only says that it will. So every member sees one order, a repeated send
// is recognised by its bytes, and nothing is sealed for a new epoch before the log of the old one was read to its end.
import { equalBytes, toHex } from "../core/bytes.js"
import * as mimi from "../core/e2ee/content/index.js"
import { ContentError } from "../core/e2ee/content/errors.js"
import { type Applied, type Group, type Member, MlsError } from "../core/e2ee/mls.js"
import { decodeCredential, type Credential } from "../core/identity.js"
import { TOKEN_LABEL } from "../core/labels.js"
import { type Record, Right, StreamKind, type StreamId, type Token } from "../core/protocol/frames.js"
import { APPEND_BYTES_MAX, APPEND_RECORDS_MAX, paddedSize, RECORD_BYTES_MAX, TOKEN_BYTES } from "../core/protocol/limits.js"
import { sha256 } from "./buffers.js"
import { noteOffer } from "./call-log.js"
import { rememberCallKey, rollCallKeys } from "./call-keys.js"
import { bytesOf, type Connection, type Subscription } from "./connection.js"
import type { Context } from "./context.js"
import { EngineError, Refused, Unreachable } from "./errors.js"
import { noteDeposits } from "./membership.js"
import { hasBadNote } from "./notes.js"
import { tokenHash } from "./own.js"
import type { ConversationRow, InviteeRow, MessageRow, OutboxRow, PendingCommitRow } from "./store/rows.js"
import type { Transaction } from "./store/store.js"
import { Pulse, pause, Stopped } from "./sync.js"
import { addLine, apply, place, type Said } from "./timeline.js"

const RETRY_MS = 1_000
const REFUSED_RETRY_MS = 20_000
/** What a record holds besides the framing and signature of MLS. */
export const CONTENT_BYTES_MAX = RECORD_BYTES_MAX - 1024
/** Records dealt with in one transaction. */
const BATCH_RECORDS_MAX = 64

export const NOT_A_MEMBER = "not_a_member"
const notAMember = (): EngineError =>
  new EngineError(NOT_A_MEMBER, "This device is not in the conversation any more.", "Ask somebody in it to add you again.")

/** The group as it was after the last change, to read from at any time. */
export interface Snapshot {
  readonly token: Token
  readonly epoch: number
  readonly ownLeaf: number
  readonly members: readonly (readonly [Member, Credential])[]
}

/** What a stored message means to others than the timeline. */
export interface Arrival {
  readonly said: Said
  readonly meaning: mimi.Meaning
  /** The sender's leaf. */
  readonly leaf: number
}

export interface Listener {
  arrived(conversation: Conversation, arrival: Arrival): void
  signal(conversation: Conversation, body: Uint8Array): void
  membersText(applied: Applied, before: Snapshot): string
  fault(error: unknown): void
}

export class Conversation {
  readonly stream: StreamId
  readonly connection: Connection
  private readonly subscription: Subscription
  private cached: Group | undefined
  private readonly queue: (readonly Record[])[] = []
  private readonly arrived = new Pulse()
  private readonly wake = new Pulse()
  private wanted = false
  private toldOfRefusal = false
  private committing: Promise<unknown> = Promise.resolve()
  private readonly ended = new AbortController()
  /** Beats whenever the log has moved on. */
  readonly progress = new Pulse()
  snapshot!: Snapshot

  private constructor(
    readonly context: Context,
    readonly id: number,
    private readonly listener: Listener,
  ) {
    const row = this.row
    this.stream = row.stream as StreamId
    this.connection = context.connection(row.origin)
    this.subscription = {
      stream: this.stream,
      capability: async () => [this.snapshot.token, this.row.nextSeq],
      onRecords: (records) => {
        this.queue.push(records)
        this.arrived.beat()
      },
      onSignal: (body) => this.listener.signal(this, body),
      onChange: () => this.advance(),
      opened: undefined,
      refused: undefined,
    }
    context.signal.addEventListener("abort", () => this.ended.abort(), { once: true })
  }

  static async open(context: Context, id: number, listener: Listener): Promise<Conversation> {
    const conversation = new Conversation(context, id, listener)
    await conversation.reload()
    return conversation
  }

  get row(): ConversationRow {
    return this.context.store.get("conversation", this.id) as ConversationRow
  }

  get isActive(): boolean {
    return this.row.status === "active" || this.row.status === "request"
  }

  /** Runs until the conversation or the engine ends. */
  start(): void {
    const tasks = [() => this.receive(), () => this.send()]
    const work = async (): Promise<void> => {
      await this.ensureStream()
      if (this.isActive) await this.connection.subscribe(this.subscription).catch(() => undefined)
      await Promise.all(tasks.map((task) => task()))
    }
    work().catch((error: unknown) => {
      if (!(error instanceof Stopped)) this.listener.fault(error)
    })
  }

  stop(): void {
    this.ended.abort()
    this.connection.unsubscribe(this.stream)
  }

  /** We have been invited again. */
  async resume(): Promise<void> {
    await this.reload()
    this.subscription.refused = undefined
    await this.connection.subscribe(this.subscription).catch(() => undefined)
    this.advance()
  }

  private async reload(): Promise<void> {
    const saved = this.context.store.get("group", this.id)
    if (saved === undefined) throw new EngineError("storage_damaged", "The keys of a conversation are missing.", "Ask to be added again.")
    this.cached = await this.context.mls.load(saved.state)
    this.snapshot = await this.look(this.cached)
  }

  /** Runs `work` on the newest group; the group is saved with whatever else `work` changes, or nothing is. */
  changing<R>(work: (group: Group, tx: Transaction) => Promise<R>): Promise<R> {
    return this.context.store.transaction(async (tx) => {
      const saved = tx.get("group", this.id)
      if (saved === undefined) throw notAMember()
      const group = this.cached ?? (await this.context.mls.load(saved.state))
      this.cached = undefined
      const result = await work(group, tx)
      tx.put("group", this.id, { state: await group.save() })
      const snapshot = Number(group.epoch) === this.snapshot.epoch || group.isRemoved ? this.snapshot : await this.look(group)
      tx.after.push(() => {
        this.cached = group
        this.snapshot = snapshot
      })
      return result
    })
  }

  private async look(group: Group): Promise<Snapshot> {
    const token = group.isRemoved ? new Uint8Array(TOKEN_BYTES) : await group.export(TOKEN_LABEL, new Uint8Array(0), TOKEN_BYTES)
    const members = group.members().map((member) => [member, decodeCredential(member.identity)] as const)
    return { token: token as Token, epoch: Number(group.epoch), ownLeaf: group.ownLeaf, members }
  }

  // -- receiving -------------------------------------------------------------------------------------------------

  private async receive(): Promise<void> {
    for (;;) {
      const records = this.queue.shift()
      if (records === undefined) {
        await this.arrived.next(this.ended.signal)
        continue
      }
      for (let at = 0; at < records.length; at += BATCH_RECORDS_MAX) await this.take(records.slice(at, at + BATCH_RECORDS_MAX))
      this.connection.consumed(bytesOf(records))
      this.advance()
    }
  }

  /** Deals with a batch in one transaction; tries again for as long as a device list or room to store is lacking. */
  private async take(records: readonly Record[]): Promise<void> {
    if (!this.isActive) return
    const before = this.snapshot.epoch
    for (let faulted = false; ; ) {
      try {
        await this.context.people.withFreshDevices((isUnknown) => this.applyAll(records, isUnknown))
        break
      } catch (error) {
        if (error instanceof Stopped) throw error
        if (!(error instanceof Unreachable) && !faulted) this.listener.fault(error)
        faulted ||= !(error instanceof Unreachable)
        await pause(RETRY_MS * (faulted ? 3 : 1), this.ended.signal)
      }
    }
    if (!this.isActive) this.connection.unsubscribe(this.stream)
    else if (this.snapshot.epoch !== before) await this.connection.reopen(this.stream).catch(() => undefined)
  }

  private async applyAll(records: readonly Record[], isUnknown: (error: unknown) => boolean): Promise<void> {
    const arrivals: Arrival[] = []
    const refusals: MlsError[] = []
    await this.changing(async (group, tx) => {
      arrivals.length = refusals.length = 0
      for (const record of records) {
        const row = tx.get("conversation", this.id) as ConversationRow
        if (Number(record.seq) < row.nextSeq) continue
        const refusal = group.isRemoved ? undefined : await this.applyOne(group, tx, record, isUnknown, arrivals)
        if (refusal !== undefined) refusals.push(refusal)
        tx.patch("conversation", this.id, { nextSeq: Number(record.seq) + 1 })
      }
    })
    for (const arrival of arrivals) this.listener.arrived(this, arrival)
    if (refusals.length === 0 || this.toldOfRefusal) return
    // Once is enough: whoever can write to the log could otherwise cover the screen.
    this.toldOfRefusal = true
    this.listener.fault(refusals[0])
  }

  /** Returns why the record was refused, if it was; the group is then as before. */
  private async applyOne(
    group: Group,
    tx: Transaction,
    record: Record,
    isUnknown: (error: unknown) => boolean,
    arrivals: Arrival[],
  ): Promise<MlsError | undefined> {
    const digest = toHex(await sha256(record.body))
    const mine = tx.entries("outbox").find(([, row]) => row.conversation === this.id && row.bodyHash === digest)
    if (mine !== undefined) {
      const [key, row] = mine
      tx.drop("outbox", key)
      await place(tx, row.id, row.order, Number(record.receivedS))
      return undefined
    }
    const pending = tx.get("pending_commit", this.id)
    const before = await this.look(group)
    let event
    try {
      const isPending = pending !== undefined && equalBytes(pending.body, record.body)
      event = await group.process(isPending ? (group.stagedCommit?.commit ?? record.body) : record.body)
    } catch (error) {
      if (!(error instanceof MlsError) || isUnknown(error)) throw error
      return error // damaged, replayed or forged
    }
    if (event.kind === "commit") {
      if (event.own && pending !== undefined) noteDeposits(this.context, tx, this.id, pending, Number(record.seq) + 1)
      await this.epochChanged(group, tx, event, before, Number(record.receivedS))
    } else if (event.kind === "application" && event.authenticatedData.length === 0) {
      const arrival = await this.received(group, tx, record, event)
      if (arrival !== undefined) arrivals.push(arrival)
    }
    return undefined
  }

  private async received(
    group: Group,
    tx: Transaction,
    record: Record,
    event: { readonly sender: number; readonly identity: Uint8Array; readonly data: Uint8Array },
  ): Promise<Arrival | undefined> {
    const sender = decodeCredential(event.identity)
    const [senderUri, roomUri] = [mimi.senderUri(sender.accountId), mimi.roomUri(this.stream)]
    let message: mimi.MimiContent
    let meaning: mimi.Meaning
    try {
      message = mimi.decode(event.data)
      mimi.checkContext(message, senderUri, roomUri)
      mimi.checkExpiry(message, this.context.nowS())
      meaning = mimi.interpret(message)
    } catch (error) {
      if (error instanceof ContentError) return undefined
      throw error
    }
    if (hasBadNote(meaning)) return undefined
    const isMine = equalBytes(sender.accountId, this.context.own.accountId)
    const said: Said = {
      conversation: this.id,
      id: toHex(await mimi.messageId(event.data, senderUri, roomUri)),
      sender: toHex(sender.accountId),
      device: toHex(sender.deviceId),
      timeS: Number(record.receivedS),
      status: isMine ? "sent" : "received",
      waiting: null,
      content: event.data,
      message,
      meaning,
    }
    await apply(tx, said)
    if (meaning.kind === "call") noteOffer(tx, said, meaning.body)
    await rememberCallKey(this.context, tx, this.id, group, meaning, epochOf(record.body))
    return { said, meaning, leaf: event.sender }
  }

  private async epochChanged(group: Group, tx: Transaction, applied: Applied, before: Snapshot, timeS: number): Promise<void> {
    tx.drop("pending_commit", this.id)
    const text = this.listener.membersText(applied, before)
    if (text !== "" && !this.row.isDirect) addLine(tx, this.membersLine(text, timeS, applied))
    if (applied.removedSelf) {
      tx.patch("conversation", this.id, { status: "left" })
      // Words stay to be seen; what was for that moment only does not.
      for (const [key, row] of tx.entries("outbox")) if (row.conversation === this.id && row.order === 0) tx.drop("outbox", key)
      return
    }
    await rollCallKeys(this.context, tx, this.id, group)
  }

  private membersLine(text: string, timeS: number, applied: Applied): Omit<MessageRow, "order"> & { order: null } {
    const own = toHex(this.context.own.accountId)
    const id = `${toHex(this.stream)}${applied.epoch.toString(16).padStart(16, "0")}`
    return {
      conversation: this.id, order: null, id, sender: own, device: "", timeS, status: "sent", kind: "members", text,
      edited: false, replyTo: null, reactions: [], file: null, content: null, call: null, deliveredTo: [],
    }
  }

  // -- sending ---------------------------------------------------------------------------------------------------

  /** Queues a message durably; it leaves as soon as the server can be reached. `order` 0 shows nothing. */
  async say(content: mimi.MimiContent, order: number, alsoIn?: (tx: Transaction) => void): Promise<Said> {
    const encoded = mimi.encode(content)
    if (encoded.length > CONTENT_BYTES_MAX) {
      throw new EngineError("too_large", "The message is too long.", "Send it in parts or as a file.")
    }
    const said = await this.saidByUs(encoded, content, order)
    await this.context.store.transaction(async (tx) => {
      if (tx.get("conversation", this.id)?.status === "left") throw notAMember()
      await apply(tx, said)
      this.queueIn(tx, said, order)
      alsoIn?.(tx)
    })
    this.wakeUp()
    return said
  }

  queueIn(tx: Transaction, said: Pick<Said, "content" | "id">, order: number): void {
    const { content, id } = said
    const row: OutboxRow = { conversation: this.id, content, id, order, body: null, bodyHash: "", epoch: -1 }
    tx.put("outbox", tx.nextKey("outbox"), row)
  }

  async saidByUs(content: Uint8Array, message: mimi.MimiContent, order: number): Promise<Said> {
    const { own } = this.context
    const id = await mimi.messageId(content, mimi.senderUri(own.accountId), mimi.roomUri(this.stream))
    return {
      conversation: this.id, id: toHex(id), sender: toHex(own.accountId), device: toHex(own.deviceId),
      timeS: this.context.nowS(), status: "waiting", waiting: order, content, message, meaning: mimi.interpret(message),
    }
  }

  /** Waits until nothing of these ids waits any more. */
  async sent(id: string): Promise<void> {
    while (this.context.store.rows("outbox").some((row) => row.id === id)) await this.progress.next(this.ended.signal)
  }

  wakeUp(): void {
    this.wanted = true
    this.wake.beat()
  }

  private async send(): Promise<void> {
    for (;;) {
      this.wanted = false
      try {
        await this.pushPendingCommit()
        while (this.isCaughtUp && (await this.sendBatch()));
      } catch (error) {
        if (error instanceof Stopped) throw error
        if (error instanceof Refused) {
          await this.afterRefusal(error)
          continue
        }
        if (!(error instanceof Unreachable)) {
          this.listener.fault(error)
          await pause(RETRY_MS * 3, this.ended.signal)
          continue
        }
      }
      if (!this.wanted) await this.wake.next(this.ended.signal)
    }
  }

  /** Sends the oldest messages that wait; false when there are none. */
  private async sendBatch(): Promise<boolean> {
    const bodies = await this.sealBatch()
    if (bodies.length === 0) return false
    const { generation } = this.connection
    await this.connection.append(this.stream, bodies)
    const digests = new Set(await Promise.all(bodies.map(async (body) => toHex(await sha256(body)))))
    await this.until(() => !this.context.store.rows("outbox").some(({ bodyHash }) => digests.has(bodyHash)), generation)
    return true
  }

  private waiting(tx?: Transaction): [number, OutboxRow][] {
    const rows = (tx ?? this.context.store).entries("outbox") as [number, OutboxRow][]
    return rows.filter(([, row]) => row.conversation === this.id).sort(([a], [b]) => a - b)
  }

  private async sealBatch(): Promise<Uint8Array[]> {
    if (!this.isActive || this.waiting().length === 0) return []
    return this.changing(async (group, tx) => {
      const bodies: Uint8Array[] = []
      let total = 0
      for (const [key, row] of this.waiting(tx).slice(0, APPEND_RECORDS_MAX)) {
        const isSealed = row.body !== null && row.epoch === Number(group.epoch)
        const body = isSealed ? (row.body as Uint8Array) : await this.seal(group, tx, key, row)
        total += body.length
        if (total > APPEND_BYTES_MAX) break
        bodies.push(body)
      }
      return bodies
    })
  }

  private async seal(group: Group, tx: Transaction, key: number, row: OutboxRow): Promise<Uint8Array> {
    const body = await group.protect(row.content, { pad: paddedSize })
    const epoch = Number(group.epoch)
    tx.put("outbox", key, { ...row, body, bodyHash: toHex(await sha256(body)), epoch })
    await rememberCallKey(this.context, tx, this.id, group, mimi.interpret(mimi.decode(row.content)), epoch)
    return body
  }

  /** A conflict resolves itself once the winning commit has been read; the rest after a pause and a re-open. */
  private async afterRefusal(refusal: Refused): Promise<void> {
    if (refusal.isConflict) {
      const { epoch } = this.snapshot
      const until = performance.now() + RETRY_MS
      while (this.snapshot.epoch === epoch && performance.now() < until) {
        await this.progress.next(this.ended.signal, Math.max(1, until - performance.now()))
      }
    } else {
      const pauseMs = refusal.isTemporary ? RETRY_MS : REFUSED_RETRY_MS
      await pause(Math.max(refusal.retryAfterMs, pauseMs), this.ended.signal)
    }
    await this.connection.reopen(this.stream).catch(() => undefined)
  }

  /** Waits until no commit of ours is under way, or so long. */
  async settled(timeoutMs: number): Promise<void> {
    const until = performance.now() + timeoutMs
    while (this.context.store.get("pending_commit", this.id) !== undefined && performance.now() < until) {
      await this.progress.next(this.ended.signal, Math.max(1, until - performance.now()))
    }
  }

  // -- commits ---------------------------------------------------------------------------------------------------

  /**
   * Changes the membership; returns once it stands in the log, by our commit or by another's. When another commit wins
   * the epoch, ours is made again on top of it.
   */
  commit(add: PendingCommitRow["invitees"], remove: (member: Credential) => boolean): Promise<void> {
    const run = this.committing.then(async () => {
      for (;;) {
        await this.caughtUp()
        await this.until(() => this.context.store.get("pending_commit", this.id) === undefined || !this.isActive)
        if (!this.isCaughtUp) continue
        if (!(await this.stage(add, remove))) return
        this.wakeUp()
      }
    })
    this.committing = run.catch(() => undefined)
    return run
  }

  /** Stages and saves what is still missing; false when nothing is. */
  private async stage(add: PendingCommitRow["invitees"], remove: (member: Credential) => boolean): Promise<boolean> {
    return this.context.people.withFreshDevices(() =>
      this.changing(async (group, tx) => {
        if (tx.get("pending_commit", this.id) !== undefined) return true
        const members = group.members()
        const invitees = add.filter(({ credential }) => !members.some(({ identity }) => equalBytes(identity, credential)))
        const leaves = members.filter(({ leaf, identity }) => leaf !== group.ownLeaf && remove(decodeCredential(identity)))
        if (invitees.length === 0 && leaves.length === 0) return false
        tx.put("pending_commit", this.id, await stageCommit(this.context, group, invitees, leaves.map(({ leaf }) => leaf)))
        return true
      }),
    )
  }

  private async pushPendingCommit(): Promise<void> {
    const pending = this.context.store.get("pending_commit", this.id)
    if (pending === undefined || !this.isCaughtUp) return
    const { generation } = this.connection
    const nextTokenHash = pending.nextTokenHash as Awaited<ReturnType<typeof tokenHash>>
    await this.connection.append(this.stream, [pending.body], { epoch: pending.epoch, nextTokenHash })
    await this.until(() => this.context.store.get("pending_commit", this.id) === undefined, generation)
  }

  // -- the stream ------------------------------------------------------------------------------------------------

  /** Waits until everything that the server had at the last opening is dealt with and we may append. */
  async caughtUp(): Promise<void> {
    while (!this.isCaughtUp) {
      if (this.row.status === "left") throw notAMember()
      if (this.subscription.refused !== undefined && !this.subscription.refused.isTemporary) throw notAMember()
      await this.progress.next(this.ended.signal)
    }
  }

  private get isCaughtUp(): boolean {
    const { opened } = this.subscription
    if (opened === undefined || !this.connection.isOpen(this.stream) || !this.isActive) return false
    return (opened.rights & Right.APPEND) !== 0 && this.row.nextSeq > Number(opened.head)
  }

  /** Finishes a creation that was cut short. */
  private async ensureStream(): Promise<void> {
    while (this.row.status === "creating") {
      try {
        await this.connection.connected(this.ended.signal)
        await this.connection.create(this.stream, StreamKind.CONVERSATION, await tokenHash(this.snapshot.token))
      } catch (error) {
        if (!(error instanceof Refused) && !(error instanceof Unreachable)) throw error
        if (!(error instanceof Refused) || error.code !== "stream_exists") {
          await pause(RETRY_MS, this.ended.signal)
          continue
        }
      }
      await this.context.store.transaction((tx) => tx.patch("conversation", this.id, { status: "active" }))
    }
  }

  private advance(): void {
    this.progress.beat()
    this.wakeUp()
  }

  /** Waits for the log to bring `condition` about; with `generation`, gives up when that connection has gone. */
  private async until(condition: () => boolean, generation?: number): Promise<void> {
    while (!condition()) {
      if (generation !== undefined && this.connection.generation !== generation) throw new Unreachable("The connection was lost.")
      await this.progress.next(this.ended.signal)
    }
  }
}

/** Stages a commit on the group; what is returned must be stored together with the group. */
export async function stageCommit(context: Context, group: Group, invitees: readonly InviteeRow[], remove: readonly number[]): Promise<PendingCommitRow> {
  const epoch = Number(group.epoch)
  const { commit, welcome } = await group.commit({
    add: invitees.map(({ keyPackage }) => keyPackage),
    remove,
    nowS: BigInt(context.nowS()),
  })
  // The adapter shows secrets of the present epoch only: a copy steps ahead to see the next one's token.
  const ahead = await context.mls.load(await group.save())
  await ahead.mergeStaged()
  const nextTokenHash = await tokenHash(await ahead.export(TOKEN_LABEL, new Uint8Array(0), TOKEN_BYTES))
  return { body: padded(commit), epoch, nextTokenHash, welcome: welcome ?? null, invitees }
}

/** A commit fills a record; zeros after an MLSMessage are padding. */
function padded(message: Uint8Array): Uint8Array {
  const whole = new Uint8Array(paddedSize(message.length))
  whole.set(message)
  return whole
}

/** The epoch in a PrivateMessage's clear head (RFC 9420 section 6.3), for our group ids of 16 bytes. */
const epochOf = (body: Uint8Array): number =>
  Number(new DataView(body.buffer, body.byteOffset, body.byteLength).getBigUint64(2 + 2 + 1 + 16))
