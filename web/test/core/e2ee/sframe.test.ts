import assert from "node:assert/strict"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { fromHex, toHex } from "../../../src/core/bytes.js"
import {
  AUDIO_PAYLOAD_BYTES_MAX,
  CALL_COUNTER_END,
  callKey,
  callKid,
  decodeHeader,
  deriveSecrets,
  encodeHeader,
  openFrame,
  payloadBytesMax,
  REPLAY_WINDOW_FRAMES,
  ReplayWindow,
  sealFrame,
  SFrameError,
  SFrameKey,
  type SFrameReason,
  SFrameReceiver,
  SFrameSender,
  splitCallKid,
  Suite,
  VOICE_BODY_BYTES,
} from "../../../src/core/e2ee/sframe.js"
import { utf8 } from "../../../src/core/utf8.js"
import { Chance, unless } from "../random.js"
import { cases, load, parseExact, root } from "../vectors.js"

const BASE_KEY = Uint8Array.from({ length: 32 }, (_, i) => i)
const refusedFor = (reason: SFrameReason) => (error: unknown) => error instanceof SFrameError && error.reason === reason

for (const { name, expect, base_key, epoch, leaves, frames, ...expected } of cases(load("sframe", "voice-frames.json", ["voice-frames.json"]))) {
  test(`vector: ${name}`, async () => {
    const baseKey = fromHex(String(base_key))
    const keys = (leaves as number[]).map((leaf) => callKey(baseKey, leaf, epoch as number | bigint))
    const receiver = new SFrameReceiver(...(await Promise.all(keys)))
    const bodies = (frames as string[]).map(fromHex)
    const last = bodies.pop() as Uint8Array
    for (const body of bodies) await openFrame(receiver, body)
    if (expect !== "ok") return assert.rejects(() => openFrame(receiver, last), refusedFor(expect as SFrameReason))
    const { kid, ctr, payload } = await openFrame(receiver, last)
    assert.deepEqual([kid, ctr, toHex(payload)], [expected["kid"], expected["ctr"], expected["payload"]])
    const [leaf] = splitCallKid(kid)
    const sealed = await sealFrame(new SFrameSender(await callKey(baseKey, leaf, epoch as number | bigint), ctr), payload, last.length)
    return assert.equal(toHex(sealed), toHex(last))
  })
}

interface Official {
  readonly header: readonly { readonly kid: number | bigint; readonly ctr: number | bigint; readonly encoded: string }[]
  readonly sframe: readonly (Record<string, string> & { readonly cipher_suite: number; readonly kid: number; readonly ctr: number })[]
}

/** Of the SFrame working group, where tests/e2ee/sframe_vectors.py looks as well. */
const path = join(process.env["RINGTHROUGH_SFRAME_VECTORS"] ?? join(root, "..", "shared", "vectors", "sframe"), "test-vectors.json")
const isMissing = !existsSync(path) && process.env["CI"] === undefined
const skip = isMissing ? `OFFICIAL SFRAME VECTORS NOT FOUND at ${path}; set RINGTHROUGH_SFRAME_VECTORS` : false

test("official vectors: 289 headers", { skip }, () => {
  const { header } = parseExact(readFileSync(path, "utf8")) as Official
  assert.equal(header.length, 289)
  for (const { kid, ctr, encoded } of header) {
    const bytes = fromHex(encoded)
    assert.equal(toHex(encodeHeader(kid, ctr)), encoded)
    assert.deepEqual(decodeHeader(bytes), { kid: BigInt(kid), ctr: BigInt(ctr), length: bytes.length })
    assert.throws(() => decodeHeader(bytes.slice(0, -1)), refusedFor("malformed"))
  }
})

test("official vectors: whole frames of the two GCM suites", { skip }, async () => {
  const { sframe } = parseExact(readFileSync(path, "utf8")) as Official
  const suites = new Map<number, Suite>(Object.values(Suite).map((suite) => [suite, suite]))
  const ours = sframe.filter(({ cipher_suite }) => suites.has(cipher_suite))
  assert.equal(ours.length, 2)
  for (const { cipher_suite, kid, ctr, ...texts } of ours) {
    const suite = suites.get(cipher_suite) as Suite
    const bytes = (name: string): Uint8Array => fromHex(texts[name] ?? "missing")
    const secrets = await deriveSecrets(bytes("base_key"), kid, suite)
    for (const name of ["secret", "key", "salt"] as const) assert.deepEqual(secrets[name], bytes(`sframe_${name}`))
    const key = await SFrameKey.create(bytes("base_key"), kid, suite)
    assert.deepEqual(key.nonce(ctr), bytes("nonce"))
    const sealed = await new SFrameSender(key, ctr).seal(bytes("pt"), bytes("metadata"))
    assert.deepEqual(sealed, bytes("ct"))
    const opened = await new SFrameReceiver(key).open(sealed, bytes("metadata"))
    assert.deepEqual(opened, { kid, ctr, payload: bytes("pt") })
    await assert.rejects(() => new SFrameReceiver(key).open(sealed, utf8("other")), refusedFor("authentication_failed"))
  }
})

