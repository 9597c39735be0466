import assert from "node:assert/strict"
import { test } from "node:test"
import { FrameCutter } from "../../src/audio/frame-cutter.js"

function cutter(size: number): { push: FrameCutter["push"]; frames: [number, number[]][] } {
  const frames: [number, number[]][] = []
  const cut = new FrameCutter(size, (frame, samples) => frames.push([frame, [...samples]]))
  return { push: cut.push.bind(cut), frames }
}

const ramp = (from: number, count: number): Float32Array => Float32Array.from({ length: count }, (_none, index) => from + index)

test("blocks become whole frames, whatever the lengths", () => {
  const { push, frames } = cutter(5)
  for (let place = 0; place < 21; place += 3) push(ramp(place, 3), 3, 700 + place)
  assert.deepEqual(frames, [0, 1, 2, 3].map((frame) => [frame, [...ramp(frame * 5, 5)]]))
})

test("one block may hold several frames", () => {
  const { push, frames } = cutter(2)
  push(ramp(0, 7), 7, 0)
  assert.deepEqual(frames.map(([frame]) => frame), [0, 1, 2])
})

test("missing samples are silence, and what follows keeps its place", () => {
  const { push, frames } = cutter(4)
  push(ramp(1, 3), 3, 100)
  push(ramp(6, 3), 3, 105)
  assert.deepEqual(frames, [[0, [1, 2, 3, 0]], [1, [0, 6, 7, 8]]])
})

test("frames of which nothing came are counted, not sent", () => {
  const { push, frames } = cutter(4)
  push(ramp(1, 4), 4, 0)
  push(ramp(5, 2), 2, 4)
  push(ramp(41, 4), 4, 40)
  push(ramp(45, 3), 3, 47)
  assert.deepEqual(frames, [[0, [1, 2, 3, 4]], [1, [5, 6, 0, 0]], [10, [41, 42, 43, 44]], [11, [0, 0, 0, 45]]])
})

test("no block is silence of its length", () => {
  const { push, frames } = cutter(4)
  push(ramp(1, 2), 2, 0)
  push(null, 2, 2)
  assert.deepEqual(frames, [[0, [1, 2, 0, 0]]])
})

test("a place that lies behind moves nothing back", () => {
  const { push, frames } = cutter(2)
  push(ramp(0, 4), 4, 50)
  push(ramp(4, 4), 4, 20)
  push(ramp(8, 2), 2, 24)
  assert.deepEqual(frames.map(([frame, samples]) => [frame, samples[0]]), [[0, 0], [1, 2], [2, 4], [3, 6], [4, 8]])
})

test("frames handed out are not written again", () => {
  const kept: Float32Array[] = []
  const cut = new FrameCutter(2, (_frame, samples) => kept.push(samples))
  cut.push(ramp(0, 6), 6, 0)
  assert.deepEqual(kept.map((samples) => [...samples]), [[0, 1], [2, 3], [4, 5]])
})
