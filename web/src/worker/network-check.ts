// What a network does to connections with one's own server, asked without a call (docs/spec/verdicts.md section 4).
import { Level } from "../core/protocol/lane-control.js"
import { QUEUEING_MS } from "../core/protocol/lane-control-constants.js"
import { REQUESTS_IN_FLIGHT_MAX } from "../core/protocol/limits.js"
import { Rhythm } from "../core/protocol/rhythm.js"
import { Session } from "../core/protocol/session.js"
import { UNDISTURBED, Verdict, Watch } from "../core/protocol/verdicts.js"
import { WARM_UP_MS } from "../core/protocol/verdicts-table.js"
import type { CheckStep, NetworkCheckView } from "./api.js"
import { fromBytes } from "./buffers.js"
import { socketUrl } from "./connection.js"
import { viewOfVerdict } from "./way.js"

const PINGS = 12
const LANES = 4
const LANE_GAP_MS = 1_000
/** With its answer a PING takes some 100 bytes each way: in this rhythm about what two copies of a call's sound do. */
const RHYTHM_MS = 12
const RHYTHM_S = 4
/** What was sent last may take so long, and is late then. */
const RHYTHM_END_MS = 1_000
const BYTES = 65_536
/** So many that break off tell of a rule. */
const DOWNLOADS = 2
/** Connections that browsers keep for one server. */
const KEPT_MAX = 6
const KEPT_MS_MAX = 2_000
const PAUSE_S = 12
const SILENT_MS = 5_000
const SILENT_MS_NARROW = 15_000

class Gone extends Error {}

/** A connection that does nothing but answer PINGs. */
class Probe {
  private readonly session = new Session()
  private readonly socket: WebSocket
  /** Who waits for what: WELCOME is 0, a PONG its request. */
  private readonly waiting = new Map<number, { answered(): void; failed(why: Error): void }>()
  isOpen = false

  constructor(origin: string) {
    this.socket = new WebSocket(socketUrl(origin))
    this.socket.binaryType = "arraybuffer"
    this.socket.onopen = () => this.socket.send(fromBytes(this.session.hello()))
    this.socket.onclose = () => this.gone()
    this.socket.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
      const event = this.session.receive(new Uint8Array(data))
      if (event?.kind === "ready") this.isOpen = true
      if (event?.kind === "ready") this.waiting.get(0)?.answered()
      else if (event?.kind === "answered") this.waiting.get(event.request)?.answered()
    }
  }

  /** Whether another PING may leave. */
  get isReady(): boolean {
    return this.isOpen && this.waiting.size < REQUESTS_IN_FLIGHT_MAX
  }

  /** Resolves at WELCOME; rejects with `Gone`. */
  opened(silentMs: number): Promise<number> {
    return this.answerTo(0, silentMs)
  }

  /** Milliseconds from PING to PONG; rejects with `Gone`. */
  ping(): Promise<number> {
    if (!this.isOpen) return Promise.reject(new Gone())
    const [request, message] = this.session.ping()
    this.socket.send(fromBytes(message))
    return this.answerTo(request)
  }

  close(): void {
    this.socket.onclose = this.socket.onmessage = this.socket.onopen = null
    this.socket.close()
    this.gone()
  }

  private gone(): void {
    this.isOpen = false
    for (const { failed } of this.waiting.values()) failed(new Gone())
  }

  private async answerTo(request: number, silentMs = SILENT_MS): Promise<number> {
    const began = performance.now()
    let timer: ReturnType<typeof setTimeout> | undefined
    try {
      await new Promise<void>((answered, failed) => {
        this.waiting.set(request, { answered, failed })
        timer = setTimeout(() => failed(new Gone()), silentMs)
      })
    } finally {
      clearTimeout(timer)
      this.waiting.delete(request)
    }
    return performance.now() - began
  }
}

const quantile = (sorted: readonly number[], share: number): number => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)

