/** Voice notes at the loudspeaker: in order, whole, and garbage is silence in its place. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { NotePlayer } from "../../src/audio/note-player.js"
import { openDecoder, openEncoder } from "../../src/audio/opus.js"
import { rms } from "../../src/audio/sound.js"

const RATE_HZ = 48_000
const SLOT = RATE_HZ / 50

async function note(seconds: number): Promise<Uint8Array[]> {
  const encoder = await openEncoder()
  const sound = Float32Array.from({ length: 960 }, (_, at) => Math.sin(at / 8) / 3)
  const packets = Array.from({ length: Math.round(seconds / 0.06) }, () => encoder.encode(sound, 128))
  encoder.free()
  return packets
}

test("notes wait for the decoder, are played in order, and are counted until they are over", async () => {
  const player = new NotePlayer(RATE_HZ)
  const first = await note(1.2)
  player.push(first)
  player.push([...first.slice(0, 10), Uint8Array.of(0x5b, 2, 255, 255, 255), ...first.slice(10, 18)])
  assert.equal(player.pull(), null)
  assert.ok(player.isEmpty)
  player.use(await openDecoder(RATE_HZ))
  assert.equal(player.waiting, 2)
  const slots: Float32Array[] = []
  for (let slot = player.pull(); slot !== null; slot = player.pull()) {
    slots.push(slot.slice())
    if (slots.length === 60) assert.equal(player.waiting, 2)
    if (slots.length === 61) assert.equal(player.waiting, 1)
  }
  assert.equal(player.waiting, 0)
  assert.ok(slots.every(({ length }) => length === SLOT))
  assert.equal(slots.length, 60 + 30 + 6 + 24)
  assert.ok(slots.slice(1, 60).every((slot) => rms(slot) > 0.05))
  assert.ok(slots.slice(90, 96).every((slot) => rms(slot) === 0), "what the decoder refuses")
})
