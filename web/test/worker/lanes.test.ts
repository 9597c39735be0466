// The connections of one call: what is written on which, what becomes of one that ends, errs or falls silent.
import assert from "node:assert/strict"
import { afterEach, beforeEach, mock, test } from "node:test"
import { type BundleId, type ClientFrame, decodeClient, encode, type ServerFrame, type StreamId } from "../../src/core/protocol/frames.js"
import { rehearsal } from "../../src/core/audio/rehearsal.js"
import { FIRST_DIAL_MS, SPARE_MS } from "../../src/core/protocol/lane-plan-constants.js"
import type { Connection, MessageLane } from "../../src/worker/connection.js"
import type { DirectView } from "../../src/worker/api.js"
import { Lanes } from "../../src/worker/lanes.js"
import { Watch } from "../../src/core/protocol/verdicts.js"
import { sampleOf, viewOfVerdict, viewOfWay, type Way, wordsForWay } from "../../src/worker/way.js"

const STREAM = new Uint8Array(16).fill(1) as StreamId
const BUNDLE = new Uint8Array(16).fill(2) as BundleId
const body = (n: number): Uint8Array => new Uint8Array(160).fill(n)

/** A browser's WebSocket, as far as a lane uses it. */
class FakeSocket {
  static readonly OPEN = 1
  static all: FakeSocket[] = []
  readonly bufferedAmount = 0
  readyState = 0
  readonly sent: ClientFrame[] = []
  onopen: (() => void) | null = null
  onclose: ((event: { code: number }) => void) | null = null
  onmessage: ((event: { data: unknown }) => void) | null = null

  constructor(readonly url: string) {
    FakeSocket.all.push(this)
  }

  send(message: Uint8Array): void {
    this.sent.push(decodeClient(message))
  }

  close(): void {
    this.readyState = 3
  }

  open(): void {
    this.readyState = 1
    this.onopen?.()
  }

  hear(frame: ServerFrame): void {
    this.onmessage?.({ data: encode(frame).slice().buffer })
  }

  /** Opened, greeted and joined. */
  join(instance = 5): this {
    this.open()
    this.hear({ type: "Welcome", version: 1, timeMs: 0 })
    this.hear({ type: "Joined", request: 1, instance })
    return this
  }
}

/** The message connection. */
class Main {
  readonly origin = "https://chat.example"
  readonly unsentBytes = 0
  readonly sent: ClientFrame[] = []
  lane: MessageLane | undefined
  joins = 0
  ends = 0

  attach(_stream: StreamId, lane: MessageLane): void {
    this.lane = lane
    lane.mainOpened()
  }

  detach(): void {
    this.lane = undefined
  }

  join(): void {
    this.joins++
  }

  write(frame: ClientFrame): void {
    this.sent.push(frame)
  }

  end(): void {
    this.ends++
  }
}

const real = globalThis.WebSocket
let nowMs = 0

/** Timers and clock go on together. */
function after(ms: number): void {
  for (let i = 0; i < ms; i += 10) {
    nowMs += 10
    mock.timers.tick(10)
  }
}

beforeEach(() => {
  nowMs = 0
  FakeSocket.all = []
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] })
  mock.method(performance, "now", () => nowMs)
  globalThis.WebSocket = FakeSocket as unknown as typeof WebSocket
})

afterEach(() => {
  mock.timers.reset()
  mock.restoreAll()
  globalThis.WebSocket = real
})

interface Call {
  readonly main: Main
  readonly lanes: Lanes
  readonly heard: number[]
  readonly ways: Way[]
}

function started(): Call {
  const [main, heard, ways] = [new Main(), [] as number[], [] as Way[]]
  const lanes = new Lanes(main as unknown as Connection, STREAM, BUNDLE)
  lanes.onBody = (bytes) => heard.push(bytes[0] ?? -1)
  lanes.onWay = (way) => ways.push(way)
  lanes.start()
  main.lane?.mainReceived({ type: "Joined", request: 1, instance: 5 })
  return { main, lanes, heard, ways }
}

/** The call with its spare lane. */
function withTwo(): Call & { readonly spare: FakeSocket } {
  const call = started()
  after(FIRST_DIAL_MS + 200)
  const [spare] = FakeSocket.all
  assert.ok(spare !== undefined)
  return { ...call, spare: spare.join() }
}

