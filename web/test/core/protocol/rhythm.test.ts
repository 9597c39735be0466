// What PINGs in a call's rhythm tell of loss and of a queue, and what they must not take for either.
import assert from "node:assert/strict"
import { test } from "node:test"
import { Rhythm, type RhythmOutcome } from "../../../src/core/protocol/rhythm.js"

/** 300 PINGs, 12 ms apart, over four connections; `tookMs` is undefined for one that never comes back. */
function outcome(tookMs: (nth: number, atMs: number) => number | undefined): RhythmOutcome {
  const rhythm = new Rhythm()
  for (let nth = 0; nth < 300; nth++) {
    const atMs = 1_000 + nth * 12
    const place = rhythm.sent(nth % 4, atMs)
    const took = tookMs(nth, atMs)
    if (took !== undefined) rhythm.answered(place, atMs + took)
  }
  return rhythm.outcome()
}

test("an even way is neither lossy nor narrow", () => assert.deepEqual(outcome(() => 50), { missShare: 0, queueingMs: 0 }))

test("what comes late beside the others was lost", () => {
  const { missShare, queueingMs } = outcome((nth) => (nth % 11 === 0 ? 400 : 50))
  assert.ok(missShare > 0.08 && missShare < 0.1, String(missShare))
  assert.equal(queueingMs, 0)
})

test("what never comes back was lost", () => assert.ok(outcome((nth) => (nth % 11 === 0 ? undefined : 50)).missShare > 0.08))

test("what waits behind a loss is not lost as well", () => {
  // One loss on the first connection, and twenty PINGs that wait for its repair.
  const { missShare } = outcome((nth, atMs) => (nth % 4 === 0 && nth < 80 ? Math.max(50, 2_000 - atMs) : 50))
  assert.ok(missShare < 0.01, String(missShare))
})

test("a queue delays all, and is no loss", () => {
  const { missShare, queueingMs } = outcome((nth) => 50 + nth)
  assert.equal(missShare, 0)
  assert.ok(queueingMs > 150 && queueingMs < 300, String(queueingMs))
})

test("a queue that is gone within a second is not told", () => {
  assert.equal(outcome((_, atMs) => (atMs > 2_000 && atMs < 2_800 ? 250 : 50)).queueingMs, 0)
})

test("a slow way is no queue", () => assert.deepEqual(outcome(() => 600), { missShare: 0, queueingMs: 0 }))

test("too few tell nothing", () => {
  const rhythm = new Rhythm()
  for (let nth = 0; nth < 10; nth++) rhythm.sent(0, nth * 12)
  assert.deepEqual(rhythm.outcome(), { missShare: 0, queueingMs: 0 })
  assert.deepEqual(new Rhythm().outcome(), { missShare: 0, queueingMs: 0 })
})
