import assert from "node:assert/strict"
import { test } from "node:test"
import { Fenced, StorageFull } from "../../src/worker/store/disk.js"
import { MemoryDisk } from "../../src/worker/store/memory-disk.js"
import { decodeRow, encodeRow, RowError } from "../../src/worker/store/row-codec.js"
import { Store } from "../../src/worker/store/store.js"
import { conversationRow, messageRow, newKey, newStore } from "./rows.js"

test("a row keeps numbers, texts, bytes and what is nested", () => {
  const row = { a: 1, b: "ä\u0000", c: null, d: [Uint8Array.of(1, 2), { e: new Uint8Array(0) }], f: true }
  assert.deepEqual(decodeRow(encodeRow(row)), row)
})

test("a damaged row is an error, not something else", () => {
  const whole = encodeRow({ a: Uint8Array.of(1, 2, 3) })
  for (let length = 0; length < whole.length; length++) assert.throws(() => decodeRow(whole.subarray(0, length)), RowError)
})

test("what a transaction changed is there after opening again", async () => {
  const { disk, key, store } = await newStore()
  await store.transaction((tx) => {
    tx.put("conversation", 1, conversationRow())
    tx.putMessage(messageRow())
    tx.put("group", 1, { state: Uint8Array.of(1, 2, 3) })
  })
  const again = await Store.open(disk, key)
  assert.deepEqual(again.get("conversation", 1), conversationRow())
  assert.deepEqual(again.get("group", 1), { state: Uint8Array.of(1, 2, 3) })
  assert.deepEqual(await again.message("01aa"), messageRow())
  assert.equal(disk.writes, 1)
})

test("nothing changes when the work or the disk fails", async () => {
  const { disk, store } = await newStore()
  await store.transaction((tx) => tx.put("conversation", 1, conversationRow()))
  const told: unknown[] = []
  store.onCommitted = (changes) => told.push(changes)
  const change = (): Promise<void> =>
    store.transaction((tx) => {
      tx.patch("conversation", 1, { unread: 5 })
      tx.putMessage(messageRow())
    })
  disk.failNext = new StorageFull("full")
  await assert.rejects(change(), StorageFull)
  await assert.rejects(
    store.transaction((tx) => {
      tx.patch("conversation", 1, { unread: 7 })
      throw new Error("in the middle")
    }),
    /in the middle/,
  )
  assert.equal(store.get("conversation", 1)?.unread, 0)
  assert.equal(await store.message("01aa"), undefined)
  assert.deepEqual(told, [])
  await change()
  assert.equal(store.get("conversation", 1)?.unread, 5)
  assert.equal(told.length, 1)
})

test("who was taken over cannot write any more", async () => {
  const { disk, key, store } = await newStore()
  const next = await Store.open(disk, key)
  await assert.rejects(store.transaction((tx) => tx.put("conversation", 1, conversationRow())), Fenced)
  await next.transaction((tx) => tx.put("conversation", 1, conversationRow({ title: "next" })))
  assert.equal(next.get("conversation", 1)?.title, "next")
})

test("transactions run one after the other", async () => {
  const { store } = await newStore()
  await store.transaction((tx) => tx.put("conversation", 1, conversationRow()))
  const count = (): Promise<void> =>
    store.transaction(async (tx) => {
      const { unread } = tx.get("conversation", 1) ?? { unread: 0 }
      await new Promise((resolve) => setImmediate(resolve))
      tx.patch("conversation", 1, { unread: unread + 1 })
    })
  await Promise.all(Array.from({ length: 20 }, count))
  assert.equal(store.get("conversation", 1)?.unread, 20)
})

test("nothing at rest can be read, and no row can be put in the place of another", async () => {
  const { disk, key, store } = await newStore()
  await store.transaction((tx) => {
    tx.put("profile", "identity", { value: "a secret that must not be seen" })
    tx.put("profile", "other", { value: "something else" })
    tx.putMessage(messageRow({ text: "a message that must not be seen" }))
  })
  for (const sealed of disk.dump()) assert.doesNotMatch(Buffer.from(sealed).toString("latin1"), /must not be seen/)
  const secret = await disk.get("profile", "identity")
  const fence = await disk.takeOver()
  await disk.write([{ table: "profile", key: "other", sealed: secret ?? null }], fence)
  await assert.rejects(Store.open(disk, key), RowError)
  await assert.rejects(Store.open(disk, await newKey()), RowError)
})

test("a page is the newest below a place, and a transaction sees its own changes", async () => {
  const { store } = await newStore(new MemoryDisk())
  await store.transaction((tx) => {
    for (let order = 1; order <= 30; order++) tx.putMessage(messageRow({ order, id: `01${order}` }))
    tx.putMessage(messageRow({ conversation: 2, order: 31, id: "other" }))
  })
  const page = await store.page(1, 0, 21, 5)
  assert.deepEqual(page.map((row) => row.order), [20, 19, 18, 17, 16])
  await store.transaction(async (tx) => {
    tx.putMessage(messageRow({ order: 3, id: "013", text: "changed" }))
    assert.equal((await tx.message("013"))?.text, "changed")
    tx.drop("message", [1, 4])
    assert.equal(await tx.message("014"), undefined)
    assert.equal((await tx.message("015"))?.order, 5)
  })
  assert.equal(await store.message("014"), undefined)
})
