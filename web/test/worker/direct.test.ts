// The direct channel of a call between two devices, on a virtual clock, with the page's half and the lanes made up.
import assert from "node:assert/strict"
import { afterEach, beforeEach, mock, test } from "node:test"
import type { Description } from "../../src/core/e2ee/direct.js"
import { callKey, openFrame, sealFrame, SFrameError, SFrameReceiver, SFrameSender } from "../../src/core/e2ee/sframe.js"
import { OVERLAP_MS, ROOM_REST_MS, SILENT_MS } from "../../src/core/protocol/carriers-constants.js"
import { Direct, DIRECT_SIGNAL_KIND, type WhyOff } from "../../src/worker/direct.js"
import type { DirectNews, DirectOrder } from "../../src/worker/direct-ports.js"

const BASE_KEY = new Uint8Array(32).fill(7)
const FRAME_MS = 60
const HERE: Description = { ufrag: "aB3+", password: "0123456789abcdefghij+/", fingerprint: new Uint8Array(32), candidates: [{ address: "192.0.2.7", port: 50_000 }] }
let nowMs = 0
/** Frames that the cipher has not opened yet. */
let opening = 0

/** What a page with WebRTC does, as far as the worker sees it. */
class FakePeer {
  onmessage: ((event: { data: DirectNews }) => void) | null = null
  readonly orders: DirectOrder[] = []
  other: FakePeer | undefined
  attempt = 0
  isOpen = false
  /** Nothing passes, and nothing says so. */
  isCut = false
  /** How far an attempt gets: to nothing, to a path without keys, to some of them, to an open channel. */
  reaches: "nothing" | "path" | "keys" | "open" = "open"
  /** The channel itself, for a worker that may have it; it tells of its end after the page has closed its connection. */
  channel: { readyState: string; onclose: (() => void) | null; close: () => void } | undefined
  handsOver = false

  postMessage(order: DirectOrder): void {
    this.orders.push(structuredClone(order))
    if (order.kind === "offer" || order.kind === "answer") {
      this.attempt = order.attempt
      if (this.handsOver) {
        this.channel = { readyState: "connecting", onclose: null, close: () => undefined }
        this.tell({ kind: "channel", attempt: order.attempt, channel: this.channel as unknown as RTCDataChannel })
      }
      this.tell({ kind: "described", attempt: order.attempt, description: HERE })
    } else if (order.kind === "accept") {
      for (const peer of [this, this.other!]) {
        if (this.reaches !== "nothing") peer.tell({ kind: "path", attempt: peer.attempt })
        if (this.reaches === "keys") peer.tell({ kind: "keys", attempt: peer.attempt })
        if (this.reaches !== "open") continue
        peer.isOpen = true
        peer.tell({ kind: "open", attempt: peer.attempt })
      }
    } else if (order.kind === "message") {
      if (this.isOpen && this.other?.isOpen && !this.isCut) this.other.tell({ kind: "message", attempt: this.other.attempt, bytes: order.bytes })
    } else {
      this.isOpen = false
      setImmediate(() => this.channel?.onclose?.())
    }
  }

  close(): void {
    this.isOpen = false
  }

  tell(news: DirectNews): void {
    setImmediate(() => this.onmessage?.({ data: news }))
  }
}

class Device {
  readonly direct: Direct
  readonly peer = new FakePeer()
  readonly heard = new Map<number, number>()
  readonly lanes: Uint8Array[] = []
  other: Device | undefined
  hasRoom = true
  /** What it says of the direct channel is lost. */
  isUnheard = false
  sender: SFrameSender | undefined
  private readonly receiver = new SFrameReceiver()

