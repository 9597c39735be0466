import assert from "node:assert/strict"
import { test } from "node:test"
import { fromHex, toHex } from "../../../src/core/bytes.js"
import { ProtocolError } from "../../../src/core/protocol/errors.js"
import { type Append, type ClientFrame, decodeClient, decodeServer, encode, type Frame, FrameType, type ServerFrame } from "../../../src/core/protocol/frames.js"
import { APPEND_BYTES_MAX, MESSAGE_BYTES_MAX, PADDED_SIZES_BYTES, paddedSize, RECORD_BYTES_MAX } from "../../../src/core/protocol/limits.js"
import { Chance, unless } from "../random.js"
import { cases, load, plain } from "../vectors.js"

const CASES = cases(load("frames", "frames.json", ["frames.json"]))
const decoder = { client: decodeClient, server: decodeServer }

/** Whether a frame of the vectors has a number that Python reads and this side refuses by design. */
const isBeyond53Bits = (value: unknown): boolean =>
  typeof value === "bigint" || (typeof value === "object" && value !== null && Object.values(value).some(isBeyond53Bits))

for (const { name, from, expect, hex, request, decoded, reencodes = true } of CASES) {
  test(`vector: ${name}`, () => {
    const message = fromHex(String(hex))
    const decode = decoder[from as "client" | "server"]
    if (expect !== "ok") return refuses(() => decode(message), expect, Number(request))
    if (isBeyond53Bits(decoded)) return refuses(() => decode(message), "bad_frame", (decoded as { request: number }).request)
    const frame = decode(message)
    assert.deepEqual(plain(frame), untyped(decoded))
    assert.deepEqual(decode(encode(frame)), frame)
    const isSame = reencodes === true && name !== "error of older server" // what it left out is written as 0
    return isSame ? assert.equal(toHex(encode(frame)), hex) : assert.notEqual(toHex(encode(frame)), hex)
  })
}

/** Python's records are structs with a type of their own. */
function untyped(decoded: unknown): unknown {
  const { type, records, ...frame } = decoded as { readonly type: string; readonly records?: readonly object[] }
  if (type !== "Records") return decoded
  return { type, ...frame, records: records?.map((record) => Object.fromEntries(Object.entries(record).filter(([name]) => name !== "type"))) }
}

function refuses(work: () => unknown, code: string, request: number): void {
  assert.throws(work, (error) => {
    assert.ok(error instanceof ProtocolError)
    assert.deepEqual([error.code, error.request], [code, request])
    return true
  })
}

test("the vectors read every frame type, and one number is beyond 2^53", () => {
  const read = new Set(CASES.filter(({ expect }) => expect === "ok").map(({ hex }) => Number.parseInt(String(hex).slice(0, 2), 16)))
  assert.deepEqual([...read].sort(), Object.values(FrameType).sort())
  assert.equal(CASES.filter(({ decoded }) => isBeyond53Bits(decoded)).length, 1)
})

const chance = new Chance(5)
const body = (count: number = PADDED_SIZES_BYTES.length): Uint8Array =>
  new Uint8Array(PADDED_SIZES_BYTES[chance.below(count)] ?? 160).fill(chance.below(256))
const u32 = (): number => chance.integer(32)
const u53 = (): number => chance.integer(53)

const clientFrames: readonly (() => ClientFrame)[] = [
  () => ({ type: "Hello", versionMin: u32(), versionMax: u32() }),
  () => ({ type: "Create", request: u32(), stream: chance.bytes(16), kind: chance.from([0, 1] as const), tokenHash: chance.bytes(32) }),
  () => ({ type: "Open", request: u32(), stream: chance.bytes(16), token: chance.bytes(chance.from([0, 32])), fromSeq: u53() }),
  () => ({ type: "Close", request: u32(), handle: u32() }),
  () => ({ type: "Ping", request: u32() }),
  () => ({ type: "Signal", handle: u32(), body: body(6) }),
  () => ({ type: "Join", request: u32(), bundle: chance.bytes(16), handle: u32() }),
  () => ({ type: "Carry", seq: u32(), sentMs: u32(), body: body(6) }),
  () => ({ type: "Ack", seq: u32(), delayMs: u32(), level: chance.from([0, 1, 2, 3] as const), narrow: chance.below(2) > 0, sparing: chance.below(2) > 0 }),
  () => append(Array.from({ length: 1 + chance.below(20) }, () => body(5))),
  () => ({ ...append([body()]), commitEpoch: u53(), nextTokenHash: chance.bytes(32) }),
]
const serverFrames: readonly (() => ServerFrame)[] = [
  () => ({ type: "Welcome", version: u32(), timeMs: u53() }),
  () => ({ type: "Created", request: u32() }),
  () => ({ type: "Opened", request: u32(), handle: u32(), rights: chance.below(8), epoch: u53(), first: u53(), head: u53(), readTo: u53() }),
  () => ({ type: "Closed", request: u32() }),
  () => ({ type: "Pong", request: u32(), timeMs: u53() }),
  () => ({ type: "Error", request: u32(), code: chance.text(9), message: chance.text(60), retryAfterMs: u32(), detail: u53() }),
  () => ({ type: "Appended", request: u32(), firstSeq: u53() }),
  () => ({ type: "Signalled", handle: u32(), body: body(6) }),
  () => ({ type: "Joined", request: u32(), instance: u32() }),
  () => ({ type: "Carried", seq: u32(), sentMs: u32(), body: body(6) }),
  () => ({ type: "Acked", seq: u32(), delayMs: u32(), level: chance.from([0, 1, 2, 3] as const), narrow: chance.below(2) > 0, sparing: chance.below(2) > 0 }),
  () => ({ type: "Records", handle: u32(), records: Array.from({ length: chance.below(9) }, () => ({ seq: u53(), receivedS: u53(), body: body(6) })) }),
]

