/** The hint for a muted person who speaks: at speech, and at nothing else. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { SpeakingHint } from "../../src/audio/speaking.js"

const level = (db: number): number => 10 ** (db / 20)

/** Slots until the answer is `wanted`, or null. */
function until(hint: SpeakingHint, wanted: boolean, slots: number, db: (slot: number) => number): number | null {
  for (let slot = 0; slot < slots; slot++) {
    const changed = hint.push(level(db(slot)))
    if (changed && hint.speaking === wanted) return slot
  }
  return null
}

/** Syllables: five loud slots in eight, and a pause of 300 ms in each two seconds. */
const speech = (loudDb: number, roomDb: number) => (slot: number): number =>
  slot % 8 < 5 && slot % 100 < 85 ? loudDb + (slot % 3) : roomDb

/** A room that has been listened to for ten seconds. */
function inRoom(roomDb: number): SpeakingHint {
  const hint = new SpeakingHint()
  until(hint, true, 500, () => roomDb)
  hint.reset()
  return hint
}

test("speech is noticed within a second, in a quiet and in a noisy room", () => {
  for (const [loud, room] of [[-25, -70], [-40, -60], [-20, -42]] as const) {
    const slots = until(inRoom(room), true, 200, speech(loud, room))
    assert.ok(slots !== null && slots < 50, `${loud} dB in ${room}: ${slots}`)
  }
})

test("it is over when the person was quiet for a while, and not in the pauses", () => {
  const hint = inRoom(-65)
  assert.ok(until(hint, true, 200, speech(-25, -65)) !== null)
  assert.equal(until(hint, false, 3000, speech(-25, -65)), null)
  const slots = until(hint, false, 200, () => -65)
  assert.ok(slots !== null && slots > 25 && slots <= 75, `${slots}`)
})

test("noise, knocks and whispers are no speech", () => {
  const courses: Record<string, (slot: number) => number> = {
    "a knock each second": (slot) => (slot % 50 < 3 ? -15 : -65),
    "typing": (slot) => (slot % 9 < 2 ? -30 : -65),
    "a fan": (slot) => -45 + (slot % 5),
    "a fan that gets louder": (slot) => Math.min(-30, -65 + slot * 0.02),
    "a whisper far away": (slot) => speech(-56, -70)(slot),
  }
  for (const [name, db] of Object.entries(courses)) assert.equal(until(inRoom(db(20)), true, 1500, db), null, name)
})

test("digital silence before a breath does not make it loud", () => {
  const hint = new SpeakingHint()
  until(hint, true, 100, () => -Infinity)
  assert.equal(until(hint, true, 200, (slot) => (slot % 8 < 5 ? -55 : -200)), null)
})

test("what was said before the mute does not count", () => {
  const hint = inRoom(-65)
  assert.ok(until(hint, true, 200, speech(-25, -65)) !== null)
  hint.reset()
  assert.equal(hint.speaking, false)
  assert.equal(until(hint, true, 12, speech(-25, -65)), null)
})