  constructor(readonly leaf: number, readonly otherLeaf: number, why: WhyOff | null = null) {
    this.direct = new Direct(leaf, otherLeaf, why, {
      hasRoom: () => this.hasRoom,
      onLanes: (body) => this.lanes.push(body) > 0 && !this.isUnheard && setImmediate(() => void this.other?.direct.signal(body.subarray(1))),
      frameOnLanes: (sealed) => this.lanes.push(sealed) > 0 && setImmediate(() => this.other?.cameByLanes(sealed)),
      opened: (sealed) => this.open(sealed),
      changed: () => undefined,
    })
  }

  async start(): Promise<void> {
    await this.direct.takeKey(BASE_KEY, 1, 10_000)
    this.sender = new SFrameSender(await callKey(BASE_KEY, this.leaf, 1))
    this.receiver.addKey(await callKey(BASE_KEY, this.otherLeaf, 1))
  }

  attach(): void {
    this.direct.attach(this.peer as unknown as MessagePort)
  }

  async speak(): Promise<void> {
    this.direct.send(await sealFrame(this.sender!, Uint8Array.of(1)))
  }

  cameByLanes(sealed: Uint8Array): void {
    this.direct.cameByLanes(sealed, performance.now())
    void this.open(sealed)
  }

  async open(sealed: Uint8Array): Promise<"new" | "copy" | "refused"> {
    opening++
    try {
      const { ctr } = await openFrame(this.receiver, sealed)
      this.heard.set(ctr, nowMs)
    } catch (error) {
      return (error as SFrameError).reason === "replayed" ? "copy" : "refused"
    } finally {
      opening--
    }
    this.direct.peerIsHere()
    return "new"
  }

  gapMs(): number {
    const times = [...this.heard.values()].sort((a, b) => a - b)
    return Math.max(...times.slice(1).map((at, i) => at - times[i]!))
  }
}

const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 8 || opening > 0; turn = opening > 0 ? 0 : turn + 1) await new Promise((resolve) => setImmediate(resolve))
}

/** Both talk; timers and clock go on together. */
async function talk(devices: readonly Device[], ms: number): Promise<void> {
  for (const end = nowMs + ms; nowMs < end; ) {
    if (nowMs % FRAME_MS === 0) for (const device of devices) await device.speak()
    nowMs += 10
    mock.timers.tick(10)
    await settled()
  }
}

beforeEach(() => {
  nowMs = 0
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] })
  mock.method(performance, "now", () => nowMs)
})

afterEach(() => {
  mock.timers.reset()
  mock.restoreAll()
})

async function two(whyA: WhyOff | null = null, whyB: WhyOff | null = null): Promise<readonly [Device, Device]> {
  const [a, b] = [new Device(0, 1, whyA), new Device(1, 0, whyB)]
  ;[a.other, b.other, a.peer.other, b.peer.other] = [b, a, b.peer, a.peer]
  for (const device of [a, b]) {
    await device.start()
    device.attach()
  }
  return [a, b]
}

test("sound moves to the channel after both ways were compared, and the lanes fall silent", async () => {
  const [a, b] = await two()
  await talk([a, b], 1_000)
  assert.deepEqual([a.direct.view.state, b.direct.view.state], ["open", "open"])
  assert.equal(a.direct.view.carries, false)
  await talk([a, b], OVERLAP_MS + 500)
  assert.deepEqual([a.direct.view.carries, b.direct.view.carries], [true, true])
  const before = a.lanes.length
  await talk([a, b], 3_000)
  assert.equal(a.lanes.length, before)
  for (const { heard } of [a, b]) assert.deepEqual([...heard.keys()], [...heard.keys()].map((_, i) => i))
  a.direct.stop()
  b.direct.stop()
})

