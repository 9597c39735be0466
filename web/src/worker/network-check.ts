// What a network does to connections with one's own server, asked without a call (docs/spec/verdicts.md section 4).
import { Session } from "../core/protocol/session.js"
import { UNDISTURBED, Watch } from "../core/protocol/verdicts.js"
import { WARM_UP_MS } from "../core/protocol/verdicts-table.js"
import type { CheckStep, NetworkCheckView } from "./api.js"
import { fromBytes } from "./buffers.js"
import { socketUrl } from "./connection.js"
import { viewOfVerdict } from "./way.js"

const PINGS = 12
const LANES = 4
const LANE_GAP_MS = 1_000
const BYTES = 65_536
const PAUSE_S = 12
const SILENT_MS = 5_000

class Gone extends Error {}

/** A connection that does nothing but answer PINGs. */
class Probe {
  private readonly session = new Session()
  private readonly socket: WebSocket
  private answered: () => void = () => undefined
  private failed: (why: Error) => void = () => undefined
  isOpen = false

  constructor(origin: string) {
    this.socket = new WebSocket(socketUrl(origin))
    this.socket.binaryType = "arraybuffer"
    this.socket.onopen = () => this.socket.send(fromBytes(this.session.hello()))
    this.socket.onclose = () => {
      this.isOpen = false
      this.failed(new Gone())
    }
    this.socket.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
      const event = this.session.receive(new Uint8Array(data))
      if (event?.kind === "ready") this.isOpen = true
      if (event?.kind === "ready" || event?.kind === "answered") this.answered()
    }
  }

  /** Resolves at WELCOME. */
  opened(): Promise<number> {
    return this.wait(() => undefined)
  }

  /** Milliseconds from PING to PONG; rejects with `Gone`. */
  ping(): Promise<number> {
    return this.wait(() => this.socket.send(fromBytes(this.session.ping()[1])))
  }

  close(): void {
    this.socket.onclose = this.socket.onmessage = this.socket.onopen = null
    this.socket.close()
  }

  private async wait(act: () => void): Promise<number> {
    const began = performance.now()
    let timer: ReturnType<typeof setTimeout> | undefined
    try {
      await new Promise<void>((resolve, reject) => {
        ;[this.answered, this.failed] = [resolve, reject]
        timer = setTimeout(() => reject(new Gone()), SILENT_MS)
        act()
      })
    } finally {
      clearTimeout(timer)
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
    this.total = 1 + PINGS + LANES + 2 + (withPause ? PAUSE_S : 0)
    const names = ["connection", "lanes", "bytes", "idle"] as const
    this.steps = names.map((name) => ({ name, state: name === "idle" && !withPause ? "left_out" : "waiting", values: {} }))
  }

  /** Ends when all is measured, or soon after `stop`. */
  async run(): Promise<void> {
    try {
      if (await this.step("connection", () => this.connection())) {
        await this.step("lanes", () => this.lanes())
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
    const verdicts = watch.verdicts(WARM_UP_MS).map(viewOfVerdict)
    this.tell({ running, done: running ? this.done : this.total, total: this.total, steps: this.steps, verdicts })
  }

  private async open(): Promise<Probe> {
    if (this.stopping.signal.aborted) throw new Gone()
    const probe = new Probe(this.origin)
    this.probes.push(probe)
    await probe.opened()
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
    const answers = await Promise.allSettled(this.probes.map((probe) => (probe.isOpen ? probe.ping() : Promise.reject(new Gone()))))
    const live = answers.filter(({ status }) => status === "fulfilled").length
    if (live < this.probes.length) this.sample = { ...this.sample, lanesMax: Math.max(1, live) }
    return { opened: this.probes.length, live }
  }

  private async bytes(): Promise<Record<string, number>> {
    const first = await this.download()
    this.progress()
    const second = first < BYTES ? await this.download() : first
    this.progress()
    if (first === 0 || second === 0) throw new Gone()
    const freezes = first < BYTES && second < BYTES
    if (freezes) this.sample = { ...this.sample, freezeBytes: Math.min(first, second) }
    return { bytes: freezes ? Math.min(first, second) : BYTES, frozen: freezes ? 1 : 0 }
  }

  /** How many bytes came before it was whole or fell silent. */
  private async download(): Promise<number> {
    if (this.stopping.signal.aborted) throw new Gone()
    const over = new AbortController()
    const signal = AbortSignal.any([over.signal, this.stopping.signal])
    let timer: ReturnType<typeof setTimeout> | undefined
    const patience = (): void => {
      clearTimeout(timer)
      timer = setTimeout(() => over.abort(), SILENT_MS)
    }
    let received = 0
    try {
      patience()
      const response = await fetch(`${this.origin}/v1/check?bytes=${BYTES}`, { cache: "no-store", credentials: "omit", signal })
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
