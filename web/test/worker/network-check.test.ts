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
  isDead?: boolean
}

let network: Network = {}
let clockMs = 0
const after = (delayMs: number, act: () => void): unknown => setTimeout(act, delayMs)

class FakeSocket {
  static open = 0
  static made = 0
  onopen: (() => void) | null = null
  onclose: (() => void) | null = null
  onmessage: ((event: { data: unknown }) => void) | null = null
  private heardMs = 0
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
    after(network.answerMs ?? 40, () => this.onmessage?.({ data: encode(frame).slice().buffer }))
  }

  close(): void {
    if (!this.isClosed) FakeSocket.open--
    this.isClosed = true
  }
}

function download(_url: string, { signal }: { signal: AbortSignal }): Promise<unknown> {
  const parts = [Math.min(network.freeze ?? 65_536, 65_536)]
  const read = (): Promise<{ value?: Uint8Array }> => {
    const size = parts.shift()
    if (size !== undefined) return Promise.resolve({ value: new Uint8Array(size) })
    if (network.freeze === undefined) return Promise.resolve({})
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted"))))
  }
  return Promise.resolve({ ok: true, body: { getReader: () => ({ read }) } })
}

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout"] })
  clockMs = FakeSocket.open = FakeSocket.made = 0
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
  const views: NetworkCheckView[] = []
  const check = new NetworkCheck("https://chat.example", withPause, (view) => views.push(view))
  let isOver = false
  const running = check.run().finally(() => (isOver = true))
  while (!isOver && clockMs < 60_000) {
    if (clockMs === stopAtMs) check.stop()
    clockMs += 10
    mock.timers.tick(10)
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

test("a server that does not answer", async () => {
  const view = await checked({ isDead: true })
  assert.deepEqual(told(view), ["silent"])
  assert.deepEqual(view.steps.map(({ state }) => state), ["failed", "waiting", "waiting", "left_out"])
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