for (const how of ["silently", "by closing"] as const) {
  test(`a path that is cut ${how} leaves no gap, and is tried again later`, async () => {
    const [a, b] = await two()
    await talk([a, b], 4_020)
    assert.ok(a.direct.view.carries)
    if (how === "silently") a.peer.isCut = b.peer.isCut = true
    else for (const { peer } of [a, b]) peer.tell({ kind: "closed", attempt: peer.attempt })
    await talk([a, b], SILENT_MS + 1_200) // no refusal has explained it
    for (const device of [a, b]) {
      assert.deepEqual([device.direct.view.state, device.direct.view.carries, device.direct.found], ["blocked", false, "blocked"])
      assert.equal(device.direct.view.clause, ": direct UDP passed, and then fell silent.")
    }
    await talk([a, b], 2_000)
    for (const device of [a, b]) {
      assert.ok(device.gapMs() <= 300, `${device.gapMs()} ms`)
      assert.ok(device.heard.size >= nowMs / FRAME_MS - 2)
    }
    a.peer.isCut = b.peer.isCut = false
    await talk([a, b], 11_000)
    assert.equal(a.direct.view.state, "open")
    a.direct.stop()
    b.direct.stop()
  })
}

test("a channel that passed badly before it fell silent was no good one that was lost", async () => {
  const [a, b] = await two()
  const cut = (isCut: boolean): unknown => (a.peer.isCut = b.peer.isCut = isCut)
  await talk([a, b], 600)
  for (const isCut of [true, false, true, false]) {
    cut(isCut)
    await talk([a, b], 180)
  }
  cut(true)
  await talk([a, b], SILENT_MS + 1_200) // no refusal has explained it
  for (const { direct } of [a, b]) {
    assert.deepEqual([direct.view.state, direct.found], ["blocked", "degraded"])
    assert.equal(direct.view.clause, ": direct UDP passes here, but badly.")
  }
  cut(false)
  await talk([a, b], 10_000)
  assert.deepEqual([a.direct.view.state, a.direct.found], ["open", "degraded"], "not known better before it was compared")
  await talk([a, b], OVERLAP_MS + 1_000)
  assert.deepEqual([a.direct.view.carries, a.direct.found], [true, "open"])
  a.direct.stop()
  b.direct.stop()
})

for (const who of [0, 1]) {
  test(`while device ${who} has no room, it begins no attempt`, async () => {
    const devices = await two()
    const [narrow, other] = [devices[who]!, devices[1 - who]!]
    narrow.hasRoom = false
    await talk(devices, 3_000)
    assert.deepEqual(narrow.peer.orders, [])
    assert.ok(other.heard.size > 0 && narrow.heard.size > 0)
    narrow.hasRoom = true
    await talk(devices, OVERLAP_MS + 1_500)
    assert.deepEqual(devices.map(({ direct }) => direct.view.carries), [true, true])
    for (const { direct } of devices) direct.stop()
  })
}

test("while there is no room, the two ways are not compared", async () => {
  const [a, b] = await two()
  await talk([a, b], 1_000)
  assert.equal(a.direct.view.state, "open")
  a.hasRoom = false
  await talk([a, b], 200)
  const before = a.direct.view.framesDirect
  await talk([a, b], 5_000)
  assert.deepEqual([a.direct.view.framesDirect, a.direct.view.carries, b.direct.view.carries], [before, false, true])
  a.hasRoom = true
  await talk([a, b], ROOM_REST_MS + OVERLAP_MS + 500)
  assert.ok(a.direct.view.carries)
  a.direct.stop()
  b.direct.stop()
})

for (const why of ["hidden", "stranger", "changed", "group"] as const) {
  for (const who of [0, 1]) {
    test(`where it is forbidden (${why}) to device ${who}, its page is asked for nothing`, async () => {
      const devices = await two(who === 0 ? why : null, who === 1 ? why : null)
      await talk(devices, 3_000)
      const [forbidden, other] = [devices[who]!, devices[1 - who]!]
      assert.deepEqual(forbidden.peer.orders, [{ kind: "end" }])
      assert.equal(forbidden.direct.view.state, "off")
      assert.deepEqual([other.direct.view.state, other.direct.view.framesDirect], ["blocked", 0])
      assert.match(other.direct.view.why, /other side/)
      assert.equal(other.direct.found, "off", "the network is not to blame")
      devices.forEach(({ direct }) => direct.stop())
    })
  }
}