test("every frame takes the next counter, also when sealed at once, and none is used twice", async () => {
  const sender = new SFrameSender(await callKey(BASE_KEY, 1, 7))
  const frames = await Promise.all(Array.from({ length: 40 }, (_, i) => sealFrame(sender, Uint8Array.of(i))))
  assert.deepEqual(frames.map((frame) => Number(decodeHeader(frame).ctr)), Array.from({ length: 40 }, (_, i) => i))
  assert.equal(sender.counterNext, 40)
  await assert.rejects(() => sealFrame(sender, new Uint8Array(200)), refusedFor("too_large"))
  assert.equal(sender.counterNext, 40)
})

test("counters may skip and never go back", async () => {
  const sender = new SFrameSender(await callKey(BASE_KEY, 1, 7), 5, 20)
  const counter = async (): Promise<number> => Number(decodeHeader(await sealFrame(sender, Uint8Array.of(1))).ctr)
  assert.equal(await counter(), 5)
  sender.skipTo(6)
  sender.skipTo(12)
  assert.equal(await counter(), 12)
  for (const behind of [12, 5, 0, -1, NaN, 13.5]) assert.throws(() => sender.skipTo(behind), refusedFor("bad_parameter"))
  assert.equal(sender.counterNext, 13)
  sender.skipTo(20)
  await assert.rejects(counter, refusedFor("counter_exhausted"))
})

test("a sender ends with its counters and cannot be copied", async () => {
  const key = await callKey(BASE_KEY, 1, 7)
  const sender = new SFrameSender(key, CALL_COUNTER_END - 1)
  await sealFrame(sender, new Uint8Array(AUDIO_PAYLOAD_BYTES_MAX), VOICE_BODY_BYTES - 1)
  await assert.rejects(() => sealFrame(sender, new Uint8Array(0)), refusedFor("counter_exhausted"))
  assert.deepEqual(Object.keys(structuredClone(sender)), [])
  for (const [start, end] of [[-1, 5], [5, 5], [0.5, 5], [0, Number.NaN]]) {
    assert.throws(() => new SFrameSender(key, start, end), refusedFor("bad_parameter"))
  }
})

test("a frame opens once, however many try at the same time", async () => {
  const key = await callKey(BASE_KEY, 1, 7)
  const frame = await sealFrame(new SFrameSender(key), utf8("once"))
  const receiver = new SFrameReceiver(key)
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => openFrame(receiver, frame)))
  assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1)
  for (const outcome of outcomes) if (outcome.status === "rejected") assert.ok(refusedFor("replayed")(outcome.reason))
})

test("a forgotten key opens nothing, not even what is being opened", async () => {
  const key = await callKey(BASE_KEY, 1, 7)
  const sender = new SFrameSender(key)
  const [first, second] = [await sealFrame(sender, utf8("a")), await sealFrame(sender, utf8("b"))]
  const receiver = new SFrameReceiver(key)
  const opening = openFrame(receiver, first)
  receiver.forget(key.kid)
  await assert.rejects(opening, refusedFor("unknown_kid"))
  await assert.rejects(() => openFrame(receiver, second), refusedFor("unknown_kid"))
  receiver.addKey(key)
  assert.deepEqual(receiver.kids, [key.kid])
  assert.throws(() => receiver.addKey(key), refusedFor("bad_parameter"))
})

test("no bit of a frame may be changed, and a refused frame moves no window", async () => {
  const key = await callKey(BASE_KEY, 300, 7)
  const frame = await sealFrame(new SFrameSender(key, 5_000), utf8("sound"))
  const receiver = new SFrameReceiver(key)
  for (let bit = 0; bit < frame.length * 8; bit += 3) {
    const damaged = frame.slice()
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    await assert.rejects(() => openFrame(receiver, damaged), SFrameError)
  }
  assert.deepEqual((await openFrame(receiver, frame)).payload, utf8("sound"))
})

test("a counter is judged before the cipher works: what is seen or too old costs nothing", async () => {
  const key = await callKey(BASE_KEY, 1, 7)
  const receiver = new SFrameReceiver(key)
  await openFrame(receiver, await sealFrame(new SFrameSender(key, 5_000), utf8("a")))
  const forged = (ctr: number): Uint8Array => Uint8Array.from([...encodeHeader(key.kid, ctr), ...new Uint8Array(140)])
  await assert.rejects(() => openFrame(receiver, forged(5_000)), refusedFor("replayed"))
  await assert.rejects(() => openFrame(receiver, forged(5_000 - REPLAY_WINDOW_FRAMES)), refusedFor("too_old"))
  await assert.rejects(() => openFrame(receiver, forged(5_001 - REPLAY_WINDOW_FRAMES)), refusedFor("authentication_failed"))
})

