// When a call is called good, fair and poor, here and there.
import assert from "node:assert/strict"
import { test } from "node:test"
import { HeardThere, qualityOf } from "../../src/worker/call-quality.js"

test("the share that was lost has three names", () => {
  assert.deepEqual([0, 0.02, 0.03, 0.1, 0.11, 1].map(qualityOf), ["good", "good", "fair", "fair", "poor", "poor"])
})

test("what the other side hears is told from five seconds of its reports", () => {
  const there = new HeardThere()
  const told = (lostPercent: number, latePercent = 0): string => {
    there.second({ lostPercent, latePercent })
    return there.quality
  }
  assert.deepEqual([0, 0, 0, 0, 0].map((percent) => told(percent)), ["unknown", "unknown", "unknown", "unknown", "good"])
  assert.equal(told(40), "fair")
  assert.equal(told(0), "fair")
  assert.deepEqual([told(12, 8), told(20), told(100, 100)], ["poor", "poor", "poor"])
  assert.deepEqual([0, 0, 0, 0, 0].map((percent) => told(percent)).at(-1), "good")
})
