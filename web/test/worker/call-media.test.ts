/** Both ends of one call in one process: what is captured here is handed to playout there, in its place in time. */

import assert from "node:assert/strict"
import { test } from "node:test"
import type { Report } from "../../src/core/audio/report.js"
import { rehearsal } from "../../src/core/audio/rehearsal.js"
import { concat } from "../../src/core/bytes.js"
import { callKey, sealFrame, SFrameSender } from "../../src/core/e2ee/sframe.js"
import { PADDED_SIZES_BYTES } from "../../src/core/protocol/limits.js"
import type { ReceiverState } from "../../src/worker/audio-ports.js"
import { BASE_KEY, BEGUN_SLOTS, call, came, FRAME_BODY_BYTES, LONG, SHORT, Side } from "./call-sides.js"

async function delivered(from: Side, to: Side, lost: (index: number) => boolean = () => false): Promise<[number, boolean][]> {
  to.arrived.length = 0
  for (const [index, body] of from.sent.entries()) if (!lost(index)) await to.media.arrived(body)
  await came(to.playout.port2, to.playout.port1)
  return to.arrived.map(({ slot, repeated }) => [slot - BEGUN_SLOTS, repeated])
}

test("packets of every length keep their place, with the copies that the profile repeats", () =>
  call(async (alice, bob) => {
    await alice.says([0, LONG], [3, LONG])
    alice.media.setProfile("lossy")
    await alice.says([6, SHORT], [7, SHORT], [8, SHORT], [12, SHORT])
    assert.deepEqual([...new Set(alice.sent.map((body) => body.length))], [PADDED_SIZES_BYTES[0]])
    const heard = await delivered(alice, bob, (index) => index === 3)
    assert.deepEqual(heard, [[0, false], [3, false], [6, false], [8, false], [6, true], [7, true], [12, false], [7, true], [8, true]])
    assert.deepEqual(bob.arrived.find(({ slot }) => slot === BEGUN_SLOTS + 7)?.packet, SHORT)
    assert.deepEqual(alice.controls.filter(({ kind }) => kind === "profile"), [
      { kind: "profile", profile: "ordinary" }, { kind: "profile", profile: "lossy" },
    ])
  }))

test("what one side hears, the other is told, and repeats what it is asked for", () =>
  call(async (alice, bob) => {
    const state: ReceiverState = { kind: "receiver", lostPercent: 9, latePercent: 1, targetMs: 40, redundancy: "d13" }
    bob.playout.port1.postMessage(state)
    await came(bob.playout.port1, bob.playout.port2)
    await bob.says([0, SHORT])
    await delivered(bob, alice)
    const { peerReport } = alice.media as unknown as { peerReport: Report }
    assert.deepEqual(peerReport, { lostPercent: 9, latePercent: 1, targetMs: 40, carrier: "message", redundancy: "d13", takesShort: false })
    alice.media.setProfile("direct")
    await alice.says([0, SHORT], [1, SHORT], [2, SHORT], [3, SHORT])
    assert.deepEqual((await delivered(alice, bob)).slice(-3), [[3, false], [0, true], [2, true]])
  }))

test("playout learns at once how late frames came in the rehearsal", () =>
  call(async (alice) => {
    for (const delayMs of [40, 250]) alice.rehearsed.arrived(rehearsal(new Uint8Array(4), 0, new Uint8Array(0)), delayMs)
    alice.attach()
    await came(alice.playout.port2, alice.playout.port1)
    assert.equal(alice.expectedMs.at(-1), 210)
  }))

test("a page that takes over goes on behind, for no counter may come twice", () =>
  call(async (alice, bob) => {
    await alice.says([50, LONG], [53, LONG])
    alice.attach()
    await alice.says([0, LONG], [3, LONG], [9, LONG])
    assert.deepEqual(await delivered(alice, bob), [[0, false], [3, false], [6, false], [9, false], [15, false]])
  }))

test("while the way is narrow, sound is coded small, and then as it was chosen", () =>
  call(async (alice) => {
    alice.media.setProfile("lossy")
    alice.isNarrow = true
    await alice.says([0, SHORT], [1, SHORT])
    alice.isNarrow = false
    await alice.says([2, SHORT], [3, SHORT])
    await came(alice.capture.port2, alice.capture.port1)
    const profiles = alice.controls.flatMap((control) => (control.kind === "profile" ? [control.profile] : []))
    assert.deepEqual(profiles, ["ordinary", "lossy", "lean", "lossy"])
  }))

test("while both ends have room for it, packets are short", () =>
  call(async (alice, bob) => {
    const profiles = async (): Promise<string[]> => {
      await came(alice.capture.port2, alice.capture.port1)
      return alice.controls.flatMap((control) => (control.kind === "profile" ? [control.profile] : []))
    }
    alice.sendsShort = true
    await alice.says([0, LONG])
    assert.deepEqual(await profiles(), ["ordinary"], "the other end has not said so")
    bob.sendsShort = true
    await bob.says([0, LONG])
    await delivered(bob, alice)
    await alice.says([3, LONG])
    assert.deepEqual(await profiles(), ["ordinary", "direct"])
    alice.isNarrow = true
    await alice.says([6, LONG])
    alice.isNarrow = false
    alice.sendsShort = false
    await alice.says([9, LONG])
    assert.deepEqual(await profiles(), ["ordinary", "direct", "lean", "ordinary"])
  }))

test("who is given the peer's place in the group is not the peer [CANNOT-FORGE]", async () => {
  const side = new Side(0, 1)
  assert.equal(await side.media.takeNewKeys(), true)
  side.members[1] = [{ leaf: 1 }, { accountId: Uint8Array.of(7), deviceId: Uint8Array.of(1) }]
  assert.equal(await side.media.takeNewKeys(), false)
  side.members.pop()
  assert.equal(await side.media.takeNewKeys(), false)
  await assert.rejects(side.media.start())
  side.media.stop()
})

test("forged and malformed frames are not played", () =>
  call(async (alice, bob) => {
    await alice.says([0, SHORT])
    const forged = alice.sent[0]!.map((byte, index) => (index === 80 ? byte ^ 1 : byte))
    const sender = new SFrameSender(await callKey(BASE_KEY, 0, 1), 100)
    const sealed = async (payload: Uint8Array): Promise<Uint8Array> =>
      concat(Uint8Array.of(1), await sealFrame(sender, payload, FRAME_BODY_BYTES))
    const wrong = [new Uint8Array(0), Uint8Array.of(4, 0, 0, 0, 0, 0x48), Uint8Array.of(0, 0, 0, 0, 0, 0x40), Uint8Array.of(0, 99, 9, 0, 0, 0x48)]
    alice.sent.splice(0, 1, forged, ...(await Promise.all(wrong.map(sealed))))
    assert.deepEqual(await delivered(alice, bob), [])
    alice.sent.splice(0, alice.sent.length, await sealed(Uint8Array.of(0, 0, 0, 0, 0, 0x48)))
    assert.deepEqual(await delivered(alice, bob), [[101, false]])
  }))