test("a payload fits or not whatever the counter, and every body is equally long", async () => {
  for (const [leaf, counter] of [[0, 0], [0, 7], [1, 8], [65_535, CALL_COUNTER_END - 1]] as const) {
    const sender = (): Promise<SFrameSender> => callKey(BASE_KEY, leaf, 200).then((key) => new SFrameSender(key, counter))
    const most = payloadBytesMax(VOICE_BODY_BYTES)
    assert.equal((await sealFrame(await sender(), new Uint8Array(most))).length, VOICE_BODY_BYTES)
    assert.equal((await sealFrame(await sender(), new Uint8Array(0))).length, VOICE_BODY_BYTES)
    const largest = await sender()
    await assert.rejects(() => sealFrame(largest, new Uint8Array(most + 1)), refusedFor("too_large"))
  }
  const sender = new SFrameSender(await callKey(BASE_KEY, 1, 7))
  await assert.rejects(() => sealFrame(sender, new Uint8Array(0), 70_000), refusedFor("too_large"))
  await assert.rejects(() => sealFrame(sender, new Uint8Array(0), 10), refusedFor("too_large"))
})

test("a counter beyond 2^53 or a key id that only looks the same is refused", async () => {
  const key = await callKey(BASE_KEY, 1, 7)
  const receiver = new SFrameReceiver(key)
  const rest = new Uint8Array(40)
  const frame = (kid: bigint, ctr: bigint): Uint8Array => Uint8Array.from([...encodeHeader(kid, ctr), ...rest])
  await assert.rejects(() => receiver.open(frame(BigInt(key.kid), 2n ** 53n)), refusedFor("authentication_failed"))
  await assert.rejects(() => receiver.open(frame(2n ** 53n + 1n, 0n)), refusedFor("unknown_kid"))
  const header = encodeHeader(key.kid, 2 ** 53)
  const authentic = await key.encrypt(2 ** 53, header, new Uint8Array(0), utf8("far"))
  await assert.rejects(() => receiver.open(Uint8Array.from([...header, ...authentic])), refusedFor("authentication_failed"))
  for (const work of [() => encodeHeader(2n ** 64n, 0), () => encodeHeader(0, -1)]) assert.throws(work, refusedFor("bad_parameter"))
})

test("key ids of calls", async () => {
  assert.equal(callKid(1, 7), 263)
  assert.equal(callKid(65_535, 2n ** 63n + 255n), 2 ** 24 - 1)
  assert.deepEqual(splitCallKid(263), [1, 7])
  for (const [leaf, epoch] of [[-1, 0], [65_536, 0], [1, -1], [0.5, 0]] as const) {
    assert.throws(() => callKid(leaf, epoch), refusedFor("bad_parameter"))
  }
  for (const kid of [-1, 2 ** 24, 0.5]) assert.throws(() => splitCallKid(kid), refusedFor("bad_parameter"))
  await assert.rejects(() => callKey(new Uint8Array(31), 1, 7), refusedFor("bad_parameter"))
  await assert.rejects(() => SFrameKey.create(new Uint8Array(0), 1), refusedFor("bad_parameter"))
  await assert.rejects(() => SFrameKey.create(BASE_KEY, -1), refusedFor("bad_parameter"))
})

test("the window knows what a list of all counters knows", () => {
  const chance = new Chance(9)
  for (let run = 0; run < 20; run++) {
    const window = new ReplayWindow(64)
    const seen = new Set<number>()
    let highest = -1
    for (let i = 0; i < 400; i++) {
      const ctr = Math.max(0, highest + chance.below(90) - 70 + (chance.below(50) === 0 ? 1_000_000 : 0))
      const expected = ctr <= highest - 64 ? "too_old" : seen.has(ctr) ? "replayed" : undefined
      if (expected !== undefined) {
        assert.throws(() => window.check(ctr), refusedFor(expected))
        continue
      }
      window.check(ctr)
      window.accept(ctr)
      seen.add(ctr)
      highest = Math.max(highest, ctr)
      assert.equal(window.highest, highest)
    }
  }
  assert.equal(REPLAY_WINDOW_FRAMES, 1024)
})

test("random bytes raise nothing but SFrameError", async () => {
  const chance = new Chance(10)
  const key = await callKey(BASE_KEY, 0, 5)
  const frame = await sealFrame(new SFrameSender(key), utf8("sound"))
  for (let i = 0; i < 400; i++) {
    unless([SFrameError], () => decodeHeader(chance.bytes(chance.below(20))))
    const receiver = new SFrameReceiver(key)
    await assert.rejects(() => openFrame(receiver, chance.bytes(chance.below(60))), SFrameError)
    await openFrame(receiver, chance.damaged(frame)).catch((error: unknown) => assert.ok(error instanceof SFrameError))
  }
})
