/** Playout and codec together, with libopus itself. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { type Decoder, Effort, type Encoder, openDecoder, openEncoder } from "../../src/audio/opus.js"
import { PacketMaker } from "../../src/audio/packet-maker.js"
import { CONCEALED_SLOTS_MAX, FADE_SLOTS, Playout } from "../../src/audio/playout.js"
import { rms } from "../../src/audio/sound.js"
import { type Profile, type ProfileName, PROFILES, SAMPLE_RATE_HZ, SLOT_MS, SLOT_SAMPLES } from "../../src/core/audio/profiles.js"
import { packetSlots } from "../../src/core/audio/toc.js"

const SLOTS = PROFILES.ordinary.slots
const PACKET_MS = SLOTS * SLOT_MS

function tone(slot: number, count: number, level: number, hz: number): Float32Array {
  return Float32Array.from({ length: count * SLOT_SAMPLES }, (_zero, index) =>
    level * Math.sin((2 * Math.PI * hz * (slot * SLOT_SAMPLES + index)) / SAMPLE_RATE_HZ))
}

async function tonePackets(count: number, level = 0.2, hz = 300, profile: Profile = PROFILES.ordinary): Promise<Uint8Array[]> {
  const packets: Uint8Array[] = []
  const maker = new PacketMaker(await openEncoder(), (_slot, packet) => packets.push(packet))
  maker.setProfile(profile)
  for (let slot = 0; slot < count * profile.slots; slot++) maker.push(slot, tone(slot, 1, level, hz))
  return packets
}

const PACKETS = await tonePackets(100)

async function playout(decoder?: Decoder, windowSlots = 768): Promise<Playout> {
  return new Playout(decoder ?? (await openDecoder(SAMPLE_RATE_HZ)), SAMPLE_RATE_HZ, { windowSlots })
}

/** One packet arrives at its time, and its slots are pulled 40 ms later. */
function step(player: Playout, index: number, packet: Uint8Array | null): Float32Array {
  const at = (index + 1) * PACKET_MS
  if (packet !== null) player.push(index * SLOTS, packet, at)
  const heard = new Float32Array(SLOTS * SLOT_SAMPLES)
  for (let slot = 0; slot < SLOTS; slot++) heard.set(player.pull(at + 40 + slot * SLOT_MS), slot * SLOT_SAMPLES)
  return heard
}

test("packets keep to their profiles", async () => {
  // RFC 6716 section 3.1: SILK, 20 or 60 ms, wide band, the lean one medium.
  const configs: Record<ProfileName, number> = { direct: 9, lossy: 9, ordinary: 11, lean: 7 }
  for (const profile of Object.values(PROFILES)) {
    const packets = await tonePackets(20, 0.2, 300, profile)
    assert.equal(packets.length, 20)
    for (const packet of packets) {
      assert.ok(packet.length <= profile.packetBytesMax, profile.name)
      assert.equal(packetSlots(packet), profile.slots)
      assert.equal(packet[0]! >> 3, configs[profile.name])
    }
  }
})

test("noise does not pass the packet's limit either", async () => {
  const encoder = await openEncoder()
  let state = 1
  for (let packet = 0; packet < 40; packet++) {
    const noise = Float32Array.from({ length: SLOT_SAMPLES }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return state / 2 ** 31 - 1
    })
    assert.ok(encoder.encode(noise, 45).length <= 45)
  }
})

test("a clean path is heard whole", async () => {
  const player = await playout()
  PACKETS.forEach((packet, index) => {
    const level = rms(step(player, index, packet))
    if (index > 2) assert.ok(Math.abs(level - 0.2 / Math.SQRT2) < 0.02, `packet ${index}: ${level}`)
  })
  assert.equal(player.concealed, 0)
  assert.equal(player.played, 300)
  assert.equal(player.lostShare, 0)
})

test("after 180 ms of invented sound it fades to nothing, and comes back without a click", async () => {
  const player = await playout()
  const heard = PACKETS.slice(0, 60).map((packet, index) => step(player, index, index >= 20 && index < 40 ? null : packet))
  assert.equal(CONCEALED_SLOTS_MAX + FADE_SLOTS, 4 * SLOTS)
  for (const index of [20, 21, 22]) assert.ok(rms(heard[index]!) > 0.01, `packet ${index}`)
  assert.ok(Math.abs(heard[23]!.at(-1)!) < 1e-6)
  for (let index = 24; index < 40; index++) assert.ok(heard[index]!.every((sample) => sample === 0), `packet ${index}`)
  assert.ok(Math.abs(heard[40]![0]!) < 1e-3)
  assert.ok(rms(heard[41]!) > 0.05)
  assert.equal(player.jitter.stats.longestConcealed, 60)
  assert.equal(player.lostShare, 1 / 3)
})

