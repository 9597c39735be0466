// Several tabs of one browser profile: one of them, the leader, holds the connection and the keys; the others pass on
// what their page asks. Who holds the lock leads; a tab that starts or takes a call takes the lock, since sound cannot
// cross between tabs.
import type * as api from "./api.js"
import { EngineError, faultOf, isFault } from "./errors.js"
import { Pulse } from "./sync.js"

export type Method = keyof api.Engine

/** What a tab runs while it leads. */
export interface Led {
  call(method: Method, args: readonly unknown[]): Promise<unknown>
  /** What a page that joins must learn. */
  greet(): Promise<readonly api.EngineEvent[]>
  stop(): void
}

type Message =
  | { readonly kind: "who"; readonly from: string }
  | { readonly kind: "leader"; readonly id: string }
  | { readonly kind: "ask"; readonly to: string; readonly from: string; readonly id: number; readonly method: Method; readonly args: readonly unknown[] }
  | { readonly kind: "told"; readonly to: string; readonly id: number; readonly value: unknown }
  | { readonly kind: "refused"; readonly to: string; readonly id: number; readonly fault: api.Fault }
  | { readonly kind: "news"; readonly to: string | null; readonly event: api.EngineEvent }

/** What the tests put in place of the browser's. */
export interface Platform {
  readonly id: string
  /** Holds the lock while `held` runs; rejects when it was taken away. */
  lock(steal: boolean, held: () => Promise<void>): Promise<void>
  readonly channel: Pick<BroadcastChannel, "postMessage"> & { onmessage: ((event: MessageEvent) => void) | null }
}

interface Waiting {
  readonly method: Method
  readonly args: readonly unknown[]
  resolve(value: unknown): void
  reject(fault: unknown): void
}

const RESTART_MS = 2_000

/** These belong to the tab whose microphone and loudspeaker are used. */
const HERE_ONLY: ReadonlySet<Method> = new Set<Method>(["placeCall", "answerCall", "attachAudio", "attachDirect"])
/** These may be asked again of a new leader. */
const HARMLESS: ReadonlySet<Method> = new Set<Method>([
  "account", "connectionState", "conversations", "messages", "fetchFile", "fetchNote", "safetyNumber", "serverKnows", "callHistory", "markRead", "typing",
])

export class Tabs {
  private led: Led | undefined
  private starting: Promise<Led> | undefined
  private leader: string | undefined
  private readonly waiting = new Map<number, Waiting & { asked: boolean }>()
  private lastId = 0
  private readonly changed = new Pulse()
  private readonly closing = new AbortController()
  private failed = false
  private busyElsewhere: string | undefined

  constructor(
    private readonly platform: Platform,
    private readonly lead: (emit: (event: api.EngineEvent) => void) => Promise<Led>,
    private readonly emit: (event: api.EngineEvent) => void,
  ) {
    platform.channel.onmessage = ({ data }: MessageEvent<Message>) => void this.received(data)
  }

  start(): void {
    this.post({ kind: "who", from: this.platform.id })
    void this.wait(false)
  }

  close(): void {
    this.closing.abort()
    this.led?.stop()
  }

  /** Answers one call of this tab's page. Rejects with what becomes a `Fault`. */
  async call(method: Method, args: readonly unknown[]): Promise<unknown> {
    if (HERE_ONLY.has(method) && this.starting === undefined) {
      if (this.busyElsewhere !== undefined) throw new EngineError("busy", "Another tab is in a call.", "Hang it up there first.")
      await this.takeOver()
    }
    if (this.starting !== undefined) return (await this.starting).call(method, args)
    return new Promise((resolve, reject) => {
      const id = ++this.lastId
      this.waiting.set(id, { method, args, resolve, reject, asked: false })
      this.ask(id)
    })
  }

  // -- leading ---------------------------------------------------------------------------------------------------

  /** Waits for the lock, leads while it is held, and waits again. */
  private async wait(steal: boolean): Promise<void> {
    for (let stealing = steal; !this.closing.signal.aborted; stealing = false) {
      try {
        await this.platform.lock(stealing, async () => {
          if (!this.closing.signal.aborted) await this.begin()
        })
      } catch {
        // another tab took it, or the engine could not start: then not again at once
        if (this.failed) await this.changed.next(this.closing.signal, RESTART_MS).catch(() => undefined)
      }
      this.end()
      if (stealing) return // the first waiter is still there
    }
  }