for (const who of [0, 1]) {
  for (const isUnheard of [false, true]) {
    test(`device ${who} hides its address in the middle of a call: all leave the direct way at once${isUnheard ? ", though it is not heard at first" : ""}`, async () => {
      const devices = await two()
      await talk(devices, 4_020)
      const [hiding, other] = [devices[who]!, devices[1 - who]!]
      assert.ok(hiding.direct.view.carries && other.direct.view.carries)
      hiding.isUnheard = isUnheard
      const { framesDirect } = hiding.direct.view
      hiding.direct.attach("hidden")
      assert.match(hiding.direct.view.clause, /because you hide your address/)
      assert.deepEqual(hiding.peer.orders.at(-1), { kind: "end" })
      await talk(devices, 500)
      hiding.isUnheard = false
      await talk(devices, 20_000)
      assert.equal(hiding.direct.view.framesDirect, framesDirect)
      assert.deepEqual(hiding.peer.orders.at(-1), { kind: "end" }, "its page is asked for nothing any more")
      assert.deepEqual([hiding.direct.view.state, hiding.direct.view.carries, other.direct.view.carries], ["off", false, false])
      assert.match(other.direct.view.clause, /other side does not connect/)
      assert.equal(other.direct.found, "off", "the network is not to blame")
      for (const device of devices) {
        assert.ok(device.gapMs() <= 300, `${device.gapMs()} ms`)
        assert.ok(device.heard.size >= nowMs / FRAME_MS - 2)
      }
      devices.forEach(({ direct }) => direct.stop())
    })
  }
}

test("who hides the address while a channel is being tried takes part no longer", async () => {
  const [a, b] = await two()
  a.peer.reaches = "nothing"
  await talk([a, b], 1_000)
  a.direct.attach("hidden")
  await talk([a, b], 15_000)
  assert.deepEqual([a.direct.view.state, a.direct.found, b.direct.found], ["off", "off", "off"])
  assert.match(b.direct.view.clause, /other side does not connect/)
  assert.deepEqual(a.peer.orders.at(-1), { kind: "end" })
  a.direct.stop()
  b.direct.stop()
})

test("a refusal that is lost is no verdict about the network", async () => {
  const [a, b] = await two(null, "hidden")
  b.isUnheard = true
  await talk([a, b], 9_000)
  assert.equal(a.direct.found, "off")
  assert.match(a.direct.view.clause, /has not answered/)
  b.isUnheard = false
  await talk([a, b], 15_000)
  assert.match(a.direct.view.clause, /other side does not connect/)
  assert.equal(a.direct.found, "off")
  a.direct.stop()
  b.direct.stop()
})

test("a channel that was handed over says nothing of the network when the other side wanted none", async () => {
  const [a, b] = [new Device(0, 1), new Device(1, 0)]
  ;[a.other, b.other, a.peer.handsOver] = [b, a, true]
  for (const device of [a, b]) await device.start()
  a.attach()
  b.direct.attach("hidden")
  await talk([a, b], 15_000)
  assert.match(a.direct.view.clause, /other side does not connect/)
  assert.equal(a.direct.found, "off")
  assert.equal(a.peer.orders.filter(({ kind }) => kind === "offer").length, 1, "it is not asked again")
  a.direct.stop()
})

for (const [reaches, found, words] of [
  ["nothing", "blocked", ": direct UDP does not pass here."],
  ["path", "keys_blocked", ": direct UDP passes here, but the exchange of its keys does not."],
  ["keys", "degraded", ": direct UDP passes here, but badly."],
] as const) {
  test(`an attempt that reaches ${reaches} is told as ${found}, and while it is tried again`, async () => {
    const [a, b] = await two()
    a.peer.reaches = reaches
    await talk([a, b], 1_000)
    assert.deepEqual([a.direct.view.clause, a.direct.found], ["; a direct one is being tried.", "trying"])
    await talk([a, b], 8_000)
    for (const { direct } of [a, b]) assert.deepEqual([direct.view.clause, direct.found], [words, found])
    const tried = a.peer.attempt
    await talk([a, b], 12_000)
    assert.ok(a.peer.attempt > tried)
    for (const { direct } of [a, b]) assert.deepEqual([direct.view.clause, direct.found], [words, found])
    a.peer.reaches = "open"
    await talk([a, b], 30_000)
    for (const { direct } of [a, b]) assert.deepEqual([direct.view.state, direct.view.carries, direct.found], ["open", true, "open"])
    a.direct.stop()
    b.direct.stop()
  })
}