const carried = (seq: number): { type: "Carried"; seq: number; sentMs: number; body: Uint8Array } =>
  ({ type: "Carried", seq, sentMs: 0, body: body(seq) })
const carries = (frames: readonly ClientFrame[]): number[] => frames.flatMap((frame) => (frame.type === "Carry" ? [frame.seq] : []))

test("the first frame goes at once, and a spare lane is joined without a capability", () => {
  const { main, lanes } = started()
  assert.equal(main.joins, 1)
  assert.ok(lanes.send(body(0)))
  assert.deepEqual(carries(main.sent), [0])
  assert.equal(FakeSocket.all.length, 0)
  main.lane?.mainReceived({ type: "Acked", seq: 0, delayMs: 0, level: 1, narrow: false, sparing: false })
  after(SPARE_MS + 200)
  const [spare, ...others] = FakeSocket.all
  assert.deepEqual(others, [])
  assert.equal(spare?.url, "wss://chat.example/v1/connect")
  spare?.join()
  assert.deepEqual(spare?.sent.map(({ type }) => type), ["Hello", "Join"])
  assert.deepEqual(spare?.sent[1], { type: "Join", request: 1, bundle: BUNDLE, handle: 0 })
})

test("before the server has said that the first is a lane, no other is opened", () => {
  const lanes = new Lanes(new Main() as unknown as Connection, STREAM, BUNDLE)
  lanes.start()
  after(5000)
  assert.equal(FakeSocket.all.length, 0)
  lanes.stop()
})

test("a frame that comes on both lanes is heard once, and answered on each", () => {
  const { main, heard, spare } = withTwo()
  main.lane?.mainReceived(carried(7))
  spare.hear(carried(7))
  assert.deepEqual(heard, [7])
  for (const last of [main.sent.at(-1), spare.sent.at(-1)]) assert.deepEqual([last?.type, (last as { seq: number }).seq], ["Ack", 7])
})

test("what was under way on a lane that ends goes on the other at once", () => {
  const { main, lanes, spare } = withTwo()
  lanes.send(body(0))
  assert.deepEqual(carries(main.sent), [0])
  main.lane?.mainLost()
  assert.deepEqual(carries(spare.sent), [0])
  lanes.send(body(1))
  assert.deepEqual(carries(spare.sent), [0, 1])
  main.lane?.mainOpened()
  assert.equal(main.joins, 2)
  spare.onclose?.({ code: 1006 })
  assert.deepEqual(carries(main.sent), [0, 0, 1])
})

test("what is not answered in time goes again on the other lane", () => {
  const { main, lanes, spare } = withTwo()
  const answer = (seq: number): void => main.lane?.mainReceived({ type: "Acked", seq, delayMs: 0, level: 1, narrow: false, sparing: false })
  lanes.send(body(0))
  after(50)
  answer(0)
  lanes.send(body(1))
  after(300)
  assert.deepEqual([carries(main.sent), carries(spare.sent)], [[0, 1], [1]])
  answer(1)
  after(1000)
  assert.deepEqual([carries(main.sent), carries(spare.sent)], [[0, 1], [1]])
})

test("a lane whose server breaks the protocol is closed, and another takes its place", () => {
  const { spare } = withTwo()
  spare.hear({ type: "Pong", request: 99, timeMs: 0 })
  assert.equal(spare.readyState, 3)
  after(1400)
  assert.equal(FakeSocket.all.length, 2)
})

test("a refused, a hanging and a reset opening are given up and tried again, one after the other", () => {
  started()
  after(SPARE_MS + 200)
  const [refused] = FakeSocket.all
  refused?.open()
  refused?.hear({ type: "Welcome", version: 1, timeMs: 0 })
  refused?.hear({ type: "Error", request: 1, code: "forbidden", message: "", retryAfterMs: 0, detail: 0 })
  assert.equal(refused?.readyState, 3)
  after(2200)
  const [, hanging] = FakeSocket.all
  after(5200)
  assert.equal(hanging?.readyState, 3)
  after(2200)
  const [, , reset] = FakeSocket.all
  reset?.onclose?.({ code: 1006 })
  after(2200)
  assert.ok(FakeSocket.all.length >= 4)
})

test("a lane that answers no ping is dead", () => {
  const { spare } = withTwo()
  after(8100)
  assert.equal(spare.sent.at(-1)?.type, "Ping")
  spare.hear({ type: "Pong", request: 2, timeMs: 0 })
  after(8000)
  assert.equal(spare.readyState, 1)
  after(8000)
  assert.equal(spare.readyState, 3)
})

