// Our own inbox: invitations become conversations.
import { equalBytes, toHex } from "../core/bytes.js"
import { openFile } from "../core/e2ee/content/index.js"
import { type Invitation, InboxError, openInvitation } from "../core/e2ee/inbox.js"
import { type Group, MlsError, MlsUsageError } from "../core/e2ee/mls.js"
import { ContentError } from "../core/e2ee/content/errors.js"
import { decodeCredential } from "../core/identity.js"
import { normaliseOrigin } from "../core/origin.js"
import type { Record, StreamId, Token } from "../core/protocol/frames.js"
import { bytesOf, type Subscription } from "./connection.js"
import type { Context } from "./context.js"
import { EngineError, Unreachable } from "./errors.js"
import { passes } from "./membership.js"
import { bundleOf } from "./own.js"
import type { ConversationRow } from "./store/rows.js"
import type { Transaction } from "./store/store.js"
import { Pulse, pause, Stopped } from "./sync.js"

const WELCOME_BYTES_MAX = 4 * 1024 * 1024
const RETRY_MS = 2_000
/** How long one invitation may keep the others waiting for a server that cannot be reached. */
const PATIENCE_MS = 15_000

export class Inbox {
  private readonly queue: (readonly Record[])[] = []
  private readonly arrived = new Pulse()

  constructor(
    private readonly context: Context,
    private readonly joined: (conversation: number) => Promise<void>,
    private readonly fault: (error: unknown) => void,
  ) {}

  /** Reads until stopped. */
  async run(): Promise<never> {
    const { own, signal } = this.context
    const connection = this.context.connection(own.origin)
    const subscription: Subscription = {
      stream: own.inbox as StreamId,
      capability: async () => [own.inboxToken as Token, this.nextSeq],
      onRecords: (records) => {
        this.queue.push(records)
        this.arrived.beat()
      },
      onSignal: () => undefined,
      onChange: () => undefined,
      opened: undefined,
      refused: undefined,
    }
    await connection.subscribe(subscription).catch(() => undefined)
    for (;;) {
      const records = this.queue.shift()
      if (records === undefined) {
        await this.arrived.next(signal)
        continue
      }
      for (const record of records) await this.take(record)
      connection.consumed(bytesOf(records))
    }
  }

  private get nextSeq(): number {
    return Number(this.context.store.get("profile", "inbox_next_seq")?.value ?? 1)
  }

  private async take(record: Record): Promise<void> {
    const until = performance.now() + PATIENCE_MS
    for (;;) {
      if (Number(record.seq) < this.nextSeq) return
      try {
        const conversation = await this.accept(record)
        if (conversation !== undefined) await this.joined(conversation)
        return
      } catch (error) {
        if (error instanceof Stopped) throw error
        if (!passes(error) && !isRefusal(error)) this.fault(error)
        // A foreign server that is down holds up nothing for good; without our own nothing goes on anyway.
        const isOver = performance.now() > until && this.context.connection(this.context.own.origin).isConnected
        if (isRefusal(error) || (passes(error) && isOver)) return this.skip(record)
        await pause(RETRY_MS, this.context.signal)
      }
    }
  }

  private skip(record: Record): Promise<void> {
    return this.context.store.transaction((tx) => this.setNextSeq(tx, record))
  }

  private setNextSeq(tx: Transaction, record: Record): void {
    tx.put("profile", "inbox_next_seq", { value: Number(record.seq) + 1 })
  }

  private async accept(record: Record): Promise<number | undefined> {
    const { own } = this.context
    const invitation = await openInvitation(record.body, own.inboxPrivate, own.inbox)
    if (normaliseOrigin(invitation.origin) !== invitation.origin) throw new InboxError("not an origin")
    const welcome = await this.welcomeOf(invitation)
    return this.context.people.withFreshDevices(() => this.join(record, invitation, welcome))
  }

  private async welcomeOf(invitation: Invitation): Promise<Uint8Array> {
    if (invitation.welcome instanceof Uint8Array) return invitation.welcome
    const { sha256: contentHash, key, nonce } = invitation.welcome
    const blob = await this.context.http(invitation.origin).getBlob(contentHash, WELCOME_BYTES_MAX)
    return openFile({ encAlg: 1, key, nonce, aad: new Uint8Array(0), hashAlg: 1, contentHash, size: blob.length }, blob)
  }

  private join(record: Record, invitation: Invitation, welcome: Uint8Array): Promise<number | undefined> {
    return this.context.store.transaction(async (tx) => {
      this.setNextSeq(tx, record)
      const known = tx.entries("conversation").find(([, row]) => equalBytes(row.stream, invitation.stream))?.[1]
      if (known !== undefined && (known.status !== "left" || known.hidden)) return undefined
      const group = await this.open(tx, welcome)
      if (!equalBytes(group.groupId, invitation.stream)) throw new InboxError("the Welcome is for another conversation than the invitation")
      const status = this.statusOf(tx, group, invitation)
      if (status === undefined) return undefined
      const id = known?.id ?? tx.nextKey("conversation")
      const fresh: ConversationRow = known ?? {
        id, stream: invitation.stream, origin: invitation.origin, isDirect: invitation.isDirect, title: invitation.title,
        status, hidden: false, nextSeq: invitation.fromSeq, nextOrder: 1, unread: 0, lastText: "",
        lastTimeS: Number(record.receivedS), toConfirm: [],
      }
      tx.put("conversation", id, { ...fresh, status, nextSeq: invitation.fromSeq, title: invitation.title })
      tx.put("group", id, { state: await group.save() })
      return id
    })
  }

  /** Joins by the key package that the Welcome was made for; it is used up, unless it is the one kept for good. */
  private async open(tx: Transaction, welcome: Uint8Array): Promise<Group> {
    for (const [key, row] of tx.entries("key_package")) {
      try {
        const group = await this.context.mls.join(welcome, [bundleOf(row, this.context.own)])
        if (!row.lastResort) tx.drop("key_package", key)
        return group
      } catch (error) {
        if (!(error instanceof MlsUsageError)) throw error
      }
    }
    throw new InboxError("a Welcome for none of our key packages")
  }

  /** A conversation among people to whom we never wrote is a request; those whom we refused are not heard. */
  private statusOf(tx: Transaction, group: Group, invitation: Invitation): "active" | "request" | undefined {
    const own = toHex(this.context.own.accountId)
    const others = new Set(group.members().map(({ identity }) => toHex(decodeCredential(identity).accountId)))
    others.delete(own)
    const rows = [...others].map((id) => tx.get("account", id))
    if (invitation.isDirect && others.size > 1) throw new InboxError("more than two people in a conversation of two")
    if (rows.some((row) => row?.accepted === true)) return "active"
    return rows.some((row) => row?.refused === true) ? undefined : "request"
  }
}

const isRefusal = (error: unknown): boolean =>
  error instanceof InboxError ||
  error instanceof MlsError ||
  error instanceof ContentError ||
  error instanceof RangeError ||
  (error instanceof EngineError && !(error instanceof Unreachable) && !passes(error))