test("each attempt is judged by what came in it", async () => {
  const [a, b] = await two()
  a.peer.reaches = "keys"
  await talk([a, b], 9_000)
  assert.equal(a.direct.found, "degraded")
  a.peer.reaches = "path"
  await talk([a, b], 22_000)
  for (const { direct } of [a, b]) assert.equal(direct.found, "keys_blocked")
  a.direct.stop()
  b.direct.stop()
})

test("a channel that opens but loses much is told as degraded, and carries nothing alone", async () => {
  const [a, b] = await two()
  let sent = 0
  const { tell } = b.peer
  b.peer.tell = (news) => (news.kind === "message" && news.bytes[0] === 1 && ++sent % 4 === 0) || tell.call(b.peer, news)
  await talk([a, b], 6_000)
  assert.deepEqual([a.direct.view.state, a.direct.view.carries, a.direct.found], ["open", false, "degraded"])
  assert.equal(a.direct.view.clause, ": direct UDP passes here, but badly.")
  a.direct.stop()
  b.direct.stop()
})

test("without the page's half the person hides the address", async () => {
  const device = new Device(0, 1)
  device.direct.attach("hidden")
  assert.deepEqual([device.direct.view.state, device.direct.view.carries], ["off", false])
  assert.match(device.direct.view.clause, /because you hide your address/)
})

test("the server sees no address, and a signalling frame of nobody changes nothing", async () => {
  const [a, b] = await two()
  await talk([a, b], 500)
  const signals = a.lanes.filter((body) => body[0] === DIRECT_SIGNAL_KIND)
  assert.ok(signals.length > 0)
  for (const body of signals) {
    assert.ok([160, 320, 640].includes(body.length), String(body.length))
    assert.ok(!Buffer.from(body).includes("192.0.2.7"))
  }
  const orders = b.peer.orders.length
  await b.direct.signal(signals[0]!.subarray(1)) // again
  const forged = signals[0]!.slice(1)
  forged[40]! ^= 1
  await b.direct.signal(forged)
  await b.direct.signal(new Uint8Array(3))
  await settled()
  assert.equal(b.peer.orders.filter(({ kind }) => kind !== "message").length <= orders, true)
  a.direct.stop()
  b.direct.stop()
})

test("a browser without WebRTC refuses, and says so", async () => {
  const [a, b] = [new Device(0, 1), new Device(1, 0)]
  ;[a.other, b.other] = [b, a]
  for (const device of [a, b]) await device.start()
  a.direct.attach("unable")
  b.attach()
  await talk([a, b], 1_000)
  assert.match(a.direct.view.clause, /this browser/)
  assert.match(b.direct.view.clause, /other side/)
  b.direct.stop()
})

test("another network is tried at once, whoever notices it", async () => {
  const [a, b] = await two()
  await talk([a, b], 1_000)
  for (const { peer } of [a, b]) {
    const attempt = a.peer.attempt
    peer.tell({ kind: "network" })
    await talk([a, b], 500)
    assert.equal(a.peer.attempt, attempt + 1)
    assert.equal(b.direct.view.state, "open")
  }
  a.direct.stop()
  b.direct.stop()
})

