// What a call says before its sound has opened: at once, in rhythm, and up to the moment from which sound is captured.
import assert from "node:assert/strict"
import { mock, test } from "node:test"
import { packetSlots } from "../../src/core/audio/toc.js"
import { FirstSilence } from "../../src/worker/first-silence.js"

function said(work: (silence: FirstSilence) => void): number[] {
  mock.timers.enable({ apis: ["setInterval"] })
  const slots: number[] = []
  const silence = new FirstSilence((packet) => slots.push(packetSlots(packet)))
  try {
    work(silence)
    silence.stop(1e6)
    mock.timers.tick(500)
    return slots
  } finally {
    mock.timers.reset()
  }
}

test("one packet at once, then one in 60 ms, and nothing once it has ended", () => {
  assert.deepEqual(said((silence) => {
    silence.start(1000)
    silence.end()
  }), [3])
  assert.deepEqual(said((silence) => {
    silence.start(1000)
    mock.timers.tick(179)
    silence.end()
  }), [3, 3, 3])
})

test("what is captured later follows without a gap", () => {
  for (const [laterMs, rest] of [[0, []], [9, []], [11, [1]], [42, [2]], [58, [3]]] as const) {
    assert.deepEqual(said((silence) => {
      silence.start(1000)
      mock.timers.tick(laterMs)
      silence.stop(1000 + laterMs)
    }), [3, ...rest], `after ${laterMs} ms`)
  }
  assert.deepEqual(said((silence) => {
    silence.start(1000)
    mock.timers.tick(139)
    silence.stop(1139)
  }), [3, 3, 3, 1])
})

test("a call whose sound was open before it began, or that is over, has nothing more to fill", () => {
  assert.deepEqual(said((silence) => silence.stop(1000)), [])
  assert.deepEqual(said((silence) => {
    silence.start(1000)
    silence.end()
    silence.stop(2000)
  }), [3])
})
