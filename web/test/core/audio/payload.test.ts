/** What a frame carries: the shared cases, and bytes of no order. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { MalformedPayload } from "../../../src/core/audio/errors.js"
import { decodePayload, encodePayload, type Payload, PayloadPacker } from "../../../src/core/audio/payload.js"
import { PACKET_BYTES_MAX, PAYLOAD_BYTES_MAX, type Redundancy } from "../../../src/core/audio/profiles.js"
import { NO_REPORT, RedundancyWish, type Report, SlotFates } from "../../../src/core/audio/report.js"
import { packetSlots } from "../../../src/core/audio/toc.js"
import { AUDIO_PAYLOAD_BYTES_MAX } from "../../../src/core/e2ee/sframe-constants.js"
import { fromHex, toHex } from "../../../src/core/bytes.js"
import { load } from "../vectors.js"

interface Described {
  readonly report: Record<string, unknown>
  readonly repeats: readonly [number, string][]
  readonly packet: string
}

type Case = Described & { readonly shows: string; readonly bytes: string }

interface Sender {
  readonly redundancy: Redundancy
  readonly steps: readonly { readonly slot: number; readonly packet: string; readonly payload: string }[]
}

const FILES = ["frames.json", "wishes.json"]
const FILE = load("payload", "frames.json", FILES) as unknown as {
  readonly accepted: readonly Case[]
  readonly refused: readonly Case[]
  readonly packed: { readonly report: Record<string, unknown>; readonly senders: readonly Sender[] }
}

function described({ report, repeats, packet }: Payload): Described {
  const { lostPercent, latePercent, targetMs, carrier, redundancy, takesShort } = report
  const percent = { lost_percent: lostPercent, late_percent: latePercent }
  return {
    report: { ...percent, target_ms: targetMs, carrier, redundancy, takes_short: takesShort },
    repeats: repeats.map((repeat) => [repeat.distance, toHex(repeat.packet)]),
    packet: toHex(packet),
  }
}

test("good payloads say what they hold, and are written in no other form", () => {
  assert.ok(FILE.accepted.length >= 10)
  for (const { shows, bytes, report, repeats, packet } of FILE.accepted) {
    const read = decodePayload(fromHex(bytes))
    assert.deepEqual(described(read), { report, repeats, packet }, shows)
    assert.equal(toHex(encodePayload(read)), bytes, shows)
  }
})

test("malformed payloads are refused, each by the one error", () => {
  assert.ok(FILE.refused.length >= 30)
  for (const { shows, bytes } of FILE.refused) assert.throws(() => decodePayload(fromHex(bytes)), MalformedPayload, shows)
})

test("a sender puts in the copies that Python puts in", () => {
  const { lost_percent, late_percent, target_ms, carrier, redundancy, takes_short } = FILE.packed.report
  const percent = { lostPercent: lost_percent, latePercent: late_percent }
  const report = { ...percent, targetMs: target_ms, carrier, redundancy, takesShort: takes_short } as Report
  for (const sender of FILE.packed.senders) {
    const packer = new PayloadPacker()
    for (const { slot, packet, payload } of sender.steps) {
      assert.equal(toHex(packer.pack(slot, fromHex(packet), sender.redundancy, report)), payload, `${sender.redundancy} ${slot}`)
    }
  }
})

test("a payload fills what a voice frame has room for", () => {
  assert.equal(PAYLOAD_BYTES_MAX, AUDIO_PAYLOAD_BYTES_MAX)
  const packet = new Uint8Array(PACKET_BYTES_MAX).fill(0x59)
  assert.equal(encodePayload({ report: NO_REPORT, packet, repeats: [] }).length, PAYLOAD_BYTES_MAX)
})

test("any bytes are one payload or malformed", () => {
  let state = 3
  const pick = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  let good = 0
  for (let round = 0; round < 20_000; round++) {
    const data = Uint8Array.from({ length: pick(PAYLOAD_BYTES_MAX + 1) }, () => pick(256))
    // Mostly near to a good one: random bytes seldom get past the report.
    if (pick(4) > 0) data.set([pick(4), pick(100), 0, pick(256), pick(16), pick(20), pick(30), pick(5), pick(30)].slice(0, data.length))
    try {
      const read = decodePayload(data)
      assert.equal(toHex(encodePayload(read)), toHex(data))
      good++
    } catch (error) {
      assert.ok(error instanceof MalformedPayload, String(error))
    }
  }
  assert.ok(good > 100, `${good} good ones`)
})

test("the length of a packet is read from its first bytes", () => {
  const slots = (...bytes: number[]): number => packetSlots(Uint8Array.of(...bytes))
  assert.deepEqual([slots(0x48), slots(0x58), slots(0x59), slots(0x49), slots(0x4b, 5), slots(0x98)], [1, 3, 6, 2, 5, 1])
  for (const wrong of [[], [0x40], [0x03], [0x4b, 0], [0x4b, 7], [0x5b, 3], [0x80]]) {
    assert.throws(() => slots(...wrong), MalformedPayload, String(wrong))
  }
})

test("what comes after all is late and not lost", () => {
  const fates = new SlotFates()
  assert.deepEqual(fates.percent(), { lost: 0, late: 0 })
  for (let slot = 0; slot < 150; slot++) fates.due(slot, slot % 10 !== 0)
  assert.deepEqual(fates.percent(), { lost: 10, late: 0 })
  for (const slot of [110, 110, 111, 90]) fates.came(slot)
  assert.deepEqual(fates.percent(), { lost: 8, late: 2 })
})

test("what is wished for follows the loss as in Python", () => {
  const courses = load("payload", "wishes.json", FILES) as unknown as
    readonly { readonly shows: string; readonly seconds: readonly [number, number, Redundancy][] }[]
  assert.ok(courses.length >= 6)
  for (const { shows, seconds } of courses) {
    const wish = new RedundancyWish()
    seconds.forEach(([lost, run, wanted], second) => {
      wish.second(lost, run)
      assert.equal(wish.wish, wanted, `${shows}, second ${second}`)
    })
  }
})
