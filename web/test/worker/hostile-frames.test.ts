/** Ten thousand malformed, forged and replayed frames in the middle of a call: nothing of them is heard. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { openDecoder, openEncoder } from "../../src/audio/opus.js"
import { PacketMaker } from "../../src/audio/packet-maker.js"
import { Playout } from "../../src/audio/playout.js"
import { PROFILES, SAMPLE_RATE_HZ, SLOT_MS, SLOT_SAMPLES } from "../../src/core/audio/profiles.js"
import { callKey, SFrameKey } from "../../src/core/e2ee/sframe.js"
import { BASE_KEY, call, came, LONG, type Side } from "./call-sides.js"
import { Hostile, NOT_COUNTED } from "./hostile-frames.js"

const { slots: SLOTS } = PROFILES.ordinary
const FRAMES = 400
/** Before every frame of the peer, and as many behind it: 10 400 in 24 s. */
const HOSTILE_EACH = 13
/** What playout wants for packets of 60 ms that come at their time. */
const HEARD_AFTER_MS = 40
const EPOCH = 1

/** What the media take for the time. */
let nowMs = 0

/** 24 s of a voice that rises and falls, as it leaves the encoder. */
async function said(): Promise<[number, Uint8Array][]> {
  const packets: [number, Uint8Array][] = []
  const maker = new PacketMaker(await openEncoder(), (slot, packet) => packets.push([slot, packet]))
  maker.setProfile(PROFILES.ordinary)
  for (let slot = 0; slot < FRAMES * SLOTS; slot++) {
    maker.push(slot, Float32Array.from({ length: SLOT_SAMPLES }, (_zero, index) => {
      const seconds = (slot * SLOT_SAMPLES + index) / SAMPLE_RATE_HZ
      return 0.2 * Math.sin(2 * Math.PI * 1.3 * seconds) * Math.sin(2 * Math.PI * 210 * seconds)
    }))
  }
  return packets
}

/** Hands over all frames in their order, and around each what the hostile server makes of it; counts that by reason. */
async function delivered(from: Side, to: Side, hostile?: Hostile): Promise<Map<string, number>> {
  const made = new Map<string, number>()
  const flood = async (): Promise<void> => {
    const forged = (await hostile?.bodies(HOSTILE_EACH)) ?? []
    for (const [, reason] of forged) made.set(reason, (made.get(reason) ?? 0) + 1)
    // As they come from the network: none waits until the one before it was judged.
    await Promise.all(forged.map(([body]) => to.media.arrived(body)))
  }
  for (const [index, body] of from.sent.entries()) {
    nowMs = (index + 1) * SLOTS * SLOT_MS
    hostile?.holds(body)
    if (index > 0) await flood()
    await to.media.arrived(body)
    hostile?.passed()
    await flood()
  }
  await came(to.playout.port2, to.playout.port1)
  return made
}

/** What comes out of the loudspeaker, playout's statistics, and how often the call was taken for alive. */
async function heard({ arrived, noted }: Side): Promise<{ sound: Buffer; stats: object; concealed: number; played: number }> {
  const playout = new Playout(await openDecoder(SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
  const sound: Buffer[] = []
  for (const [index, { slot, packet, repeated }] of arrived.entries()) {
    nowMs = (index + 1) * SLOTS * SLOT_MS
    playout.push(slot, packet, nowMs, repeated)
    for (let pull = 0; pull < SLOTS; pull++) {
      sound.push(Buffer.from(Float32Array.from(playout.pull(nowMs + HEARD_AFTER_MS + pull * SLOT_MS)).buffer))
    }
  }
  const { concealed, played } = playout
  return { sound: Buffer.concat(sound), stats: { ...playout.stats, ...playout.jitter.stats, noted }, concealed, played }
}

test("ten thousand hostile frames change no sample that is heard [CANNOT-FORGE]", async (t) => {
  t.mock.method(performance, "now", () => nowMs)
  const packets = await said()
  const peer = await callKey(BASE_KEY, 0, EPOCH)
  const other = new Uint8Array(32).fill(9)
  const foreign = await Promise.all([
    callKey(BASE_KEY, 1, EPOCH), callKey(BASE_KEY, 2, EPOCH), callKey(other, 0, EPOCH), SFrameKey.create(BASE_KEY, peer.kid + 1),
  ])
  const run = (hostile?: Hostile): ReturnType<typeof heard> =>
    call(async (alice, bob) => {
      await alice.says(...packets)
      const made = await delivered(alice, bob, hostile)
      const total = [...made.values()].reduce((sum, count) => sum + count, 0)
      assert.ok(hostile === undefined || (total >= 10_000 && Math.min(...made.values()) >= 100), `${total}`)
      made.delete(NOT_COUNTED)
      assert.deepEqual(Object.fromEntries(bob.media.refusals), Object.fromEntries(made))
      assert.deepEqual(bob.signals, [], "a forged offer of a direct channel is not answered")
      return heard(bob)
    })
  const quiet = await run()
  const flooded = await run(new Hostile(peer.kid, foreign, 1))
  assert.ok(flooded.sound.equals(quiet.sound))
  assert.deepEqual(flooded.stats, quiet.stats)
  assert.deepEqual([quiet.concealed, quiet.played], [0, FRAMES * SLOTS])
})

test("hostile frames alone begin nothing [CANNOT-FORGE]", () =>
  call(async (alice, bob) => {
    await alice.says([0, LONG])
    const peer = await callKey(BASE_KEY, 0, EPOCH)
    const hostile = new Hostile(peer.kid, [await callKey(BASE_KEY, 1, EPOCH)], 2)
    hostile.holds(alice.sent[0]!)
    hostile.passed()
    // The frame itself never arrives here, nor what is a copy of it.
    const forged = (await hostile.bodies(1000)).filter(([body]) => !alice.sent.includes(body))
    await Promise.all(forged.map(([body]) => bob.media.arrived(body)))
    await came(bob.playout.port2, bob.playout.port1)
    assert.deepEqual([bob.arrived, bob.noted], [[], 0])
  }))