/** One check. `tell` is called at every step. */
export class NetworkCheck {
  private readonly stopping = new AbortController()
  private readonly probes: Probe[] = []
  private steps: readonly CheckStep[]
  private done = 0
  private readonly total: number
  private sample = UNDISTURBED

  constructor(
    private readonly origin: string,
    private readonly withPause: boolean,
    private readonly tell: (view: NetworkCheckView) => void,
  ) {
    this.total = 1 + PINGS + LANES + RHYTHM_S + DOWNLOADS + (withPause ? PAUSE_S : 0)
    const names = ["connection", "lanes", "rhythm", "bytes", "idle"] as const
    this.steps = names.map((name) => ({ name, state: name === "idle" && !withPause ? "left_out" : "waiting", values: {} }))
  }

  /** Ends when all is measured, or soon after `stop`. */
  async run(): Promise<void> {
    try {
      if (await this.step("connection", () => this.connection())) {
        await this.step("lanes", () => this.lanes())
        await this.step("rhythm", () => this.rhythm())
        await this.step("bytes", () => this.bytes())
        if (this.withPause) await this.step("idle", () => this.idle())
      } else {
        this.sample = { ...this.sample, isSilent: true }
      }
    } finally {
      for (const probe of this.probes) probe.close()
      this.say(false)
    }
  }

  stop(): void {
    this.stopping.abort()
    for (const probe of this.probes) probe.close()
  }