test("a server that was started again counts afresh", () => {
  const { main, heard, spare } = withTwo()
  spare.hear(carried(2))
  main.lane?.mainReceived({ type: "Joined", request: 3, instance: 5 })
  spare.hear(carried(2))
  assert.deepEqual(heard, [2])
  main.lane?.mainReceived({ type: "Joined", request: 4, instance: 6 })
  spare.hear(carried(2))
  assert.deepEqual(heard, [2, 2])
})

test("a message connection that is stalled for long is given up, a working one never", () => {
  const { main, lanes, spare } = withTwo()
  for (let seq = 0; seq < 100; seq++) {
    lanes.send(body(0))
    after(60)
    for (const answered of carries(spare.sent).slice(-1)) spare.hear({ type: "Acked", seq: answered, delayMs: 0, level: 1, narrow: false, sparing: false })
  }
  assert.equal(main.ends, 1)
  assert.equal(spare.readyState, 1)
})

test("while it rings, the call is rehearsed once the spare is open and a first frame was answered, until its own first frame", () => {
  const { main, lanes } = started()
  lanes.rehearse()
  after(FIRST_DIAL_MS + 200)
  assert.deepEqual(carries(main.sent), [], "not beside the spare's handshake")
  const spare = FakeSocket.all[0]!.join()
  const answer = (seq: number): void => {
    const ack = { type: "Acked", seq, delayMs: 0, level: 1, narrow: false, sparing: false } as const
    main.lane!.mainReceived(ack)
    spare.hear(ack)
  }
  after(600)
  assert.deepEqual(carries([...main.sent, ...spare.sent]), [0], "one that waits for its answer")
  answer(0)
  for (let count = 1; count <= 10; count++) {
    after(60)
    const { seq, body: bytes } = [...main.sent, ...spare.sent].filter((frame) => frame.type === "Carry").at(-1) as { seq: number; body: Uint8Array }
    assert.deepEqual([seq, bytes[0], bytes.length], [count, 4, 160])
    answer(seq)
  }
  lanes.send(body(0))
  after(200)
  assert.equal(Math.max(...carries([...main.sent, ...spare.sent])), 11, "the call's own frame is the last")
  lanes.stop()
})

test("the rehearsal comes as often as short packets, once there is room for them at both ends", () => {
  const { lanes, spare, main } = withTwo()
  const carried = (): number[] => carries([...main.sent, ...spare.sent])
  const answered = (slots: number): number => {
    const before = carried().length
    for (let slot = 0; slot < slots; slot++) {
      after(20)
      for (const sent of [main.sent, spare.sent]) {
        const ack = { type: "Acked", seq: carries(sent).at(-1) ?? 0, delayMs: 0, level: 1, narrow: false, sparing: false } as const
        if (sent === main.sent) main.lane!.mainReceived(ack)
        else spare.hear(ack)
      }
    }
    return carried().length - before
  }
  lanes.rehearse()
  answered(90)
  assert.equal(lanes.sendsShort, true)
  assert.ok(answered(15) <= 6, "the other end has not said so")
  const theirs = (seq: number, takesShort: boolean): void =>
    spare.hear({ type: "Carried", seq, sentMs: 0, body: rehearsal(new Uint8Array(4), performance.now(), new Uint8Array(150), takesShort) })
  theirs(0, true)
  answered(5)
  assert.equal(answered(15), 15)
  const { plan } = lanes as unknown as { plan: { freezeBytes: number | null } }
  plan.freezeBytes = 16_000
  assert.equal(lanes.sendsShort, false, "connections would wear out")
  plan.freezeBytes = null
  theirs(1, false)
  answered(5)
  assert.ok(answered(15) <= 6)
  const told = [...main.sent, ...spare.sent].filter((frame) => frame.type === "Carry").map((frame) => (frame as { body: Uint8Array }).body[9])
  assert.deepEqual([told[0], told.at(-1)], [0, 1])
  assert.equal(lanes.sendsShort, true)
  theirs(2, true)
  const frames = answered(200)
  assert.ok(frames > 90 && frames < 115, `after 75 in all it goes on as otherwise: ${frames}`)
  assert.equal(lanes.sendsShort, true, "and so may the call")
  const { sender } = lanes as unknown as { sender: { stalled: () => number[] } }
  sender.stalled = () => [0]
  after(100)
  assert.equal(lanes.sendsShort, false, "a lane is stalled")
  lanes.stop()
})