function append(records: readonly Uint8Array[]): Append {
  return { type: "Append", handle: u32(), request: u32(), records, commitEpoch: null, nextTokenHash: new Uint8Array(0) }
}

test("frames of either side go there and back; damaged ones raise nothing but ProtocolError", () => {
  for (let i = 0; i < 1500; i++) {
    const [decode, frame] = i % 2 === 0 ? [decodeClient, chance.from(clientFrames)()] : [decodeServer, chance.from(serverFrames)()]
    const message = encode(frame as Frame)
    assert.deepEqual(decode(message), frame)
    const damaged = chance.damaged(message)
    for (const either of [decodeClient, decodeServer]) unless([ProtocolError], () => either(damaged))
  }
})

test("random bytes raise nothing but ProtocolError", () => {
  for (let i = 0; i < 4000; i++) {
    const message = chance.bytes(chance.below(80))
    if (message.length > 0 && i % 2 === 0) message[0] = chance.from(Object.values(FrameType))
    for (const decode of [decodeClient, decodeServer]) unless([ProtocolError], () => decode(message))
  }
})

test("a number of 2^53 or more from a server is refused", () => {
  const appended = encode({ type: "Appended", request: 7, firstSeq: 2 ** 53 - 1 })
  assert.deepEqual(decodeServer(appended), { type: "Appended", request: 7, firstSeq: 2 ** 53 - 1 })
  appended[6] = 0x20
  appended.fill(0, 7)
  refuses(() => decodeServer(appended), "bad_frame", 0)
})

test("too large is refused: a message, an append together", () => {
  refuses(() => decodeServer(new Uint8Array(MESSAGE_BYTES_MAX + 1).fill(0x86)), "too_large", 0)
  const full = new Array<Uint8Array>(4).fill(new Uint8Array(RECORD_BYTES_MAX))
  assert.equal(full.length * RECORD_BYTES_MAX, APPEND_BYTES_MAX)
  decodeClient(encode({ ...append(full), request: 3 }))
  refuses(() => decodeClient(encode({ ...append([...full, new Uint8Array(160)]), request: 3 })), "too_large", 3)
})

test("only the commit flag is known, and the refusal finds its question", () => {
  const message = encode({ ...append([new Uint8Array(160)]), handle: 3, request: 7 })
  for (let flags = 2; flags < 256; flags += 2) {
    message[9] = flags
    assert.throws(() => decodeClient(message), (error) => error instanceof ProtocolError && error.request === 7 && error.handle === 3)
  }
})

test("what cannot be on the wire is not encoded", () => {
  const bad: readonly Frame[] = [
    { ...append([new Uint8Array(160)]), commitEpoch: 0 },
    { ...append([new Uint8Array(160)]), handle: 2 ** 32 },
    { ...append([new Uint8Array(160)]), request: -1 },
    { type: "Appended", request: 1, firstSeq: 0.5 },
    { type: "Ping", request: 2 ** 53 },
    { type: "Carry", seq: 2 ** 32, sentMs: 0, body: new Uint8Array(160) },
    { type: "Ack", seq: 1, delayMs: -1, level: 0, narrow: false, sparing: false },
  ]
  for (const frame of bad) assert.throws(() => encode(frame), RangeError)
})

test("a body is padded to the next wire size, as in Python", () => {
  assert.equal(paddedSize(0), 160)
  for (const [i, size] of PADDED_SIZES_BYTES.entries()) {
    assert.equal(paddedSize(size), size)
    if (i > 0) assert.equal(paddedSize((PADDED_SIZES_BYTES[i - 1] ?? 0) + 1), size)
  }
  assert.throws(() => paddedSize(RECORD_BYTES_MAX + 1), RangeError)
})

test("bodies are copies, and a view into a larger buffer is read from its own start", () => {
  const message = encode({ type: "Signalled", handle: 1, body: new Uint8Array(160).fill(5) })
  const wide = new Uint8Array(message.length + 20)
  wide.set(message, 10)
  const frame = decodeServer(wide.subarray(10, 10 + message.length))
  wide.fill(0)
  assert.deepEqual(frame, { type: "Signalled", handle: 1, body: new Uint8Array(160).fill(5) })
})