test("each loss is concealed afresh", async () => {
  const player = await playout()
  const lost = new Set([10, 11, 12, 20, 21, 22])
  PACKETS.slice(0, 40).forEach((packet, index) => {
    const sound = step(player, index, lost.has(index) ? null : packet)
    assert.ok(sound.some((sample) => sample !== 0), `packet ${index}`)
  })
  assert.equal(player.stats.silent, 0)
})

test("a corrupt packet is concealed and counted in slots; what is no packet is refused", async () => {
  const corrupt = Uint8Array.from({ length: 40 }, (_none, index) => [0x5b, 0x41][index] ?? 0xff)
  for (const packet of [corrupt, new Uint8Array([255, 255]), new Uint8Array(0), new Uint8Array([0x40, 0])]) {
    const player = await playout()
    const heard = PACKETS.slice(0, 40).map((good, index) => step(player, index, index === 30 ? packet : good))
    const isPacket = packet === corrupt
    assert.deepEqual([player.stats.corrupt, player.stats.malformed], isPacket ? [3, 0] : [0, 1])
    assert.equal(player.concealed, 3)
    assert.ok(rms(heard[30]!) > 0.02, `${packet.length} bytes`)
  }
})

test("nothing from the network throws", async () => {
  let state = 7
  const pick = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const player = await playout()
  let now = 0
  for (let event = 0; event < 5000; event++) {
    now += pick(60)
    const garbage = Uint8Array.from({ length: pick(200) }, (_none, index) => (index === 0 && pick(2) > 0 ? 0x5b : pick(256)))
    player.push(3 * event + pick(20), pick(3) > 0 ? garbage : PACKETS[pick(100)]!, now, pick(3) === 0)
    if (pick(2) > 0) assert.ok(player.pull(now).length <= SLOT_SAMPLES)
  }
  assert.ok(player.stats.corrupt > 100, `${player.stats.corrupt}`)
  assert.ok(player.stats.malformed > 100, `${player.stats.malformed}`)
})

test("a decoder that breaks leaves silence", async () => {
  const broken: Decoder = {
    decode: () => new Float32Array(SLOTS * SLOT_SAMPLES),
    conceal() { throw new WebAssembly.RuntimeError("unreachable") },
  }
  const player = await playout(broken)
  step(player, 0, PACKETS[0]!)
  assert.equal(rms(step(player, 1, null)), 0)
})

/** The steepest step of the sound, without its first `skip` samples. */
function steepest(sound: readonly Float32Array[], skip = 0): number {
  const samples = sound.flatMap((piece) => [...piece]).slice(skip)
  return samples.reduce((most, sample, index) => Math.max(most, Math.abs(sample - (samples[index - 1] ?? sample))), 0)
}

test("a change of the profile makes no click and loses nothing", async () => {
  const order = [PROFILES.ordinary, PROFILES.direct, PROFILES.lean, PROFILES.lossy]
  const arrivals: [number, Uint8Array, number][] = []
  let now = 0
  const maker = new PacketMaker(await openEncoder(), (slot, packet) => arrivals.push([slot, packet, now]))
  for (let slot = 0; slot < 480; slot++) {
    now = (slot + 1) * SLOT_MS
    if (slot % 60 === 0) maker.setProfile(order[(slot / 60) % 4]!)
    maker.push(slot, tone(slot, 1, 0.2, 308.3))
  }
  assert.deepEqual(new Set(arrivals.map(([slot], index) => (arrivals[index + 1]?.[0] ?? 480) - slot)), new Set([3, 1, 6]))
  const player = await playout()
  const heard: Float32Array[] = []
  for (let at = 140; at < 470 * SLOT_MS; at += SLOT_MS) {
    while (arrivals.length > 0 && arrivals[0]![2] <= at) player.push(...arrivals.shift()!)
    heard.push(player.pull(at).slice())
  }
  assert.ok(steepest(heard, 12 * SLOT_SAMPLES) < 2000 / 32768)
  assert.equal(player.lostShare, 0)
})

test("slots that were left out amid a packet are silence in it, and later ones keep their place", async () => {
  const made: [number, number][] = []
  const maker = new PacketMaker(await openEncoder(), (slot, packet) => made.push([slot, packetSlots(packet)]))
  for (const slot of [0, 1, 2, 3, 5, 6, 20, 21, 22]) maker.push(slot, tone(slot, 1, 0.2, 300))
  assert.deepEqual(made, [[0, 3], [3, 3], [6, 3], [20, 3]])
})

test("two frames of different kinds are two packets", async () => {
  const kinds = [0x38, 0x58, 0x58, 0x58]
  const made: [number, number][] = []
  const encoder: Encoder = { ...(await openEncoder()), encode: () => Uint8Array.of(kinds.shift()!, 1, 2) }
  const maker = new PacketMaker(encoder, (slot, packet) => made.push([slot, packetSlots(packet)]))
  maker.setProfile(PROFILES.lean)
  for (let slot = 0; slot < 12; slot++) maker.push(slot, new Float32Array(SLOT_SAMPLES))
  assert.deepEqual(made, [[0, 3], [3, 3], [6, 6]])
})

