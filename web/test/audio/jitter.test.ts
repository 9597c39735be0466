/** The jitter buffer against the traces that Python's answers too, and against traces of no order at all. */

import assert from "node:assert/strict"
import { readdirSync, readFileSync } from "node:fs"
import { test } from "node:test"
import { CATCH_UP_FRAMES, DEFAULT_CONFIG, type Decision, JitterBuffer, type JitterConfig, SEQ_MAX } from "../../src/audio/jitter.js"

const FOLDER = new URL("../../../../vectors/jitter/", import.meta.url)

type Answer =
  | ["frame", number, boolean, boolean]
  | ["conceal", number, number, boolean]
  | ["wait", number | null]
type Event = ["push", number, number, boolean] | ["pop", number, Answer] | ["skip"]

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
  if (decision.kind === "frame") return ["frame", decision.seq, decision.surplus, decision.urgent]
  if (decision.kind === "conceal") return ["conceal", decision.seq, decision.run, decision.held]
  return ["wait", decision.waitMs]
}

const packet = (seq: number): Uint8Array => new TextEncoder().encode(String(seq))

const names = readdirSync(FOLDER).filter((name) => name.endsWith(".json"))

test("the shared traces are there", () => assert.ok(names.length >= 19))

for (const name of names) {
  test(`trace ${name}`, () => {
    const { config, stats, events } = JSON.parse(readFileSync(new URL(name, FOLDER), "utf8")) as Case
    const buffer = new JitterBuffer(camelled(config) as Partial<JitterConfig>)
    events.forEach((event, index) => {
      if (event[0] === "push") assert.equal(buffer.push(event[1], packet(event[1]), event[2]), event[3], `event ${index}`)
      else if (event[0] === "pop") assert.deepEqual(answer(buffer.pop(event[1])), event[2], `event ${index}`)
      else buffer.skip()
    })
    assert.deepEqual({ ...buffer.stats }, camelled(stats))
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
  const { frameMs, targetMsMax, framesMax } = DEFAULT_CONFIG
  for (let seed = 1; seed <= 300; seed++) {
    const pick = chance(seed)
    const arrivals: [number, number][] = []
    const count = 1 + pick(120)
    for (let seq = 0; seq < count; seq++) {
      const extra = pick(2000)
      const shift = pick(400) - 200
      for (let copy = pick(4); copy > 0; copy--) arrivals.push([Math.max(0, seq * frameMs + extra + copy * shift), seq])
    }
    arrivals.sort((a, b) => a[0] - b[0])
    const buffer = new JitterBuffer()
    const arrived = new Set<number>()
    const phase = pick(60)
    const stall = pick(100)
    let last = -1
    for (let tick = 0; tick < count + 80; tick++) {
      const now = tick * frameMs + phase
      while (arrivals.length > 0 && arrivals[0]![0] <= now) {
        const [at, seq] = arrivals.shift()!
        const taken = buffer.push(seq, packet(seq), at)
        assert.ok(!(taken && arrived.has(seq)), `seed ${seed}: ${seq} taken twice`)
        arrived.add(seq)
        assert.ok(buffer.framesHeld <= framesMax)
      }
      if (tick >= stall && tick < stall + 15) continue
      const decision = buffer.pop(now)
      if (decision.kind !== "frame") continue
      assert.ok(arrived.has(decision.seq) && decision.seq > last, `seed ${seed}: ${decision.seq} after ${last}`)
      assert.deepEqual(decision.packet, packet(decision.seq))
      assert.ok(buffer.stats.delayMs <= targetMsMax + CATCH_UP_FRAMES * frameMs)
      last = decision.seq
    }
    assert.equal(buffer.framesHeld, 0, `seed ${seed}`)
    const { received, played, late, duplicate, discarded } = buffer.stats
    assert.equal(received, played + late + duplicate + discarded)
  }
})

test("what is no frame number is refused", () => {
  const buffer = new JitterBuffer()
  for (const seq of [-1, 0.5, NaN, Infinity, SEQ_MAX + 1]) assert.equal(buffer.push(seq, packet(0), 0), false)
  assert.equal(buffer.framesHeld, 0)
  assert.equal(buffer.stats.received, 0)
})

test("a configuration out of bounds is refused", () => {
  for (const wrong of [{ frameMs: 0 }, { targetMsMin: 700 }, { quantile: 0 }, { framesMax: 8 }, { windowFrames: 0 }]) {
    assert.throws(() => new JitterBuffer(wrong), RangeError)
  }
})
