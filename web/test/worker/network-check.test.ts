// The network check against servers and networks of every kind, on a virtual clock.
import assert from "node:assert/strict"
import { afterEach, beforeEach, mock, test } from "node:test"
import { decodeClient, encode, type ServerFrame } from "../../src/core/protocol/frames.js"
import type { NetworkCheckView } from "../../src/worker/api.js"
import { NetworkCheck } from "../../src/worker/network-check.js"

/** What the network does. */
interface Network {
  /** Connections beyond are reset. */
  lanesMax?: number
  /** Downloads fall silent after so many bytes. */
  freeze?: number
  /** Connections that were silent for longer answer nothing. */
  idleMs?: number
  answerMs?: number
  /** Every so manieth answer takes 300 ms more, and those behind it on its connection wait for it. */
  lostEvery?: number
  /** What all connections share; 100 bytes for a PING. */
  kbitPerS?: number
  /** So many connections were frozen before, and the browser has kept them. */
  keptFrozen?: number
  /** The download is refused. */
  isRefusing?: boolean
  isDead?: boolean
}

const STEP_MS = 4
let network: Network = {}
let clockMs = 0
let keptFrozen = 0
const after = (delayMs: number, act: () => void): unknown => setTimeout(act, delayMs)

class FakeSocket {
  static open = 0
  static made = 0
  static answers = 0
  static pipeFreeMs = 0
  onopen: (() => void) | null = null
  onclose: (() => void) | null = null
  onmessage: ((event: { data: unknown }) => void) | null = null
  private heardMs = 0
  private answeredMs = 0
  private isReset = false
  private isClosed = false

  constructor() {
    FakeSocket.made++
    if (network.isDead) return
    FakeSocket.open++
    this.isReset = FakeSocket.open > (network.lanesMax ?? Infinity)
    after(1, () => (this.isReset ? this.onclose?.() : this.onopen?.()))
  }

  send(message: Uint8Array): void {
    const silentMs = clockMs - this.heardMs
    if (this.heardMs > 0 && silentMs > (network.idleMs ?? Infinity)) return
    this.heardMs = clockMs
    const frame = decodeClient(message)
    if (frame.type === "Hello") this.answer({ type: "Welcome", version: 1, timeMs: 0 })
    if (frame.type === "Ping") this.answer({ type: "Pong", request: frame.request, timeMs: 0 })
  }

  private answer(frame: ServerFrame): void {
    const { answerMs = 40, lostEvery = Infinity, kbitPerS = Infinity } = network
    FakeSocket.pipeFreeMs = Math.max(FakeSocket.pipeFreeMs, clockMs) + 800 / kbitPerS
    const lostMs = frame.type === "Pong" && ++FakeSocket.answers % lostEvery === 0 ? 300 : 0
    this.answeredMs = Math.max(this.answeredMs, FakeSocket.pipeFreeMs + answerMs + lostMs)
    after(this.answeredMs - clockMs, () => this.onmessage?.({ data: encode(frame).slice().buffer }))
  }

  close(): void {
    if (!this.isClosed) FakeSocket.open--
    this.isClosed = true
  }
}

function download(url: string, { signal }: { signal: AbortSignal }): Promise<unknown> {
  if (network.isRefusing) return Promise.resolve({ ok: false })
  const silence = (): Promise<never> => new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted"))))
  if (keptFrozen > 0) {
    keptFrozen--
    return silence()
  }
  const asked = Number(new URL(url).searchParams.get("bytes"))
  const parts = [Math.min(network.freeze ?? asked, asked)]
  const isWhole = parts[0] === asked
  const read = (): Promise<{ value?: Uint8Array }> => {
    const size = parts.shift()
    if (size !== undefined) return Promise.resolve({ value: new Uint8Array(size) })
    return isWhole ? Promise.resolve({}) : silence()
  }
  return Promise.resolve({ ok: true, body: { getReader: () => ({ read }) } })
}

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout"] })
  clockMs = FakeSocket.open = FakeSocket.made = FakeSocket.answers = FakeSocket.pipeFreeMs = 0
  Object.assign(globalThis, { WebSocket: FakeSocket, fetch: download })
  mock.method(performance, "now", () => clockMs)
})
afterEach(() => {
  mock.timers.reset()
  mock.restoreAll()
})

