/** Pauses in quiet and in noisy rooms, as tests/audio/test_pauses.py has them. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { COMPARED_SLOTS, Pauses, QUIET_RMS } from "../../src/audio/pauses.js"

const SPEECH = 0.1

function pausesAmong(levels: readonly number[]): boolean[] {
  const judge = new Pauses()
  return levels.map((level) => judge.isPause(level))
}

/** Speech of 1.2 s, pauses of 0.5 s, in a room of that level. */
const conversation = (room: number): number[] =>
  Array.from({ length: 4 * COMPARED_SLOTS }, (_none, slot) => (slot % 85 < 60 ? SPEECH : room))

test("what is too quiet to be heard is a pause from the first slot on", () => {
  assert.deepEqual(pausesAmong([QUIET_RMS * 0.9, QUIET_RMS * 1.1, 0]), [true, false, true])
})

test("pauses in a noisy room are found, and nothing else", () => {
  for (const room of [0.005, 0.02]) {
    const levels = conversation(room)
    const found = pausesAmong(levels)
    assert.ok(!found.slice(0, COMPARED_SLOTS - 1).includes(true))
    assert.deepEqual(found.slice(COMPARED_SLOTS), levels.slice(COMPARED_SLOTS).map((level) => level === room))
  }
})

test("noise as loud as speech is no pause, nor is what never changes, nor are the first words after silence", () => {
  assert.ok(!pausesAmong(conversation(SPEECH / 3)).includes(true))
  assert.ok(!pausesAmong(Array<number>(3 * COMPARED_SLOTS).fill(SPEECH)).includes(true))
  const silence = Array<number>(COMPARED_SLOTS).fill(0)
  assert.deepEqual(pausesAmong([...silence, SPEECH / 4, SPEECH]).slice(-2), [false, false])
})
