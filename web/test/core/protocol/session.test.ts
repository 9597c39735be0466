// The client's half of a connection against a server that errs or lies.
import assert from "node:assert/strict"
import { test } from "node:test"
import { ProtocolError } from "../../../src/core/protocol/errors.js"
import { type BundleId, decodeClient, encode, type ServerFrame, type StreamId, StreamKind, type Token, type TokenHash } from "../../../src/core/protocol/frames.js"
import { REQUESTS_IN_FLIGHT_MAX } from "../../../src/core/protocol/limits.js"
import { type Event, Session } from "../../../src/core/protocol/session.js"
import { Chance, unless } from "../random.js"

const ONE = new Uint8Array(16).fill(1) as StreamId
const TWO = new Uint8Array(16).fill(2) as StreamId
const TOKEN = new Uint8Array(32).fill(7) as Token
const HASH = new Uint8Array(32).fill(8) as TokenHash
const BODY = new Uint8Array(160)

const hears = (session: Session, frame: ServerFrame): Event | null => session.receive(encode(frame))
const openedFrame = (request: number, handle: number): ServerFrame => ({
  type: "Opened", request, handle, rights: 7, epoch: 0, first: 1, head: 0, readTo: 0,
})
const records = (handle: number, ...seqs: number[]): ServerFrame => ({
  type: "Records", handle, records: seqs.map((seq) => ({ seq, receivedS: 0, body: BODY })),
})
const breaks = (code: string, work: () => unknown): void =>
  assert.throws(work, (error) => error instanceof ProtocolError && error.code === code)

function greeted(): Session {
  const session = new Session()
  assert.deepEqual(decodeClient(session.hello()), { type: "Hello", versionMin: 1, versionMax: 1 })
  assert.deepEqual(hears(session, { type: "Welcome", version: 1, timeMs: 5 }), { kind: "ready", version: 1, serverTimeMs: 5 })
  assert.ok(session.ready)
  return session
}

function withOneOpen(fromSeq = 0): Session {
  const session = greeted()
  const [request] = session.open(ONE, TOKEN, fromSeq)
  assert.equal(hears(session, openedFrame(request, 9))?.kind, "answered")
  assert.ok(session.isOpen(ONE))
  return session
}

test("answers find their requests in any order", () => {
  const session = greeted()
  const [first, create] = session.create(ONE, StreamKind.CONVERSATION, HASH)
  const [second, ping] = session.ping()
  assert.deepEqual(decodeClient(create), { type: "Create", request: first, stream: ONE, kind: 0, tokenHash: HASH })
  assert.deepEqual(decodeClient(ping), { type: "Ping", request: second })
  const pong = { type: "Pong", request: second, timeMs: 7 } as const
  assert.deepEqual(hears(session, pong), { kind: "answered", request: second, frame: pong })
  assert.equal(hears(session, { type: "Created", request: first })?.kind, "answered")
})

test("a deposit shows no token, a commit its epoch and the next token's hash", () => {
  const session = greeted()
  assert.equal((decodeClient(session.open(ONE, null, 0)[1]) as { token: Uint8Array }).token.length, 0)
  const open = withOneOpen()
  const [request, message] = open.append(ONE, [BODY], 4, HASH)
  assert.deepEqual(decodeClient(message), { type: "Append", handle: 9, request, records: [BODY], commitEpoch: 4, nextTokenHash: HASH })
  assert.equal((decodeClient(open.append(ONE, [BODY, BODY])[1]) as { commitEpoch: null }).commitEpoch, null)
  assert.deepEqual(decodeClient(open.signal(ONE, BODY)), { type: "Signal", handle: 9, body: BODY })
})

test("an error belongs to its request or to the connection", () => {
  const session = greeted()
  const [request] = session.ping()
  const error = { type: "Error", request, code: "rate_limited", message: "slow", retryAfterMs: 10, detail: 0 } as const
  assert.deepEqual(hears(session, error), { kind: "refused", request, error })
  assert.equal(hears(session, { ...error, request: 0 })?.kind, "connection_refused")
  breaks("bad_frame", () => hears(session, error))
})

test("an answer to nothing, or of another kind, breaks the protocol", () => {
  breaks("bad_frame", () => hears(greeted(), { type: "Pong", request: 1, timeMs: 0 }))
  const session = greeted()
  const [request] = session.ping()
  breaks("bad_frame", () => hears(session, { type: "Created", request }))
})

