import assert from "node:assert/strict"
import { test } from "node:test"
import { AudioClock } from "../../src/audio/clock.js"

test("the clock runs with the audio, not with the wall", () => {
  const clock = new AudioClock(0, 1_000_000)
  for (let ms = 10; ms < 60_000; ms += 10) assert.equal(clock.tick(ms, 1_000_000 + ms * 1.0002 + (ms % 70)), ms)
  assert.equal(clock.lostMs, 0)
})

test("a standstill of the audio is made up for, once", () => {
  const clock = new AudioClock(0, 0)
  clock.tick(100, 100)
  assert.equal(clock.at(140), 100)
  assert.equal(clock.at(3100), 3100)
  assert.equal(clock.tick(110, 5110), 5110)
  assert.equal(clock.tick(120, 5120), 5120)
  assert.equal(clock.at(5125), 5120)
  assert.equal(clock.lostMs, 5000)
})

test("a wall clock that is set back changes nothing", () => {
  const clock = new AudioClock(0, 1_000_000)
  assert.equal(clock.tick(10, 5), 10)
  assert.equal(clock.at(0), 10)
  assert.equal(clock.tick(20, 15), 20)
})