/** Lets time pass until the check is over. */
async function checked(some: Network, withPause = false, stopAtMs = Infinity): Promise<NetworkCheckView> {
  network = some
  keptFrozen = some.keptFrozen ?? 0
  const views: NetworkCheckView[] = []
  const check = new NetworkCheck("https://chat.example", withPause, (view) => views.push(view))
  let isOver = false
  const running = check.run().finally(() => (isOver = true))
  while (!isOver && clockMs < 60_000) {
    if (clockMs === stopAtMs) check.stop()
    clockMs += STEP_MS
    mock.timers.tick(STEP_MS)
    for (let turn = 0; turn < 12; turn++) await Promise.resolve()
  }
  await running
  for (const { done, total } of views) assert.ok(done <= total)
  const last = views.at(-1)
  assert.ok(last !== undefined && !last.running)
  return last
}

const told = ({ verdicts }: NetworkCheckView): string[] => verdicts.map(({ verdict }) => verdict)
const values = (view: NetworkCheckView, name: string): unknown => view.steps.find((step) => step.name === name)?.values

test("nothing in the way", async () => {
  const view = await checked({}, true)
  assert.deepEqual(told(view), ["clear"])
  assert.deepEqual(values(view, "lanes"), { opened: 4, live: 4 })
  assert.deepEqual(values(view, "rhythm"), { latePercent: 0, queueingMs: 0 })
  assert.deepEqual(values(view, "bytes"), { bytes: 65_536, frozen: 0 })
  assert.deepEqual(values(view, "idle"), { cut: 0 })
  assert.equal((values(view, "connection") as { p50Ms: number }).p50Ms, 40)
  assert.equal(FakeSocket.open, 0)
})

test("a network that freezes connections", async () => {
  const view = await checked({ freeze: 15_872 })
  assert.deepEqual(told(view), ["frozen"])
  assert.deepEqual(values(view, "bytes"), { bytes: 15_872, frozen: 1 })
  assert.equal(view.steps.at(-1)?.state, "left_out")
})

test("connections that froze before the check are not taken for it", async () => {
  const view = await checked({ freeze: 15_872, keptFrozen: 4 })
  assert.deepEqual(told(view), ["frozen"])
  assert.deepEqual(values(view, "bytes"), { bytes: 15_872, frozen: 1 })
  assert.deepEqual(told(await checked({ keptFrozen: 6 })), ["clear"])
})

test("a network that counts connections", async () => {
  const view = await checked({ lanesMax: 2 })
  assert.deepEqual(told(view), ["counted"])
  assert.deepEqual(values(view, "lanes"), { opened: 4, live: 2 })
})

test("a network that forgets silent connections", async () => {
  assert.deepEqual(told(await checked({ idleMs: 10_000 }, true)), ["idle_cut"])
  assert.deepEqual(told(await checked({ idleMs: 10_000 })), ["clear"])
})

test("a long way", async () => assert.deepEqual(told(await checked({ answerMs: 400 })), ["far"]))

test("a network that loses packets", async () => {
  const view = await checked({ lostEvery: 13 })
  assert.deepEqual(told(view), ["lossy"])
  const { latePercent, queueingMs } = values(view, "rhythm") as { latePercent: number; queueingMs: number }
  assert.ok(latePercent >= 10 && latePercent <= 18, `${latePercent} of 100`)
  assert.equal(queueingMs, 0)
})

test("a network that loses little", async () => assert.deepEqual(told(await checked({ lostEvery: 60 })), ["clear"]))

test("a narrow pipe", async () => {
  const view = await checked({ kbitPerS: 32 })
  assert.deepEqual(told(view), ["narrow"])
  const { queueingMs } = values(view, "rhythm") as { queueingMs: number }
  assert.ok(queueingMs > 1_000, `${queueingMs} ms`)
})

test("a pipe with room for a call", async () => assert.deepEqual(told(await checked({ kbitPerS: 128 })), ["clear"]))

test("what could not be measured is not called clear", async () => {
  const view = await checked({ isRefusing: true })
  assert.deepEqual(told(view), [])
  assert.equal(view.steps.find(({ name }) => name === "bytes")?.state, "failed")
  assert.deepEqual(told(await checked({ isRefusing: true, lostEvery: 13 })), ["lossy"])
})

test("a server that does not answer", async () => {
  const view = await checked({ isDead: true })
  assert.deepEqual(told(view), ["silent"])
  assert.deepEqual(view.steps.map(({ state }) => state), ["failed", "waiting", "waiting", "waiting", "left_out"])
  assert.equal(FakeSocket.made, 1)
})

test("a stopped check closes what it opened and gives no verdict", async () => {
  const view = await checked({}, true, 1_500)
  assert.deepEqual(told(view), [])
  const made = FakeSocket.made
  for (let second = 0; second < 30; second++) {
    clockMs += 1_000
    mock.timers.tick(1_000)
    for (let turn = 0; turn < 12; turn++) await Promise.resolve()
  }
  assert.equal(FakeSocket.made, made)
  assert.equal(FakeSocket.open, 0)
})
