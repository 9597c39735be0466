// Files: sealed on this device, kept as ciphertext until the server has them, and only then said.
import { fromHex, toHex } from "../core/bytes.js"
import * as mimi from "../core/e2ee/content/index.js"
import { ContentError } from "../core/e2ee/content/errors.js"
import { normaliseOrigin } from "../core/origin.js"
import { BLOB_BYTES_MAX, BLOB_LIFETIME_S } from "../core/protocol/limits.js"
import type { EngineEvent } from "./api.js"
import { fromBytes, random } from "./buffers.js"
import type { Context } from "./context.js"
import type { Conversation } from "./conversation.js"
import { EngineError, faultOf } from "./errors.js"
import { passes } from "./membership.js"
import type { MessageRow, UploadRow } from "./store/rows.js"
import { pause, Stopped } from "./sync.js"
import { apply, attachmentOf } from "./timeline.js"

const SEAL_OVERHEAD_BYTES = 16
const FILE_BYTES_MAX = BLOB_BYTES_MAX - SEAL_OVERHEAD_BYTES
const RETRY_MS = 2_000
/** Types that a browser shows without running anything. Everything else is handed out as plain bytes. */
const HARMLESS = /^(image\/(png|jpeg|gif|webp|avif|bmp)|audio\/[\w.+-]+|video\/[\w.+-]+|text\/plain|application\/pdf)$/

const unreadable = (message: string): EngineError => new EngineError("file_unreadable", message, "Ask for it to be sent again.")

export class Uploads {
  constructor(
    private readonly context: Context,
    private readonly conversation: (id: number) => Conversation | undefined,
    private readonly emit: (event: EngineEvent) => void,
  ) {}

  /** Seals the file and keeps it; it leaves by itself. Returns the id of its message. */
  async send(conversation: Conversation, file: File, caption: string, order: number): Promise<string> {
    if (file.size > FILE_BYTES_MAX) {
      throw new EngineError("too_large", `A file may have at most ${Math.floor(FILE_BYTES_MAX / 1_048_576)} MB.`, "Send a smaller one.")
    }
    const sealed = await mimi.sealFile(new Uint8Array(await file.arrayBuffer()), random)
    const { origin } = conversation.connection
    const expiresS = this.context.nowS() + BLOB_LIFETIME_S
    const contentType = /^[\w.+-]+\/[\w.+-]+$/.test(file.type) ? file.type : "application/octet-stream"
    const part = await mimi.sealedPart(sealed, {
      urlOf: (sha256) => `${origin}/v1/blobs/${toHex(sha256)}`,
      contentType,
      filename: safeName(file.name),
      expiresS,
    })
    const message = mimi.attachmentMessage(random(16) as mimi.Salt, part, caption === "" ? {} : { caption })
    const content = mimi.encode(message)
    const said = await conversation.saidByUs(content, message, order)
    await this.context.store.transaction(async (tx) => {
      await apply(tx, said)
      const sha256 = toHex(part.contentHash)
      const row: UploadRow = { conversation: conversation.id, order, id: said.id, content, sha256, blob: sealed.blob }
      tx.put("upload", said.id, row)
    })
    this.context.errands.beat()
    return said.id
  }

  /** Uploads what waits, the oldest first, again and again until stopped. */
  async run(): Promise<never> {
    for (;;) {
      const next = this.context.errands.next(this.context.signal)
      next.catch(() => undefined)
      let failed = false
      for (const key of await this.context.store.keysOnDisk("upload")) {
        failed = !(await this.upload(key as string)) || failed
      }
      if (failed) await pause(RETRY_MS, this.context.signal)
      else await next
    }
  }

  private async upload(id: string): Promise<boolean> {
    const row = await this.context.store.read("upload", id)
    const conversation = row && this.conversation(row.conversation)
    if (row === undefined || conversation === undefined) return true
    const progress = (done: number, total: number): void => this.emit({ kind: "transfer", message: id, done, total })
    try {
      await this.context.http(conversation.connection.origin).putBlob(fromHex(row.sha256), row.blob, progress)
    } catch (error) {
      if (error instanceof Stopped) throw error
      if (!passes(error)) this.emit({ kind: "fault", fault: faultOf(error) })
      return false
    }
    await this.context.store.transaction((tx) => {
      tx.drop("upload", id)
      conversation.queueIn(tx, row, row.order)
    })
    progress(row.blob.length, row.blob.length)
    conversation.wakeUp()
    return true
  }

  /** The file a message points to. Only the conversation's own server is asked, whatever the message says. */
  async fetch(conversation: Conversation, row: MessageRow): Promise<Blob> {
    if (conversation.row.status === "request") {
      throw new EngineError("not_accepted", "Files of strangers are not loaded.", "Accept the request first.")
    }
    const part = row.content === null ? undefined : attachmentOf(mimi.interpret(mimi.decode(row.content)))
    if (part === undefined) throw unreadable("The message holds no file.")
    const { origin } = conversation.connection
    const isThere = originOf(part.url) === origin && new URL(part.url).pathname === `/v1/blobs/${toHex(part.contentHash)}`
    if (!isThere) throw unreadable("The file lies on another server than the conversation, which could be a trap.")
    const kept = await this.context.store.read("upload", row.id)
    const progress = (done: number, total: number): void => this.emit({ kind: "transfer", message: row.id, done, total })
    const blob = kept?.blob ?? (await this.context.http(origin).getBlob(part.contentHash, BLOB_BYTES_MAX, progress))
    try {
      const opened = await mimi.openFile(part, blob)
      const type = part.contentType.split(";")[0]?.trim().toLowerCase() ?? ""
      return new Blob([fromBytes(opened)], { type: HARMLESS.test(type) ? type : "application/octet-stream" })
    } catch (error) {
      if (error instanceof ContentError) throw unreadable("The file is not the one that was sent.")
      throw error
    }
  }
}

function originOf(url: string): string {
  try {
    return normaliseOrigin(url)
  } catch {
    return ""
  }
}

/** A name as the format allows it: no folder, no control characters, at most 255 bytes. */
function safeName(name: string): string {
  const plain = name.replace(/[/\\\p{Cc}]/gu, "_").replace(/^\.{1,2}$/, "file")
  let short = plain
  while (new TextEncoder().encode(short).length > 255) short = short.slice(1)
  return short || "file"
}