test("a second welcome, or a version we do not speak, breaks the protocol", () => {
  breaks("unsupported_version", () => hears(greeted(), { type: "Welcome", version: 1, timeMs: 0 }))
  breaks("unsupported_version", () => hears(new Session(), { type: "Welcome", version: 2, timeMs: 0 }))
})

test("records arrive in order, from what was asked for, without gaps", () => {
  const session = withOneOpen(3)
  assert.equal(hears(session, records(9, 5, 6))?.kind, "records")
  assert.equal(hears(session, records(9)), null)
  breaks("bad_frame", () => hears(session, records(9, 8)))
  breaks("bad_frame", () => hears(withOneOpen(3), records(9, 2)))
  const again = withOneOpen()
  hears(again, records(9, 1))
  breaks("bad_frame", () => hears(again, records(9, 1)))
})

test("opening again keeps handle and place", () => {
  const session = withOneOpen()
  hears(session, records(9, 1, 2))
  const [request] = session.open(ONE, TOKEN, 0)
  hears(session, openedFrame(request, 9))
  assert.equal(hears(session, records(9, 3))?.kind, "records")
  const [other] = session.open(ONE, TOKEN, 0)
  breaks("bad_frame", () => hears(session, openedFrame(other, 10)))
})

test("one handle is one stream, and only handles that were given are used", () => {
  const session = withOneOpen()
  const [request] = session.open(TWO, TOKEN, 0)
  breaks("bad_frame", () => hears(session, openedFrame(request, 9)))
  breaks("bad_handle", () => hears(withOneOpen(), records(8, 1)))
  breaks("bad_handle", () => hears(withOneOpen(), { type: "Signalled", handle: 8, body: BODY }))
})

test("a connection becomes a lane for what it has open, or for what another lane has shown", () => {
  const session = withOneOpen()
  const bundle = new Uint8Array(16).fill(3) as BundleId
  const [request, message] = session.join(bundle, ONE)
  assert.deepEqual(decodeClient(message), { type: "Join", request, bundle, handle: 9 })
  const joined = { type: "Joined", request, instance: 5 } as const
  assert.deepEqual(hears(session, joined), { kind: "answered", request, frame: joined })
  assert.equal((decodeClient(session.join(bundle, null)[1]) as { handle: number }).handle, 0)
  for (const frame of [
    { type: "Carried", seq: 1, sentMs: 2, body: BODY },
    { type: "Acked", seq: 1, delayMs: 2, level: 1, narrow: true, sparing: false },
  ] as const) {
    assert.deepEqual(hears(session, frame), { kind: "lane", frame })
  }
  breaks("bad_handle", () => session.join(bundle, TWO))
})

test("what comes after closing is dropped, and a closed stream is not written to", () => {
  const session = withOneOpen()
  assert.deepEqual(hears(session, { type: "Signalled", handle: 9, body: BODY }), { kind: "signal", stream: ONE, body: BODY })
  const [request] = session.close(ONE)
  assert.equal(hears(session, records(9, 1)), null)
  assert.equal(hears(session, { type: "Signalled", handle: 9, body: BODY }), null)
  assert.equal(hears(session, { type: "Closed", request })?.kind, "answered")
  for (const work of [() => session.append(ONE, [BODY]), () => session.signal(ONE, BODY), () => session.close(ONE)]) breaks("bad_handle", work)
})

test("requests in flight are bounded, and a refused one takes no number", () => {
  const session = withOneOpen()
  for (let i = 0; i < REQUESTS_IN_FLIGHT_MAX; i++) session.ping()
  for (const work of [() => session.ping(), () => session.close(ONE)]) breaks("too_many", work)
  assert.ok(session.isOpen(ONE))
})

test("random frames raise nothing but ProtocolError", () => {
  const chance = new Chance(8)
  for (let i = 0; i < 500; i++) {
    const session = withOneOpen()
    session.ping()
    const sound = chance.from([records(9, 1, 2), openedFrame(2, 9), records(9, 4), { type: "Pong", request: 2, timeMs: 1 } as const])
    unless([ProtocolError], () => session.receive(chance.damaged(encode(sound))))
  }
})
