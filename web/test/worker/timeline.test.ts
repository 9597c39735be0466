import assert from "node:assert/strict"
import { test } from "node:test"
import { fromHex } from "../../src/core/bytes.js"
import * as mimi from "../../src/core/e2ee/content/index.js"
import { finishCall, notesHeard } from "../../src/worker/call-log.js"
import type { CallRow, MessageRow } from "../../src/worker/store/rows.js"
import type { Store } from "../../src/worker/store/store.js"
import { apply, place, type Said } from "../../src/worker/timeline.js"
import { conversationRow, newStore } from "./rows.js"

let salts = 0
const salt = (): mimi.Salt => new Uint8Array(16).fill(++salts) as mimi.Salt
const idOf = (number: number): string => `01${number.toString(16).padStart(62, "0")}`
const messageId = (number: number): mimi.MessageId => fromHex(idOf(number)) as mimi.MessageId

function said(number: number, message: mimi.MimiContent, fields: Partial<Said> = {}): Said {
  const content = mimi.encode(message)
  return {
    conversation: 1, id: idOf(number), sender: "alice", device: "a1", timeS: 100, status: "received", waiting: null, content, message,
    meaning: mimi.interpret(message), ...fields,
  }
}

async function storeWith(...messages: Said[]): Promise<Store> {
  const { store } = await newStore()
  await store.transaction((tx) => {
    tx.put("conversation", 1, conversationRow())
    tx.put("conversation", 2, conversationRow({ id: 2 }))
  })
  for (const message of messages) await store.transaction((tx) => apply(tx, message))
  return store
}

const row = async (store: Store, number: number): Promise<MessageRow> => {
  const found = await store.message(idOf(number))
  assert.ok(found)
  return found
}
const callRow = (id: string, fields: Partial<CallRow> = {}): CallRow => ({
  id, conversation: 1, peer: "alice", device: "a1", outgoing: false, timeS: 1, offerExpiresMs: 0, answeredS: 0, outcome: null, seconds: 0,
  ...fields,
})
const text = (number: number, words: string, fields: Partial<Said> = {}): Said => said(number, mimi.textMessage(salt(), words), fields)

test("messages get the next places, are counted, and wait to be confirmed", async () => {
  const store = await storeWith(text(1, "one"), text(2, "two", { sender: "me", status: "sent" }), text(3, "three"))
  assert.deepEqual((await store.page(1, 0, 100, 10)).map(({ order, text: words }) => [order, words]), [[3, "three"], [2, "two"], [1, "one"]])
  const conversation = store.get("conversation", 1)
  assert.equal(conversation?.unread, 2)
  assert.deepEqual(conversation?.toConfirm, [idOf(1), idOf(3)])
  assert.equal(conversation?.lastText, "three")
})

test("a message said twice is shown once", async () => {
  const once = text(1, "one")
  const store = await storeWith(once, once)
  assert.equal((await store.page(1, 0, 100, 10)).length, 1)
  assert.equal(store.get("conversation", 1)?.unread, 1)
})

test("its own sender edits and deletes a message, in its conversation [CANNOT-FORGE]", async () => {
  const edit = (fields: Partial<Said>): Said => said(9, mimi.textMessage(salt(), "changed", { replaces: messageId(1) }), fields)
  const deletion = (fields: Partial<Said>): Said => said(10, mimi.deleteMessage(salt(), messageId(1)), fields)
  const store = await storeWith(text(1, "one"))
  for (const foreign of [edit, deletion]) {
    for (const fields of [{ sender: "mallory" }, { conversation: 2 }]) await store.transaction((tx) => apply(tx, foreign(fields)))
  }
  assert.deepEqual([(await row(store, 1)).text, (await row(store, 1)).edited, (await row(store, 1)).kind], ["one", false, "text"])
  await store.transaction((tx) => apply(tx, edit({})))
  assert.deepEqual([(await row(store, 1)).text, (await row(store, 1)).edited], ["changed", true])
  await store.transaction((tx) => apply(tx, deletion({})))
  assert.deepEqual([(await row(store, 1)).text, (await row(store, 1)).kind], ["", "deleted"])
  await store.transaction((tx) => apply(tx, edit({})))
  assert.equal((await row(store, 1)).kind, "deleted")
})

test("a reaction is taken back by who made it", async () => {
  const reaction = said(2, mimi.reactionMessage(salt(), "👍", messageId(1)), { sender: "bob" })
  const store = await storeWith(text(1, "one"), reaction, reaction)
  assert.deepEqual((await row(store, 1)).reactions, [{ id: idOf(2), sender: "bob", text: "👍" }])
  const back = mimi.deleteMessage(salt(), messageId(2), { reactionTo: messageId(1) })
  await store.transaction((tx) => apply(tx, said(3, back, { sender: "mallory" })))
  assert.equal((await row(store, 1)).reactions.length, 1)
  await store.transaction((tx) => apply(tx, said(4, back, { sender: "bob" })))
  assert.deepEqual((await row(store, 1)).reactions, [])
})

test("one person cannot bury a message under reactions", async () => {
  const flood = Array.from({ length: 20 }, (_, i) => said(10 + i, mimi.reactionMessage(salt(), `r${i}`, messageId(1)), { sender: "mallory" }))
  const store = await storeWith(text(1, "one"), ...flood)
  assert.equal((await row(store, 1)).reactions.length, 8)
})