  private async takeOver(): Promise<void> {
    void this.wait(true)
    while (this.starting === undefined) await this.changed.next(this.closing.signal)
  }

  private async begin(): Promise<void> {
    this.leader = this.platform.id
    this.failed = false
    this.starting = this.lead((event) => this.tell(event))
    this.changed.beat()
    try {
      this.led = await this.starting
    } catch (error) {
      this.failed = true
      this.emit({ kind: "fault", fault: faultOf(error) })
      this.failWaiting(faultOf(error))
      throw error
    }
    this.post({ kind: "leader", id: this.platform.id })
    for (const event of await this.led.greet()) this.tell(event)
    for (const [id, { method, args, resolve, reject }] of this.waiting) {
      this.waiting.delete(id)
      this.led.call(method, args).then(resolve, reject)
    }
    await new Promise<void>((resolve) => this.closing.signal.addEventListener("abort", () => resolve()))
  }

  private end(): void {
    const { starting } = this
    this.led = undefined
    this.starting = undefined
    if (this.leader === this.platform.id) this.leader = undefined
    starting?.then((led) => led.stop()).catch(() => undefined)
    if (!this.closing.signal.aborted) this.post({ kind: "who", from: this.platform.id })
  }

  private tell(event: api.EngineEvent): void {
    this.emit(event)
    this.post({ kind: "news", to: null, event })
  }

  // -- following -------------------------------------------------------------------------------------------------

  private ask(id: number): void {
    const waiting = this.waiting.get(id)
    if (waiting === undefined || this.leader === undefined || this.leader === this.platform.id || waiting.asked) return
    waiting.asked = true
    const { method, args } = waiting
    this.post({ kind: "ask", to: this.leader, from: this.platform.id, id, method, args })
  }

  private failWaiting(fault: api.Fault): void {
    for (const [id, { reject }] of this.waiting) {
      this.waiting.delete(id)
      reject(fault)
    }
  }

  private async received(message: Message): Promise<void> {
    const me = this.platform.id
    switch (message.kind) {
      case "who":
        if (this.led === undefined) return
        this.post({ kind: "leader", id: me })
        for (const event of await this.led.greet()) this.post({ kind: "news", to: message.from, event })
        return
      case "leader":
        return this.follow(message.id)
      case "news":
        if (this.starting !== undefined || (message.to !== null && message.to !== me)) return
        this.noteCall(message.event)
        return this.emit(message.event)
      case "ask":
        if (message.to === me) await this.answer(message)
        return
      case "told":
      case "refused":
        if (message.to === me) this.settle(message)
        return
    }
  }

  private follow(leader: string): void {
    if (this.starting !== undefined) return
    const isNew = this.leader !== leader
    this.leader = leader
    for (const [id, waiting] of this.waiting) {
      if (isNew && waiting.asked) {
        if (!HARMLESS.has(waiting.method)) {
          this.waiting.delete(id)
          waiting.reject(new EngineError("elsewhere", "Another tab has taken over.", "Look whether it was done, then try again."))
          continue
        }
        waiting.asked = false
      }
      this.ask(id)
    }
  }

  private noteCall(event: api.EngineEvent): void {
    if (event.kind !== "call") return
    const { id, phase } = event.call
    if (phase === "ended" && this.busyElsewhere === id) this.busyElsewhere = undefined
    else if (phase !== "ended" && phase !== "ringing_here") this.busyElsewhere = id
  }

  private async answer({ from, id, method, args }: Message & { kind: "ask" }): Promise<void> {
    try {
      if (this.starting === undefined) throw new EngineError("elsewhere", "Another tab has taken over.", "Try again.")
      const value = await (await this.starting).call(method, args)
      this.post({ kind: "told", to: from, id, value })
    } catch (error) {
      this.post({ kind: "refused", to: from, id, fault: isFault(error) ? error : faultOf(error) })
    }
  }

  private settle(message: Message & { kind: "told" | "refused" }): void {
    const waiting = this.waiting.get(message.id)
    this.waiting.delete(message.id)
    if (message.kind === "told") waiting?.resolve(message.value)
    else waiting?.reject(message.fault)
  }

  private post(message: Message): void {
    this.platform.channel.postMessage(message)
  }
}
