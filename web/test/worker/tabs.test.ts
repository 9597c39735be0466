import assert from "node:assert/strict"
import { test } from "node:test"
import type { EngineEvent } from "../../src/worker/api.js"
import { type Led, type Method, type Platform, Tabs } from "../../src/worker/tabs.js"

/** Locks and channels of one browser profile. */
class Browser {
  private readonly channels = new Set<Platform["channel"]>()
  private holder: { steal(): void } | undefined
  private readonly queue: (() => void)[] = []

  platform(id: string): Platform {
    const channel: Platform["channel"] = {
      onmessage: null,
      postMessage: (message: unknown) => {
        const copy = structuredClone(message)
        for (const other of this.channels) if (other !== channel) queueMicrotask(() => other.onmessage?.({ data: copy } as MessageEvent))
      },
    }
    this.channels.add(channel)
    return { id, channel, lock: (steal, held) => this.lock(steal, held) }
  }

  private lock(steal: boolean, held: () => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      const begin = (): void => {
        const mine = { steal: () => reject(new Error("stolen")) }
        this.holder = mine
        const end = (): void => {
          if (this.holder !== mine) return
          this.holder = undefined
          this.queue.shift()?.()
        }
        held().then(
          () => (end(), resolve()),
          (error: unknown) => (end(), reject(error as Error)),
        )
      }
      if (steal && this.holder !== undefined) {
        this.holder.steal()
        begin()
      } else if (this.holder === undefined) begin()
      else this.queue.push(begin)
    })
  }
}

class Engine implements Led {
  readonly calls: Method[] = []
  stopped = false
  hold: Promise<unknown> | undefined

  constructor(
    readonly id: string,
    readonly emit: (event: EngineEvent) => void,
  ) {}

  async call(method: Method): Promise<unknown> {
    this.calls.push(method)
    await this.hold
    if (method === "sendText") throw { code: "refused", what: "no", next: "no" }
    return `${method} by ${this.id}`
  }
  async greet(): Promise<readonly EngineEvent[]> {
    return [{ kind: "connection", state: { kind: "online" } }]
  }
  stop(): void {
    this.stopped = true
  }
}

function tabs(browser: Browser, id: string): { tab: Tabs; engines: Engine[]; events: EngineEvent[] } {
  const engines: Engine[] = []
  const events: EngineEvent[] = []
  const lead = async (emit: (event: EngineEvent) => void): Promise<Led> => {
    engines.push(new Engine(id, emit))
    return engines[engines.length - 1] as Engine
  }
  const tab = new Tabs(browser.platform(id), lead, (event) => events.push(event))
  tab.start()
  return { tab, engines, events }
}
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5))

test("one tab leads, the others ask it, and all hear its news", async () => {
  const browser = new Browser()
  const [a, b] = [tabs(browser, "a"), tabs(browser, "b")]
  assert.equal(await a.tab.call("account", []), "account by a")
  assert.equal(await b.tab.call("conversations", []), "conversations by a")
  assert.deepEqual(b.engines, [])
  await assert.rejects(b.tab.call("sendText", []), { code: "refused" })
  a.engines[0]?.emit({ kind: "account", account: null })
  await settle()
  assert.ok(a.events.some(({ kind }) => kind === "account") && b.events.some(({ kind }) => kind === "account"))
  assert.ok(b.events.some(({ kind }) => kind === "connection"), "greeted")
})

test("when the leader goes, another takes over and answers what still waits", async () => {
  const browser = new Browser()
  const [a, b] = [tabs(browser, "a"), tabs(browser, "b")]
  await b.tab.call("account", [])
  const engine = a.engines[0] as Engine
  engine.hold = new Promise(() => undefined)
  const asked = b.tab.call("conversations", [])
  await settle()
  a.tab.close()
  await settle()
  assert.equal(engine.stopped, true)
  assert.equal(await asked, "conversations by b")
})

test("the tab that calls becomes the leader, and the former one follows", async () => {
  const browser = new Browser()
  const [a, b] = [tabs(browser, "a"), tabs(browser, "b")]
  await b.tab.call("account", [])
  assert.equal(await b.tab.call("placeCall", []), "placeCall by b")
  await settle()
  assert.equal(a.engines[0]?.stopped, true)
  assert.equal(await a.tab.call("hangUp", []), "hangUp by b")
  b.tab.close()
  await settle()
  assert.equal(await a.tab.call("account", []), "account by a")
})

test("a call in another tab is not cut off by a second one", async () => {
  const browser = new Browser()
  const [a, b] = [tabs(browser, "a"), tabs(browser, "b")]
  await b.tab.call("account", [])
  const call = { id: "c1", conversation: "x", peer: null, incoming: false, muted: false, sinceMs: null, carrier: "", way: null, direct: null, verdicts: [], trace: [], ignored: 0, notes: null, quality: "unknown", qualityThere: "unknown", ended: "" } as const
  a.engines[0]?.emit({ kind: "call", call: { ...call, phase: "in_call" } })
  await settle()
  await assert.rejects(b.tab.call("placeCall", []), { code: "busy" })
  a.engines[0]?.emit({ kind: "call", call: { ...call, phase: "ended" } })
  await settle()
  assert.equal(await b.tab.call("placeCall", []), "placeCall by b")
})

test("what may have been done is not done twice by the next leader", async () => {
  const browser = new Browser()
  const [a, b, c] = [tabs(browser, "a"), tabs(browser, "b"), tabs(browser, "c")]
  await c.tab.call("account", [])
  ;(a.engines[0] as Engine).hold = new Promise(() => undefined)
  const asked = c.tab.call("createGroup", [])
  asked.catch(() => undefined)
  await settle()
  a.tab.close()
  await settle()
  await assert.rejects(asked, { code: "elsewhere" })
  assert.equal(b.engines.length, 1)
  assert.deepEqual(b.engines[0]?.calls, [])
})

test("words on the channel that are none of ours change nothing", async () => {
  const browser = new Browser()
  const a = tabs(browser, "a")
  await a.tab.call("account", [])
  const stranger = browser.platform("x").channel
  for (const message of [{ kind: "told", to: "a", id: 99, value: 1 }, { kind: "refused", to: "a", id: 99, fault: {} }, { kind: "?" }]) stranger.postMessage(message)
  await settle()
  assert.equal(await a.tab.call("account", []), "account by a")
})