test("a mark counts for our own messages, once for each device", async () => {
  const marks = said(5, mimi.statusMessage(salt(), [{ messageId: messageId(1), status: 1 }, { messageId: messageId(2), status: 1 }, { messageId: messageId(7), status: 1 }]), { sender: "bob", device: "b1" })
  const store = await storeWith(text(1, "mine", { sender: "me", status: "sent" }), text(2, "theirs"), marks, marks)
  assert.deepEqual((await row(store, 1)).deliveredTo, ["bob:b1"])
  assert.deepEqual((await row(store, 2)).deliveredTo, [])
})

test("what waits comes last, and gets its place from the log", async () => {
  const waiting = 2 ** 40 + 5
  const store = await storeWith(text(1, "mine", { sender: "me", status: "waiting", waiting }), text(2, "theirs"))
  assert.deepEqual((await store.page(1, 0, Number.MAX_SAFE_INTEGER, 10)).map(({ text: words }) => words), ["mine", "theirs"])
  await store.transaction((tx) => place(tx, idOf(1), waiting, 200))
  const placed = await row(store, 1)
  assert.deepEqual([placed.order, placed.status, placed.timeS], [2, "sent", 200])
  assert.deepEqual((await store.page(1, 0, Number.MAX_SAFE_INTEGER, 10)).map(({ order }) => order), [2, 1])
})

test("a file keeps what fetches it until it is deleted", async () => {
  const part = await mimi.sealedPart(await mimi.sealFile(Uint8Array.of(1, 2, 3), (n) => new Uint8Array(n)), {
    urlOf: () => "https://chat.example/v1/blobs/00", contentType: "image/png", filename: "pic.png", expiresS: 1,
  })
  const store = await storeWith(said(1, mimi.attachmentMessage(salt(), part, { caption: "look" })))
  const file = await row(store, 1)
  assert.deepEqual([file.kind, file.text, file.file], ["file", "look", { name: "pic.png", contentType: "image/png", bytes: 3 }])
  assert.ok(file.content)
  await store.transaction((tx) => apply(tx, said(2, mimi.deleteMessage(salt(), messageId(1)))))
  assert.equal((await row(store, 1)).content, null)
})

const note = (number: number, call: number, packets = 20): Said => {
  const sounds = Array.from({ length: packets }, () => Uint8Array.of(0x58, 1))
  return said(number, mimi.noteMessage(salt(), { callId: new Uint8Array(16).fill(call), number, packets: sounds }))
}

test("a voice note is a line, counted unless its call goes on and it is heard there", async () => {
  const store = await storeWith(note(1, 7), note(2, 7, 0))
  assert.equal(store.get("conversation", 1)?.unread, 1)
  assert.equal(store.get("conversation", 1)?.lastText, "Voice note, 1 s")
  await store.transaction((tx) =>
    tx.put("call", "08".repeat(16), callRow("08".repeat(16), { answeredS: 2 })))
  await store.transaction((tx) => apply(tx, note(3, 8)))
  assert.equal(store.get("conversation", 1)?.unread, 1)
  assert.deepEqual(store.get("conversation", 1)?.toConfirm, [idOf(1), idOf(3)])
  assert.deepEqual((await store.page(1, 0, 100, 10)).map(({ kind, note: heard }) => [kind, heard?.seconds]), [["note", 1], ["note", 1]])
  await store.transaction((tx) => apply(tx, said(9, mimi.deleteMessage(salt(), messageId(1)))))
  assert.deepEqual([(await row(store, 1)).kind, (await row(store, 1)).content], ["deleted", null])
})

test("a call is what the conversation says last, until something is said after it", async () => {
  const waiting = 2 ** 40 + 5
  const store = await storeWith(text(1, "one"), text(2, "mine", { sender: "me", status: "waiting", waiting }))
  const last = (): unknown[] => [store.get("conversation", 1)?.lastText, store.get("conversation", 1)?.lastCall]
  assert.deepEqual(last(), ["mine", null])
  await store.transaction((tx) => {
    tx.put("call", "08", callRow("08", { outgoing: true, answeredS: 40 }))
    finishCall(tx, "08", "answered", 105, "me")
  })
  assert.deepEqual(last(), ["", { outgoing: true, outcome: "answered", seconds: 65 }])
  await store.transaction((tx) => place(tx, idOf(2), waiting, 200))
  assert.deepEqual(last(), ["mine", null])
  await store.transaction((tx) => {
    tx.put("call", "09", callRow("09"))
    finishCall(tx, "09", "missed", 300, "me")
  })
  assert.deepEqual(last(), ["", { outgoing: false, outcome: "missed", seconds: 0 }])
  await store.transaction((tx) => apply(tx, text(3, "sorry")))
  assert.deepEqual(last(), ["sorry", null])
})

test("notes of a call that nobody heard to the end are unread when it is over", async () => {
  const id = "08".repeat(16)
  const store = await storeWith()
  const unread = (): number | undefined => store.get("conversation", 1)?.unread
  await store.transaction((tx) => tx.put("call", id, callRow(id, { answeredS: 2 })))
  for (const number of [1, 2, 3]) await store.transaction((tx) => apply(tx, note(number, 8)))
  await store.transaction((tx) => apply(tx, note(4, 8, 0))) // only says that somebody is there
  await store.transaction((tx) => apply(tx, note(3, 8))) // said twice
  await store.transaction((tx) => notesHeard(tx, id, 1))
  assert.equal(unread(), 0)
  await store.transaction((tx) => finishCall(tx, id, "answered", 10, "me"))
  assert.equal(unread(), 2)
  await store.transaction((tx) => notesHeard(tx, id, 1)) // too late to know what it was
  await store.transaction((tx) => apply(tx, note(5, 8)))
  assert.equal(unread(), 3)
})
