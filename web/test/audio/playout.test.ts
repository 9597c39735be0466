/** Playout and codec together, with libopus itself. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { URGENT_FRAMES } from "../../src/audio/jitter.js"
import { CALL_PROFILE, type Decoder, Effort, openDecoder, openEncoder } from "../../src/audio/opus.js"
import { Playout } from "../../src/audio/playout.js"
import { FRAME_MS, rms, SPEECH_RATE_HZ } from "../../src/audio/sound.js"

const SAMPLES = 960

async function tonePackets(count: number, level = 0.2, hz = 300): Promise<Uint8Array[]> {
  const encoder = await openEncoder()
  return Array.from({ length: count }, (_none, frame) =>
    encoder.encode(
      Float32Array.from({ length: SAMPLES }, (_zero, index) =>
        level * Math.sin((2 * Math.PI * hz * (frame * SAMPLES + index)) / SPEECH_RATE_HZ)),
    ),
  )
}

const PACKETS = await tonePackets(100)

async function playout(decoder?: Decoder, windowFrames = 256): Promise<Playout> {
  return new Playout(decoder ?? (await openDecoder(SPEECH_RATE_HZ)), SPEECH_RATE_HZ, { windowFrames })
}

/** One packet, one pull: frame `seq` arrives at its time and is pulled one frame later. */
function step(player: Playout, seq: number, packet: Uint8Array | null): Float32Array {
  if (packet !== null) player.push(seq, packet, seq * FRAME_MS)
  return player.pull((seq + 1) * FRAME_MS).slice()
}

test("packets keep to the profile", () => {
  assert.ok(PACKETS.every((packet) => packet.length <= CALL_PROFILE.packetBytesMax))
  // Table of contents: SILK wideband, 60 ms, mono, one frame (RFC 6716 section 3.1).
  assert.ok(PACKETS.every((packet) => packet[0] === 11 << 3))
})

test("noise does not pass the packet's limit either", async () => {
  const encoder = await openEncoder()
  let state = 1
  for (let frame = 0; frame < 40; frame++) {
    const noise = Float32Array.from({ length: SAMPLES }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return state / 2 ** 31 - 1
    })
    assert.ok(encoder.encode(noise).length <= CALL_PROFILE.packetBytesMax)
  }
})

test("a clean path is heard whole", async () => {
  const player = await playout()
  PACKETS.forEach((packet, seq) => {
    const level = rms(step(player, seq, packet))
    if (seq > 2) assert.ok(Math.abs(level - 0.2 / Math.SQRT2) < 0.02, `frame ${seq}: ${level}`)
  })
  assert.equal(player.jitter.stats.concealed, 0)
  assert.equal(player.stats.corrupt, 0)
})

test("after three invented frames the sound fades to nothing, and comes back without a click", async () => {
  const player = await playout()
  const heard = PACKETS.slice(0, 60).map((packet, seq) => step(player, seq, seq >= 20 && seq < 40 ? null : packet))
  for (const seq of [20, 21, 22]) assert.ok(rms(heard[seq]!) > 0.01, `frame ${seq}`)
  assert.ok(Math.abs(heard[23]![SAMPLES - 1]!) < 1e-6)
  for (let seq = 24; seq < 40; seq++) assert.ok(heard[seq]!.every((sample) => sample === 0), `frame ${seq}`)
  assert.ok(Math.abs(heard[40]![0]!) < 1e-3)
  assert.ok(rms(heard[41]!) > 0.05)
})

test("each loss is concealed afresh", async () => {
  const player = await playout()
  const lost = new Set([10, 11, 12, 20, 21, 22])
  PACKETS.slice(0, 40).forEach((packet, seq) => {
    const sound = step(player, seq, lost.has(seq) ? null : packet)
    if (seq > 0) assert.ok(sound.some((sample) => sample !== 0), `frame ${seq}`)
  })
  assert.equal(player.stats.silent, 0)
})