async function surplus(packets: Uint8Array[], heard: Float32Array[] = []): Promise<Playout> {
  const player = await playout(undefined, 96)
  const arrivals = packets.map((packet, index) => ({ at: Math.max((index + 1) * PACKET_MS, 360), slot: index * SLOTS, packet }))
  for (let now = 0; now < packets.length * PACKET_MS; now += SLOT_MS) {
    while (arrivals.length > 0 && arrivals[0]!.at <= now) {
      const { at, slot, packet } = arrivals.shift()!
      player.push(slot, packet, at)
    }
    heard.push(player.pull(now).slice())
  }
  return player
}

test("surplus delay goes where it is quiet", async () => {
  const player = await surplus(await tonePackets(150, 20 / 32768))
  assert.ok(player.jitter.stats.skipped >= 6)
  assert.ok(player.jitter.stats.delayMs < 40 + 2 * SLOT_MS)
  assert.equal(player.concealed, 0)
})

test("surplus delay goes in the pauses of a noisy room", async () => {
  // 15 dB below the speech: a street, a train.
  const packets: Uint8Array[] = []
  const maker = new PacketMaker(await openEncoder(), (_slot, packet) => packets.push(packet))
  maker.setProfile(PROFILES.ordinary)
  let seed = 1
  const noise = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647 - 0.5
  for (let slot = 0; slot < 900; slot++) {
    const speech = tone(slot, 1, slot % 85 < 60 ? 0.2 : 0, 300)
    maker.push(slot, speech.map((sample) => sample + 0.1 * noise()))
  }
  const { delayMs } = (await surplus(packets)).jitter.stats
  assert.ok(delayMs < 40 + 2 * SLOT_MS, `${delayMs} ms`)
})

test("surplus delay stays amid speech", async () => {
  const { delayMs, targetMs } = (await surplus(await tonePackets(150))).jitter.stats
  assert.equal(targetMs, 40)
  assert.ok(delayMs >= targetMs + 200, `${delayMs} ms`)
})

test("a slot left out makes no click", async () => {
  const heard: Float32Array[] = []
  const player = await surplus(await tonePackets(150, 80 / 32768, 308.3), heard)
  assert.ok(player.jitter.stats.skipped >= 1)
  assert.ok(steepest(heard, 30 * SLOT_SAMPLES) < 40 / 32768)
})

test("a delay too long by less than a slot goes where it is quiet, without a click", async () => {
  const packets = await tonePackets(80, 80 / 32768, 308.3)
  const player = await playout()
  const heard: Float32Array[] = []
  const arrivals = packets.map((packet, index) => ({ at: (index + 1) * PACKET_MS + (index < 1 ? 18 : 0), slot: index * SLOTS, packet }))
  let now = PACKET_MS + 58
  while (now < 70 * PACKET_MS) {
    while (arrivals.length > 0 && arrivals[0]!.at <= now) {
      const { at, slot, packet } = arrivals.shift()!
      player.push(slot, packet, at)
    }
    const sound = player.pull(now).slice()
    heard.push(sound)
    now += (sound.length * 1000) / SAMPLE_RATE_HZ
  }
  const { skipped, delayMs, targetMs } = player.jitter.stats
  assert.deepEqual([player.concealed, skipped], [0, 0])
  assert.ok(player.stats.trimmedMs > 0, "nothing was trimmed")
  assert.ok(delayMs - targetMs < 8 && delayMs >= targetMs - 1, `delay ${delayMs}, target ${targetMs}`)
  const step = steepest(heard, 3 * SLOT_SAMPLES)
  assert.ok(step < 40 / 32768, `a step of ${step * 32768}`)
})

test("a delay too long by less than a slot stays amid speech", async () => {
  const player = await playout()
  PACKETS.forEach((packet, index) => {
    const at = (index + 1) * PACKET_MS
    player.push(index * SLOTS, packet, at + (index < 1 ? 18 : 0))
    for (let slot = 0; slot < SLOTS; slot++) assert.equal(player.pull(at + 58 + slot * SLOT_MS).length, SLOT_SAMPLES)
  })
  assert.equal(player.stats.trimmedMs, 0)
})

test("an idle player waits without pulling, so that the first slot starts when it is due", async () => {
  const player = await playout()
  assert.ok(player.idle(0))
  player.push(5, PACKETS[0]!, 1000)
  assert.ok(player.idle(1039))
  assert.ok(!player.idle(1040))
  player.pull(1040)
  assert.equal(player.jitter.stats.delayMs, 40)
  assert.ok(!player.idle(1100))
})

test("encoding steps down when it takes too long, and only then", () => {
  const effort = new Effort()
  for (let packet = 0; packet < 100; packet++) assert.equal(effort.spent(10, 3), false)
  assert.equal(effort.complexity, 9)
  const changes = Array.from({ length: 100 }, () => effort.spent(30, 3)).filter(Boolean)
  assert.equal(changes.length, 2)
  assert.equal(effort.complexity, 2)
})
