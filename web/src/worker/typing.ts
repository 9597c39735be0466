// "is typing": a sealed MLS message in a signal of kind 2, stored nowhere.
//
// It is opened on a copy of the group that is thrown away, so that a server that sends a stored message again as a
// signal cannot use up the key by which the message itself will be opened. What is typed is bound to its purpose by
// the authenticated data, and to its moment by the time inside.
import { bigEndian, concat, equalBytes, fromBigEndian, toHex } from "../core/bytes.js"
import { decodeCredential } from "../core/identity.js"
import { paddedSize } from "../core/protocol/limits.js"
import { utf8 } from "../core/utf8.js"
import type { Context } from "./context.js"
import type { Conversation } from "./conversation.js"
import { MlsError } from "../core/e2ee/mls.js"

const KIND = 2
const PURPOSE = utf8("ringthrough typing v1")
const SEND_EVERY_MS = 3_000
const SHOWN_MS = 6_000
const AGE_MS_MAX = 15_000

export class Typing {
  private readonly shown = new Map<number, Map<string, { until: number; sentMs: bigint }>>()
  private readonly sentAt = new Map<number, number>()
  private busy = false

  constructor(
    private readonly context: Context,
    private readonly changed: () => void,
  ) {}

  who(conversation: number): string[] {
    const now = performance.now()
    return [...(this.shown.get(conversation) ?? [])].filter(([, { until }]) => until > now).map(([account]) => account)
  }

  /** Tells the others that we type, now and then; lost if it cannot leave at once. */
  async send(conversation: Conversation): Promise<void> {
    const now = performance.now()
    const { id, row, connection, stream } = conversation
    if (row.status !== "active" || !connection.isOpen(stream) || now - (this.sentAt.get(id) ?? -Infinity) < SEND_EVERY_MS) return
    this.sentAt.set(id, now)
    const time = bigEndian(this.context.nowMs(connection.origin), 8)
    const sealed = await conversation.changing((group) =>
      group.protect(time, { authenticatedData: PURPOSE, pad: (bytes) => paddedSize(bytes + 1) - 1 }),
    )
    connection.signal(stream, concat(Uint8Array.of(KIND), sealed))
  }

  /** A message of theirs has come: they do not type any more. */
  spoke(conversation: number, account: string): void {
    if (this.shown.get(conversation)?.delete(account) === true) this.changed()
  }

  signal(conversation: Conversation, body: Uint8Array): void {
    if (this.busy) return // a flood costs one at a time
    this.busy = true
    this.open(conversation, body.subarray(1))
      .catch((error: unknown) => {
        if (!(error instanceof MlsError)) throw error
      })
      .catch(() => undefined)
      .finally(() => (this.busy = false))
  }

  private async open(conversation: Conversation, sealed: Uint8Array): Promise<void> {
    const saved = this.context.store.get("group", conversation.id)
    if (saved === undefined) return
    const copy = await this.context.mls.load(saved.state)
    const event = await copy.process(sealed)
    if (event.kind !== "application" || !equalBytes(event.authenticatedData, PURPOSE) || event.data.length !== 8) return
    const account = toHex(decodeCredential(event.identity).accountId)
    const sentMs = fromBigEndian(event.data)
    const ageMs = Math.abs(this.context.nowMs(conversation.connection.origin) - Number(sentMs))
    const people = this.shown.get(conversation.id) ?? new Map<string, { until: number; sentMs: bigint }>()
    if (ageMs > AGE_MS_MAX || account === toHex(this.context.own.accountId)) return
    if (sentMs <= (people.get(account)?.sentMs ?? -1n)) return // an old one again
    people.set(account, { until: performance.now() + SHOWN_MS, sentMs })
    this.shown.set(conversation.id, people)
    this.changed()
    setTimeout(() => this.changed(), SHOWN_MS + 50)
  }
}
