// The first frame of a call that was placed: whose counts as the answer.
import assert from "node:assert/strict"
import { test } from "node:test"
import { encodePayload } from "../../src/core/audio/payload.js"
import { NO_REPORT } from "../../src/core/audio/report.js"
import { concat } from "../../src/core/bytes.js"
import { callKey, sealFrame, SFrameSender } from "../../src/core/e2ee/sframe.js"
import { PADDED_SIZES_BYTES } from "../../src/core/protocol/limits.js"
import type { Conversation } from "../../src/worker/conversation.js"
import { FirstFrame } from "../../src/worker/first-frame.js"

const CALL = "00".repeat(16)
const OTHER_CALL = "01".repeat(16)
const BASE_KEY = new Uint8Array(32).fill(7)
const NEXT_KEY = new Uint8Array(32).fill(8)

type Device = readonly [leaf: number, account: number, device: number]

/** Account 1 is ours, at leaf 0 and 3. */
class Room {
  members: Device[] = [[0, 1, 1], [1, 2, 1], [2, 2, 2], [3, 1, 2]]
  keys = [{ callId: CALL, epoch: 5, conversation: 1, baseKey: BASE_KEY, expiresS: 1e12 }]
  status = "active"

  get conversation(): Conversation {
    const snapshot = (): unknown => ({
      members: this.members.map(([leaf, account, device]) => [{ leaf }, { accountId: Uint8Array.of(account), deviceId: Uint8Array.of(device) }]),
    })
    const row = (): unknown => ({ status: this.status })
    const context = { own: { accountId: Uint8Array.of(1) }, store: { rows: () => this.keys } }
    return { context, get snapshot() { return snapshot() }, get row() { return row() } } as unknown as Conversation
  }
}

async function frame(leaf: number, { epoch = 5, key = BASE_KEY, kind = 1, payload = encodePayload({ report: NO_REPORT, packet: Uint8Array.of(0x48, 1), repeats: [] }) } = {}): Promise<Uint8Array> {
  const sender = new SFrameSender(await callKey(key, leaf, epoch))
  return concat(Uint8Array.of(kind), await sealFrame(sender, payload, PADDED_SIZES_BYTES[0] - 1))
}

test("only a device of the other account is told [CANNOT-FORGE]", async () => {
  const room = new Room()
  const first = new FirstFrame(room.conversation, CALL)
  assert.equal(await first.author(await frame(1)), 1)
  assert.equal(await first.author(await frame(2)), 2)
  const good = await frame(1)
  const refused = [
    await frame(0), await frame(3), await frame(4), await frame(1, { key: NEXT_KEY }), await frame(1, { epoch: 6 }), await frame(1, { kind: 3 }),
    await frame(1, { payload: new Uint8Array(2) }), new Uint8Array(0), good.with(40, good[40]! ^ 1),
  ]
  for (const [index, body] of refused.entries()) assert.equal(await first.author(body), undefined, `frame ${index}`)
  assert.equal(await new FirstFrame(room.conversation, OTHER_CALL).author(good), undefined, "no such call was offered")
})

test("who has come since, has another's place or was removed is not told [CANNOT-FORGE]", async () => {
  const room = new Room()
  const first = new FirstFrame(room.conversation, CALL)
  room.members = [[0, 1, 1], [1, 2, 7], [2, 2, 2], [4, 2, 3]]
  assert.equal(await first.author(await frame(1)), undefined, "another device at the place")
  assert.equal(await first.author(await frame(4)), undefined, "not called")
  assert.equal(await first.author(await frame(2)), 2)
  room.members = [[0, 1, 1], [2, 2, 2]]
  assert.equal(await first.author(await frame(1)), undefined, "removed")
  room.status = "left"
  assert.equal(await first.author(await frame(2)), undefined, "we were removed")
})

test("in a group no frame tells who answered [CANNOT-FORGE]", async () => {
  const room = new Room()
  const pair = new FirstFrame(room.conversation, CALL)
  room.members.push([5, 3, 1])
  assert.equal(await pair.author(await frame(1)), undefined, "it has become a group")
  const group = new FirstFrame(room.conversation, CALL)
  for (const leaf of [1, 2, 5]) assert.equal(await group.author(await frame(leaf)), undefined)
})

test("a key that a removed member knows tells nobody [CANNOT-SNOOP-AFTER]", async () => {
  const room = new Room()
  const first = new FirstFrame(room.conversation, CALL)
  room.keys.push({ ...room.keys[0]!, epoch: 6, baseKey: NEXT_KEY })
  assert.equal(await first.author(await frame(1)), undefined)
  assert.equal(await first.author(await frame(1, { epoch: 6, key: NEXT_KEY })), 1)
})