test("a corrupt packet, an empty one, a long one and one of another duration are concealed and counted", async () => {
  const short = new Uint8Array([0x48, 0, 0]) // SILK, 20 ms
  const wrong = [new Uint8Array([255, 255]), new Uint8Array(0), new Uint8Array(70_000), short]
  for (const packet of wrong) {
    const player = await playout()
    const heard = PACKETS.slice(0, 40).map((good, seq) => step(player, seq, seq === 30 ? packet : good))
    assert.equal(player.stats.corrupt, 1)
    if (packet !== short) assert.ok(rms(heard[30]!) > 0.02, `${packet.length} bytes`)
    assert.ok(heard.every((sound) => sound.length === SAMPLES))
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
  for (let event = 0; event < 3000; event++) {
    now += pick(120)
    const garbage = Uint8Array.from({ length: pick(200) }, () => pick(256))
    player.push(event + pick(20), pick(3) > 0 ? garbage : PACKETS[pick(100)]!, now)
    if (pick(2) > 0) assert.ok(player.pull(now).length <= SAMPLES)
  }
  assert.ok(player.stats.corrupt > 100, `${player.stats.corrupt}`)
})

test("a decoder that breaks leaves silence", async () => {
  const broken: Decoder = {
    decode: () => new Float32Array(SAMPLES),
    conceal() { throw new WebAssembly.RuntimeError("unreachable") },
  }
  const player = await playout(broken)
  step(player, 0, PACKETS[0]!)
  assert.equal(rms(step(player, 1, null)), 0)
})

async function surplus(packets: Uint8Array[], heard: Float32Array[] = []): Promise<Playout> {
  const player = await playout(undefined, 32)
  const arrivals = packets.map((packet, seq) => ({ at: Math.max(seq * FRAME_MS, 300), seq, packet }))
  for (let now = 0; now < packets.length * FRAME_MS; now += FRAME_MS) {
    while (arrivals.length > 0 && arrivals[0]!.at <= now) {
      const { at, seq, packet } = arrivals.shift()!
      player.push(seq, packet, at)
    }
    heard.push(player.pull(now).slice())
  }
  return player
}

test("surplus delay goes where it is quiet", async () => {
  const player = await surplus(await tonePackets(150, 20 / 32768))
  assert.ok(player.jitter.stats.skipped >= 2)
  assert.ok(player.jitter.stats.delayMs < 60 + 2 * FRAME_MS)
  assert.equal(player.jitter.stats.concealed, 0)
})

test("surplus delay stays amid speech unless it is urgent", async () => {
  const { delayMs, targetMs } = (await surplus(await tonePackets(150))).jitter.stats
  assert.equal(targetMs, 60)
  assert.ok(delayMs >= targetMs + (URGENT_FRAMES - 1) * FRAME_MS && delayMs < targetMs + URGENT_FRAMES * FRAME_MS)
})

test("a frame left out makes no click", async () => {
  const heard: Float32Array[] = []
  const player = await surplus(await tonePackets(150, 0.2, 308.3), heard)
  assert.ok(player.jitter.stats.skipped >= 1)
  const sound = heard.slice(10).flatMap((frame) => [...frame])
  const steepest = sound.reduce((most, sample, index) => Math.max(most, Math.abs(sample - (sound[index - 1] ?? sample))), 0)
  assert.ok(steepest < 2000 / 32768)
})

test("a delay too long by less than a frame goes where it is quiet, without a click", async () => {
  const packets = await tonePackets(80, 80 / 32768, 308.3)
  const player = await playout()
  const heard: number[] = []
  const arrivals = packets.map((packet, seq) => ({ at: Math.max(seq * FRAME_MS, 50), seq, packet }))
  let now = 110
  while (now < 70 * FRAME_MS) {
    while (arrivals.length > 0 && arrivals[0]!.at <= now) {
      const { at, seq, packet } = arrivals.shift()!
      player.push(seq, packet, at)
    }
    const sound = player.pull(now)
    heard.push(...sound)
    now += (sound.length * 1000) / SPEECH_RATE_HZ
  }
  const { concealed, skipped, delayMs, targetMs } = player.jitter.stats
  assert.deepEqual([concealed, skipped], [0, 0])
  assert.ok(player.stats.trimmedMs > 0, "nothing was trimmed")
  assert.ok(delayMs - targetMs < 8 && delayMs >= targetMs - 1, `delay ${delayMs}, target ${targetMs}`)
  const steepest = heard.slice(SAMPLES).reduce(
    (most, sample, index, sound) => Math.max(most, Math.abs(sample - (sound[index - 1] ?? sample))), 0)
  assert.ok(steepest < 40 / 32768, `a step of ${steepest * 32768}`)
})

test("a delay too long by less than a frame stays amid speech", async () => {
  const player = await playout()
  PACKETS.forEach((packet, seq) => {
    player.push(seq, packet, Math.max(seq * FRAME_MS, 50))
    assert.equal(player.pull(110 + seq * FRAME_MS).length, SAMPLES)
  })
  assert.equal(player.stats.trimmedMs, 0)
})

test("an idle player waits without pulling, so that the first frame starts when it is due", async () => {
  const player = await playout()
  assert.ok(player.idle(0))
  player.push(5, PACKETS[0]!, 1000)
  assert.ok(player.idle(1059))
  assert.ok(!player.idle(1060))
  player.pull(1060)
  assert.equal(player.jitter.stats.delayMs, 60)
  assert.ok(!player.idle(1120))
})

test("encoding steps down when it takes too long, and only then", () => {
  const effort = new Effort()
  for (let frame = 0; frame < 100; frame++) assert.equal(effort.spent(10), false)
  assert.equal(effort.complexity, 9)
  const changes = Array.from({ length: 100 }, () => effort.spent(30)).filter(Boolean)
  assert.equal(changes.length, 2)
  assert.equal(effort.complexity, 2)
})
