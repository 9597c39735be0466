// Telling senders that their messages have arrived: gathered, so that many messages cost one report.
import { fromHex } from "../core/bytes.js"
import { Status, statusMessage } from "../core/e2ee/content/index.js"
import type * as mimi from "../core/e2ee/content/index.js"
import { random } from "./buffers.js"
import type { Context } from "./context.js"
import type { Conversation } from "./conversation.js"

const GATHER_MS = 400

export class Marks {
  private readonly waiting = new Set<number>()

  constructor(
    private readonly context: Context,
    private readonly conversation: (id: number) => Conversation | undefined,
  ) {}

  schedule({ id }: Conversation): void {
    if (this.waiting.has(id)) return
    this.waiting.add(id)
    setTimeout(() => {
      this.waiting.delete(id)
      void this.send(id).catch(() => undefined)
    }, GATHER_MS)
  }

  /** One report of all; a stranger whom nobody accepted learns nothing. */
  private async send(id: number): Promise<void> {
    const conversation = this.conversation(id)
    if (conversation === undefined || this.context.signal.aborted || conversation.row.status !== "active") return
    const { toConfirm } = conversation.row
    if (toConfirm.length === 0) return
    const marks = toConfirm.map((message) => ({ messageId: fromHex(message) as mimi.MessageId, status: Status.DELIVERED }))
    await conversation.say(statusMessage(random(16) as mimi.Salt, marks), 0, (tx) => {
      const left = (tx.get("conversation", id)?.toConfirm ?? []).filter((message) => !toConfirm.includes(message))
      tx.patch("conversation", id, { toConfirm: left })
    })
  }
}
