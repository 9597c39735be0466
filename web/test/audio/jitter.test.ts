/** The jitter buffer against the traces that Python's answers too, and against traces of no order at all. */

import assert from "node:assert/strict"
import { readdirSync, readFileSync } from "node:fs"
import { test } from "node:test"
import {
  CATCH_UP_SLOTS, DEFAULT_CONFIG, type Decision, JitterBuffer, type JitterConfig, type Packet, SLOT_MAX,
} from "../../src/audio/jitter.js"
import { SLOT_MS } from "../../src/core/audio/profiles.js"

const FOLDER = new URL("../../../../vectors/jitter/", import.meta.url)

type Answer =
  | ["play", number, number, boolean]
  | ["conceal", number, number, boolean]
  | ["wait", number | null]
type Event = ["expect", number] | ["push", number, number, boolean, number, boolean] | ["pop", number, Answer] | ["skip"]

interface Case {
  readonly config: Record<string, number>
  readonly stats: Record<string, number>
  readonly events: Event[]
}

function camel(name: string): string {
  return name.replace(/_([a-z])/g, (_all, letter: string) => letter.toUpperCase())
}

function camelled(values: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [camel(name), value]))
}

function answer(decision: Decision): Answer {
  if (decision.kind === "play") return ["play", decision.slot, decision.packet.first, decision.surplus]
  if (decision.kind === "conceal") return ["conceal", decision.slot, decision.run, decision.held]
  return ["wait", decision.waitMs]
}

const packet = (first: number, slots = 1): Packet => ({ first, slots, data: new TextEncoder().encode(String(first)) })

const names = readdirSync(FOLDER).filter((name) => name.endsWith(".json"))

test("the shared traces are there", () => assert.ok(names.length >= 26))

for (const name of names) {
  test(`trace ${name}`, () => {
    const { config, stats, events } = JSON.parse(readFileSync(new URL(name, FOLDER), "utf8")) as Case
    const buffer = new JitterBuffer(camelled(config) as Partial<JitterConfig>)
    events.forEach((event, index) => {
      if (event[0] === "push") {
        const [, first, slots, repeated, nowMs, taken] = event
        assert.equal(buffer.push(packet(first, slots), nowMs, repeated), taken, `event ${index}`)
      } else if (event[0] === "pop") {
        assert.deepEqual(answer(buffer.pop(event[1])), event[2], `event ${index}`)
      } else if (event[0] === "expect") {
        buffer.expect(event[1])
      } else {
        buffer.skip()
      }
    })
    const { lost, late } = buffer.percent()
    assert.deepEqual({ ...buffer.stats, lostPercent: lost, latePercent: late }, camelled(stats))
  })
}

/** A small generator with a seed: a failing trace can be run again. */
function chance(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

test("any trace plays once, in order, bounded, and drains", () => {
  const { targetMsMax, slotsMax } = DEFAULT_CONFIG
  for (let seed = 1; seed <= 300; seed++) {
    const pick = chance(seed)
    const arrivals: [number, Packet, boolean][] = []
    let end = 0
    for (let count = 1 + pick(100); count > 0; count--) {
      const sent = packet(end, 1 + pick(6))
      end += sent.slots
      const extra = pick(2000)
      const shift = pick(400) - 200
      for (let copy = pick(4); copy > 0; copy--) {
        arrivals.push([Math.max(0, end * SLOT_MS + extra + copy * shift), sent, copy === 2 && pick(2) === 0])
      }
    }
    arrivals.sort((a, b) => a[0] - b[0])
    const buffer = new JitterBuffer()
    const arrived = new Set<Packet>()
    const taken = new Set<Packet>()
    const phase = pick(20)
    const stall = pick(300)
    let last = -1
    for (let tick = 0; tick < end + 250; tick++) {
      const now = tick * SLOT_MS + phase
      while (arrivals.length > 0 && arrivals[0]![0] <= now) {
        const [at, sent, repeated] = arrivals.shift()!
        arrived.add(sent)
        if (!buffer.push(sent, at, repeated)) continue
        assert.ok(!taken.has(sent), `seed ${seed}: ${sent.first} taken twice`)
        taken.add(sent)
        assert.ok(buffer.slotsHeld <= slotsMax)
      }
      if (tick >= stall && tick < stall + 45) continue
      const decision = buffer.pop(now)
      if (decision.kind !== "play") continue
      const { slot, packet: { first, slots } } = decision
      assert.ok(arrived.has(decision.packet) && slot > last, `seed ${seed}: ${slot} after ${last}`)
      assert.ok(first <= slot && slot < first + slots)
      assert.ok(buffer.stats.delayMs <= targetMsMax + CATCH_UP_SLOTS * SLOT_MS)
      last = slot
    }
    assert.equal(buffer.slotsHeld, 0, `seed ${seed}`)
    const { received, repaired, played, late, duplicate, discarded } = buffer.stats
    assert.equal(received + repaired, played + late + duplicate + discarded)
  }
})

test("what is no packet is refused", () => {
  const buffer = new JitterBuffer()
  for (const first of [-1, 0.5, NaN, Infinity, SLOT_MAX + 1]) assert.equal(buffer.push(packet(first), 0), false)
  for (const slots of [0, -1, 7, 1.5, NaN]) assert.equal(buffer.push(packet(0, slots), 0), false)
  assert.equal(buffer.slotsHeld, 0)
  assert.equal(buffer.stats.received, 0)
})

test("a configuration out of bounds is refused", () => {
  for (const wrong of [{ targetMsMin: 0 }, { targetMsMin: 700 }, { quantile: 0 }, { slotsMax: 24 }, { windowSlots: 0 }]) {
    assert.throws(() => new JitterBuffer(wrong), RangeError)
  }
})
