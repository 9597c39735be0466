// Rows and a store for tests.
import { MemoryDisk } from "../../src/worker/store/memory-disk.js"
import type { ConversationRow, MessageRow } from "../../src/worker/store/rows.js"
import { Store } from "../../src/worker/store/store.js"

export const newKey = (): Promise<CryptoKey> =>
  crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"])

export async function newStore(disk = new MemoryDisk()): Promise<{ disk: MemoryDisk; key: CryptoKey; store: Store }> {
  const key = await newKey()
  return { disk, key, store: await Store.open(disk, key) }
}

export const conversationRow = (fields: Partial<ConversationRow> = {}): ConversationRow => ({
  id: 1, stream: new Uint8Array(16).fill(7), origin: "https://chat.example", isDirect: false, title: "Tea", status: "active",
  hidden: false, nextSeq: 1, nextOrder: 1, unread: 0, lastText: "", lastTimeS: 0, toConfirm: [], ...fields,
})

export const messageRow = (fields: Partial<MessageRow> = {}): MessageRow => ({
  conversation: 1, order: 1, id: "01aa", sender: "a1", device: "d1", timeS: 100, status: "received", kind: "text", text: "hello",
  edited: false, replyTo: null, reactions: [], file: null, content: null, call: null, deliveredTo: [], ...fields,
})
