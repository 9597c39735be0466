import assert from "node:assert/strict"
import { test } from "node:test"
import { Resampler } from "../../src/audio/resampler.js"

const RATES: readonly [number, number][] = [
  [48_000, 16_000], [44_100, 16_000], [48_000, 44_100], [96_000, 16_000], [8000, 16_000], [48_000, 96_000], [22_050, 16_000],
]

function tone(hz: number, rateHz: number, seconds: number): Float32Array {
  return Float32Array.from({ length: rateHz * seconds }, (_none, index) => 0.5 * Math.sin((2 * Math.PI * hz * index) / rateHz))
}

function run(resampler: Resampler, sound: Float32Array, blocks: number): Float32Array {
  const parts: number[] = []
  for (let start = 0; start < sound.length; start += blocks) parts.push(...resampler.push(sound.subarray(start, start + blocks)))
  return Float32Array.from(parts)
}

for (const [from, to] of RATES) {
  const frame = (from * 60) / 1000
  test(`${from} to ${to} Hz: a tone keeps its level and comes when it is said to`, () => {
    const resampler = new Resampler(from, to)
    const heard = run(resampler, tone(1000, from, 0.6), frame)
    assert.equal(heard.length, 0.6 * to)
    const lag = (resampler.delayMs / 1000) * to
    let worst = 0
    for (let index = Math.ceil(2 * lag) + 1; index < heard.length; index++) {
      worst = Math.max(worst, Math.abs(heard[index]! - 0.5 * Math.sin((2 * Math.PI * 1000 * (index - lag)) / to)))
    }
    assert.ok(worst < 2e-3, `error of ${worst}`)
  })

  test(`${from} to ${to} Hz: the cut into blocks changes nothing`, () => {
    const sound = tone(700, from, 0.6)
    const whole = run(new Resampler(from, to), sound, frame)
    for (const blocks of [128, 1, 999]) assert.deepEqual(run(new Resampler(from, to), sound, blocks), whole)
  })
}

test("what the lower rate cannot carry is gone", () => {
  const heard = run(new Resampler(48_000, 16_000), tone(9000, 48_000, 0.6), 2880).subarray(200)
  assert.ok(Math.max(...heard.map(Math.abs)) < 5e-4)
})

test("speech's upper band passes", () => {
  const heard = run(new Resampler(48_000, 16_000), tone(6800, 48_000, 0.6), 2880).subarray(200)
  assert.ok(Math.max(...heard.map(Math.abs)) > 0.45)
})

test("one frame in gives one frame out, from the first on", () => {
  const resampler = new Resampler(44_100, 16_000)
  for (let frame = 0; frame < 5; frame++) assert.equal(resampler.push(new Float32Array(2646)).length, 960)
})