test("a line without room for both ways is not called a bad direct way", async () => {
  const [a, b] = await two()
  await talk([a, b], 1_000)
  for (const device of [a, b]) device.hasRoom = false
  await talk([a, b], 1_000)
  for (const { direct } of [a, b]) {
    assert.deepEqual([direct.view.state, direct.found, direct.view.carries], ["open", "open", false])
    assert.equal(direct.view.clause, ": there is no room at the moment for two ways at once.")
  }
  for (const { peer } of [a, b]) peer.tell({ kind: "closed", attempt: peer.attempt })
  await talk([a, b], 1_200) // no refusal has explained it
  for (const { direct } of [a, b]) assert.equal(direct.view.clause, ": direct UDP passed, and then fell silent.")
  a.direct.stop()
  b.direct.stop()
})

test("a way that falls silent while there is no room for both is not called bad", async () => {
  const [a, b] = await two()
  await talk([a, b], 4_020)
  assert.ok(a.direct.view.carries)
  const clauses = new Set<string>()
  for (const device of [a, b]) device.hasRoom = false
  a.peer.isCut = b.peer.isCut = true
  for (let ms = 0; ms < SILENT_MS + 1_200; ms += 10) {
    await talk([a, b], 10)
    for (const { direct } of [a, b]) clauses.add(direct.view.clause)
  }
  assert.deepEqual([a.direct.view.clause, b.direct.view.clause], [": direct UDP passed, and then fell silent.", ": direct UDP passed, and then fell silent."])
  assert.ok(![...clauses].some((clause) => clause.includes("badly")), [...clauses].join(" | "))
  a.direct.stop()
  b.direct.stop()
})

test("a line without room for an attempt says so, and the attempt follows when there is some", async () => {
  const [a, b] = await two()
  a.hasRoom = false
  await talk([a, b], 3_000)
  assert.deepEqual([a.direct.view.state, a.direct.found], ["off", "off"])
  assert.equal(a.direct.view.clause, ": there is no room at the moment to try a direct one.")
  a.hasRoom = true
  await talk([a, b], 500)
  assert.equal(a.direct.view.state, "open")
  a.direct.stop()
  b.direct.stop()
})

test("a change of network begins no attempt where there is no room for one", async () => {
  const [a, b] = await two()
  await talk([a, b], 4_020)
  const before = a.peer.attempt
  a.hasRoom = false
  a.peer.tell({ kind: "network" })
  await talk([a, b], 2_000)
  assert.deepEqual([a.peer.attempt, a.direct.view.state, a.direct.view.carries], [before, "open", true], "what passes goes on")
  a.hasRoom = true
  await talk([a, b], 500)
  assert.deepEqual([a.peer.attempt, a.direct.view.state], [before + 1, "open"])
  a.direct.stop()
  b.direct.stop()
})

for (const who of ["offers", "answers"] as const) {
  test(`a change of network ends what was found before, at the device that ${who}`, async () => {
    const [a, b] = await two()
    await talk([a, b], 4_020)
    for (const { peer } of [a, b]) peer.tell({ kind: "closed", attempt: peer.attempt })
    await talk([a, b], 100) // an end that is not explained yet
    const moved = who === "offers" ? a : b
    for (const device of [a, b]) device.hasRoom = false
    moved.peer.tell({ kind: "network" })
    await talk([a, b], 1_500)
    assert.deepEqual([moved.direct.view.state, moved.direct.found], ["off", "off"])
    a.direct.stop()
    b.direct.stop()
  })
}

test("what comes late of an attempt that a change of network ended is no news", async () => {
  const [a, b] = await two()
  a.peer.reaches = b.peer.reaches = "nothing"
  await talk([a, b], 500)
  a.hasRoom = false
  a.peer.tell({ kind: "network" })
  await talk([a, b], 100)
  a.peer.tell({ kind: "open", attempt: a.peer.attempt })
  await talk([a, b], 500)
  assert.deepEqual([a.direct.view.state, a.direct.view.framesDirect], ["off", 0])
  a.direct.stop()
  b.direct.stop()
})