  private async step(name: CheckStep["name"], work: () => Promise<Record<string, number>>): Promise<boolean> {
    const { signal } = this.stopping
    if (signal.aborted) return true
    this.note(name, { state: "running" })
    try {
      const stopped = new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(new Gone()), { once: true }))
      this.note(name, { state: "done", values: await Promise.race([work(), stopped]) })
      return true
    } catch (error) {
      if (!(error instanceof Gone)) throw error
      this.note(name, { state: signal.aborted ? "left_out" : "failed" })
      return signal.aborted
    }
  }

  private note(name: CheckStep["name"], some: Partial<CheckStep>): void {
    this.steps = this.steps.map((step) => (step.name === name ? { ...step, ...some } : step))
    this.say(true)
  }

  private progress(): void {
    this.done++
    this.say(true)
  }

  private say(running: boolean): void {
    const watch = new Watch(0)
    const isWhole = !running && !this.stopping.signal.aborted
    if (isWhole) watch.note(this.sample, WARM_UP_MS)
    const found = watch.verdicts(WARM_UP_MS)
    // What could not be measured is not clear.
    const isMissing = this.steps.some(({ state }) => state === "failed")
    const verdicts = (isMissing ? found.filter((verdict) => verdict !== Verdict.CLEAR) : found).map(viewOfVerdict)
    this.tell({ running, done: running ? this.done : this.total, total: this.total, steps: this.steps, verdicts })
  }

  private async open(): Promise<Probe> {
    if (this.stopping.signal.aborted) throw new Gone()
    const probe = new Probe(this.origin)
    this.probes.push(probe)
    await probe.opened(this.patienceMs)
    return probe
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms))
  }

  private async connection(): Promise<Record<string, number>> {
    const began = performance.now()
    const probe = await this.open()
    const openMs = Math.round(performance.now() - began)
    this.progress()
    const times: number[] = []
    while (times.length < PINGS) {
      times.push(await probe.ping())
      this.progress()
    }
    times.sort((a, b) => a - b)
    const [p50Ms, p95Ms] = [quantile(times, 0.5), quantile(times, 0.95)]
    this.sample = { ...this.sample, roundTripMs: p50Ms }
    return { openMs, p50Ms, p95Ms }
  }

  private async lanes(): Promise<Record<string, number>> {
    this.progress() // the connection that is there
    for (let count = 1; count < LANES; count++) {
      await this.pause(LANE_GAP_MS)
      await this.open().catch(() => undefined)
      this.progress()
    }
    const answers = await Promise.allSettled(this.probes.map((probe) => probe.ping()))
    const live = answers.filter(({ status }) => status === "fulfilled").length
    if (live < this.probes.length) this.sample = { ...this.sample, lanesMax: Math.max(1, live) }
    return { opened: this.probes.length, live }
  }

  /** As much as a call sends, over all connections in turn: what a single PING does not meet. */
  private async rhythm(): Promise<Record<string, number>> {
    const live = this.probes.filter(({ isOpen }) => isOpen)
    if (live.length === 0) throw new Gone()
    const rhythm = new Rhythm()
    const began = performance.now()
    let [told, answers] = [0, 0]
    for (let turn = 0; performance.now() - began < RHYTHM_S * 1_000; turn++) {
      const connection = turn % live.length
      const probe = live[connection]!
      if (probe.isReady) {
        const place = rhythm.sent(connection, performance.now())
        probe.ping().then(() => {
          answers++
          rhythm.answered(place, performance.now())
        }, () => undefined)
      }
      await this.pause(RHYTHM_MS)
      if (this.stopping.signal.aborted) throw new Gone()
      if (performance.now() - began >= (told + 1) * 1_000 && told < RHYTHM_S) {
        told++
        this.progress()
      }
    }
    await this.pause(RHYTHM_END_MS)
    if (answers === 0) throw new Gone()
    const { missShare, queueingMs } = rhythm.outcome()
    this.sample = { ...this.sample, missShare, queueingMs, level: queueingMs >= QUEUEING_MS ? Level.LEAN : Level.NORMAL }
    return { latePercent: Math.round(missShare * 100), queueingMs }
  }

  private async bytes(): Promise<Record<string, number>> {
    for (const probe of this.probes) probe.close()
    await this.leaveKept()
    const broken: number[] = []
    while (broken.length < DOWNLOADS) {
      const received = await this.download(BYTES, this.patienceMs)
      this.progress()
      if (received >= BYTES) return { bytes: BYTES, frozen: 0 }
      if (received === 0) throw new Gone()
      broken.push(received)
    }
    this.sample = { ...this.sample, freezeBytes: Math.min(...broken) }
    return { bytes: Math.min(...broken), frozen: 1 }
  }

  /**
   * The connections that the browser has kept from loading the page carried bytes before, and may be frozen already. The
   * server ends each with its answer; one that gives none is left.
   */
  private async leaveKept(): Promise<void> {
    await Promise.all(Array.from({ length: KEPT_MAX }, () => this.download(1, KEPT_MS_MAX)))
  }

  /** After a queue of its own making a network may be silent for longer. */
  private get patienceMs(): number {
    return this.sample.level === Level.LEAN ? SILENT_MS_NARROW : SILENT_MS
  }

  /** How many bytes came before it was whole or fell silent. */
  private async download(bytes: number, silentMs: number): Promise<number> {
    if (this.stopping.signal.aborted) throw new Gone()
    const over = new AbortController()
    const signal = AbortSignal.any([over.signal, this.stopping.signal])
    let timer: ReturnType<typeof setTimeout> | undefined
    const patience = (): void => {
      clearTimeout(timer)
      timer = setTimeout(() => over.abort(), silentMs)
    }
    let received = 0
    try {
      patience()
      const response = await fetch(`${this.origin}/v1/check?bytes=${bytes}`, { cache: "no-store", credentials: "omit", signal })
      const reader = response.ok ? response.body?.getReader() : undefined
      for (let part = await reader?.read(); part?.value !== undefined; part = await reader?.read()) {
        received += part.value.length
        patience()
      }
    } catch {
      // Cut, silent or stopped: what came is the answer.
    } finally {
      clearTimeout(timer)
    }
    return received
  }

  private async idle(): Promise<Record<string, number>> {
    const probe = await this.open()
    for (let second = 0; second < PAUSE_S; second++) {
      await this.pause(1_000)
      this.progress()
    }
    const isCut = await probe.ping().then(() => false, () => true)
    if (isCut) this.sample = { ...this.sample, idleCuts: 1 }
    return { cut: isCut ? 1 : 0 }
  }
}