test("the other end's rehearsal is listened to and not handed on", () => {
  const { lanes, spare, heard } = withTwo()
  for (const [seq, delayMs] of [40, 250].entries()) {
    const nothing = rehearsal(new Uint8Array(4), performance.now() - delayMs, new Uint8Array(150), false)
    spare.hear({ type: "Carried", seq, sentMs: 0, body: nothing })
  }
  assert.deepEqual(heard, [])
  assert.equal(lanes.rehearsed.reachMs, 210)
  lanes.stop()
})

test("the end closes every connection but the message connection's, and nothing more is sent", () => {
  const { main, lanes, spare } = withTwo()
  lanes.send(body(0))
  lanes.stop()
  const sent = [main.sent.length, spare.sent.length]
  after(5000)
  assert.equal(spare.readyState, 3)
  assert.deepEqual([main.sent.length, spare.sent.length], sent)
  assert.equal(main.ends, 0)
  assert.equal(main.lane, undefined)
})

test("the way is told once a second, and when no lane is left", () => {
  const { main, ways, spare } = withTwo()
  const before = ways.length
  after(3000)
  assert.equal(ways.length, before + 3)
  assert.equal(ways.at(-1)?.lanes, 2)
  assert.equal(wordsForWay(ways.at(-1), undefined), "Through the message connection.")
  main.lane?.mainLost()
  after(1500)
  assert.equal(wordsForWay(ways.at(-1), undefined), "Through a spare connection: the message connection was lost.")
  const told = ways.length
  spare.onclose?.({ code: 1006 })
  assert.deepEqual([ways.length, ways.at(-1)?.isSilent], [told + 1, true])
  after(1500)
  assert.ok(ways.at(-1)?.isSilent)
  assert.deepEqual([ways.at(-1)?.lanesOpened, ways.at(-1)?.lanesDied], [2, 2])
})

test("a silence is told when it begins", () => {
  const { lanes } = withTwo()
  const told: [number, boolean][] = []
  lanes.onWay = ({ isSilent }) => told.push([nowMs, isSilent])
  after(1000)
  assert.equal(told.length, 1)
  after(500)
  lanes.send(body(0))
  after(4000)
  const first = told.findIndex(([, isSilent]) => isSilent)
  assert.ok(first > 0)
  assert.ok(told[first]![0] - told[first - 1]![0] < 1000)
})

test("one sentence says which way, and a sample of it what is in the way", () => {
  const good: Way = {
    level: 1, isNarrow: false, lanes: 2, isMessageConnection: true, isSilent: false, queueingMs: 0, missShare: 0, roundTripMs: 50,
    lanesOpened: 2, lanesDied: 0, freezeBytes: null, lanesMax: null,
  }
  const said = [{}, { isMessageConnection: false }, { isSilent: true }].map((change) => wordsForWay({ ...good, ...change }, undefined))
  assert.equal(new Set(said).size, 3)
  assert.equal(said[0], wordsForWay(undefined, undefined))
  const direct: DirectView = { state: "blocked", clause: ": direct UDP does not pass here.", why: "", carries: false, framesDirect: 0, framesLanes: 9 }
  assert.equal(wordsForWay(good, direct), "Through the message connection: direct UDP does not pass here.")
  assert.equal(wordsForWay({ ...good, isSilent: true }, { ...direct, carries: true }), "Directly between the two devices.")
  assert.deepEqual(viewOfWay({ ...good, level: 3 }), {
    level: "heavy", lanes: 2, queueingMs: 0, missShare: 0, roundTripMs: 50, lanesOpened: 2,
  })
  const watch = new Watch(0)
  watch.note(sampleOf({ ...good, freezeBytes: 16_000 }, "blocked", false), 5000)
  assert.deepEqual(watch.verdicts(5000), ["frozen", "direct_blocked"])
  const apart = new Watch(0)
  apart.note(sampleOf({ ...good, isSilent: true, level: 0, isNarrow: true, missShare: 0.5, roundTripMs: 900 }, "open", true), 5000)
  assert.deepEqual(apart.verdicts(5000), ["clear"], "the lanes are not in the way of a call that goes directly")
  assert.match(viewOfVerdict("frozen").matter, /freezes/)
})
