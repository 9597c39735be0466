// One WebSocket to one server that stays up: requests, subscriptions and signals over it.
//
// All protocol rules are in core/protocol/session; here are only the socket, the promises and the re-connecting.
import { equalBytes, toHex } from "../core/bytes.js"
import * as frames from "../core/protocol/frames.js"
import { MESSAGE_BYTES_MAX } from "../core/protocol/limits.js"
import { ProtocolError } from "../core/protocol/errors.js"
import { type Event, Session } from "../core/protocol/session.js"
import { fromBytes } from "./buffers.js"
import { Refused, Unreachable } from "./errors.js"
import { Pulse, Stopped } from "./sync.js"

/** Below the 10 s after which some content networks cut an idle stream. */
export const HEARTBEAT_MS = 8_000
const CONNECT_TIMEOUT_MS = 15_000
/** The browser opens one connection to a host at a time: one that hangs holds up a call's others. */
export const CONNECT_TIMEOUT_MS_IN_CALL = 4_000
const REQUEST_TIMEOUT_MS = 30_000
const BACK_OFF_MS = [200, 500, 1_000, 2_000, 5_000, 10_000] as const
/** The longest of these while a call uses the connection: it would miss a lane, and the end of the call its word. */
const BACK_OFF_MS_IN_CALL = 1_000
/** A signal is dropped rather than queued when more than this waits in front of it. */
const UNSENT_BYTES_MAX = 2_048
/** What a server may send before we have dealt with it; beyond that the connection is cut and resumed later. */
const BACKLOG_BYTES_MAX = 64 * 1024 * 1024

export type Opened = frames.Opened
export type Record = frames.Record

/** A stream that is opened again after every reconnect; `capability` is asked each time, so that it is the newest. */
export interface Subscription {
  readonly stream: frames.StreamId
  capability(): Promise<readonly [frames.Token | null, number]>
  onRecords(records: readonly frames.Record[]): void
  onSignal(body: Uint8Array): void
  /** Opened, refused, or lost. */
  onChange(): void
  opened: Opened | undefined
  refused: Refused | undefined
}

/** A call that uses this connection as one of its lanes (docs/spec/lanes.md). */
export interface MessageLane {
  /** The call's stream has been opened on this connection, for the first time or again. */
  mainOpened(): void
  /** The connection ended, or is none of the call's lanes. */
  mainLost(): void
  /** A frame of the call's. */
  mainReceived(frame: frames.Joined | frames.Carried | frames.Acked): void
}

interface Waiting {
  resolve(frame: unknown): void
  reject(error: Error): void
  timer: ReturnType<typeof setTimeout>
}

export class Connection {
  private socket: WebSocket | undefined
  private session = new Session()
  private readonly waiting = new Map<number, Waiting>()
  private readonly subscriptions = new Map<string, Subscription>()
  private readonly stopping = new AbortController()
  private call: { readonly stream: frames.StreamId; readonly lane: MessageLane } | undefined
  private joining = 0
  private giveUp: (why: Error) => void = () => undefined
  private backlogBytes = 0
  private readonly drained = new Pulse()
  private readonly nudged = new Pulse()
  readonly changed = new Pulse()
  isConnected = false
  downReason = "not connected yet"
  /** Grows with every connection lost. */
  generation = 0
  clockOffsetMs = 0

  constructor(
    readonly origin: string,
    private readonly onState: (connection: Connection) => void,
  ) {}

  start(): void {
    void this.run().catch(() => undefined)
  }

  stop(): void {
    this.stopping.abort()
    this.socket?.close()
    this.drop()
  }

  /** The network is said to be back: do not wait out the pause. */
  retryNow(): void {
    this.nudged.beat()
  }

  async create(stream: frames.StreamId, kind: frames.StreamKind, tokenHash: frames.TokenHash): Promise<void> {
    await this.ask(() => this.session.create(stream, kind, tokenHash))
  }

  /**
   * The first seq, once the records are on the server's disk.
   *
   * Throws Refused when nothing was appended, Unreachable when that is unknown: then ask the log.
   */
  async append(
    stream: frames.StreamId,
    records: readonly Uint8Array[],
    commit?: { readonly epoch: number; readonly nextTokenHash: frames.TokenHash },
  ): Promise<void> {
    await this.ask(() => this.session.append(stream, records, commit?.epoch, commit?.nextTokenHash))
  }

  /** Leaves one record in somebody's inbox, without a capability. */
  async deposit(inbox: frames.StreamId, record: Uint8Array): Promise<void> {
    if (!this.session.isOpen(inbox)) await this.ask(() => this.session.open(inbox, null, 0))
    await this.append(inbox, [record])
    if (!this.subscriptions.has(toHex(inbox)) && this.session.isOpen(inbox)) {
      await this.ask(() => this.session.close(inbox))
    }
  }

  /** Sends a signal now or not at all; false when it was dropped. */
  signal(stream: frames.StreamId, body: Uint8Array): boolean {
    const { socket } = this
    if (socket?.readyState !== WebSocket.OPEN || !this.isConnected || !this.session.isOpen(stream)) return false
    if (socket.bufferedAmount > UNSENT_BYTES_MAX) return false
    socket.send(fromBytes(this.session.signal(stream, body)))
    return true
  }

  // -- a call ----------------------------------------------------------------------------------------------------

  /** Be a lane of the call in `stream`, from each time on that the stream is open here. */
  attach(stream: frames.StreamId, lane: MessageLane): void {
    this.call = { stream, lane }
    if (this.session.isOpen(stream)) lane.mainOpened()
  }

  /** The call is over. */
  detach(lane: MessageLane): void {
    if (this.call?.lane === lane) this.call = undefined
  }

  /** Ask to be a lane; what is written next follows at once, for the server acts in order. */
  join(bundle: frames.BundleId, stream: frames.StreamId): void {
    const [request, message] = this.session.join(bundle, stream)
    this.joining = request
    this.socket?.send(fromBytes(message))
  }

  /** A lane's frame. */
  write(frame: frames.ClientFrame): void {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(fromBytes(frames.encode(frame)))
  }

  /** What waits in front of the next message, as far as the browser tells. */
  get unsentBytes(): number {
    return this.socket?.bufferedAmount ?? 0
  }

  /** Give this connection up and make a new one: nothing comes through it any more. */
  end(): void {
    this.giveUp(new Unreachable("The connection was lost."))
  }

  // -- subscriptions ---------------------------------------------------------------------------------------------

  async subscribe(subscription: Subscription): Promise<void> {
    this.subscriptions.set(toHex(subscription.stream), subscription)
    if (this.isConnected) await this.open(subscription)
  }

  /** Shows the newest capability of a subscribed stream. */
  async reopen(stream: frames.StreamId): Promise<void> {
    const subscription = this.subscriptions.get(toHex(stream))
    if (subscription !== undefined && this.isConnected) await this.open(subscription)
  }

  unsubscribe(stream: frames.StreamId): void {
    this.subscriptions.delete(toHex(stream))
    if (this.session.isOpen(stream)) this.ask(() => this.session.close(stream)).catch(() => undefined)
  }

  isOpen(stream: frames.StreamId): boolean {
    return this.session.isOpen(stream)
  }

  /** A consumer has dealt with records of so many bytes. */
  consumed(bytes: number): void {
    this.backlogBytes -= bytes
    this.drained.beat()
  }

  /** Waits until connected. */
  async connected(signal: AbortSignal, timeoutMs?: number): Promise<void> {
    const until = timeoutMs === undefined ? Infinity : performance.now() + timeoutMs
    while (!this.isConnected) {
      const left = until - performance.now()
      if (left <= 0) throw new Unreachable(`The server ${this.origin} cannot be reached.`)
      await this.changed.next(signal, left === Infinity ? undefined : left)
    }
  }

  // -- the socket ------------------------------------------------------------------------------------------------

  private async run(): Promise<void> {
    const { signal } = this.stopping
    for (let failures = 0; !signal.aborted; failures++) {
      const began = performance.now()
      try {
        await this.connectOnce()
      } catch (error) {
        if (error instanceof Stopped) return
        this.downReason = error instanceof ProtocolError ? "The server broke the protocol." : String((error as Error).message)
      } finally {
        this.drop()
      }
      if (performance.now() - began > 20_000) failures = 0
      const pauseMs = BACK_OFF_MS[Math.min(failures, BACK_OFF_MS.length - 1)] ?? 10_000
      const longestMs = this.call === undefined ? Infinity : BACK_OFF_MS_IN_CALL
      await this.nudged.next(signal, Math.min(pauseMs, longestMs) * (0.5 + Math.random()))
      while (this.backlogBytes > BACKLOG_BYTES_MAX / 2) await this.drained.next(signal)
    }
  }

  private connectOnce(): Promise<never> {
    this.session = new Session()
    return new Promise((_resolve, reject) => {
      const socket = new WebSocket(socketUrl(this.origin))
      socket.binaryType = "arraybuffer"
      this.socket = socket
      const fail = (error: Error): void => {
        clearInterval(heart)
        clearTimeout(hello)
        socket.onmessage = socket.onclose = socket.onerror = null
        socket.close()
        reject(error)
      }
      this.giveUp = fail
      const patienceMs = this.call === undefined ? CONNECT_TIMEOUT_MS : CONNECT_TIMEOUT_MS_IN_CALL
      const hello = setTimeout(() => fail(new Unreachable("The server does not answer.")), patienceMs)
      const heart = setInterval(() => void this.beat().catch(fail), HEARTBEAT_MS)
      socket.onopen = () => socket.send(fromBytes(this.session.hello()))
      socket.onerror = () => fail(new Unreachable("The server cannot be reached."))
      socket.onclose = () => fail(new Unreachable(this.isConnected ? "The connection was lost." : "The server cannot be reached."))
      socket.onmessage = (message) => {
        try {
          const data: unknown = message.data
          if (!(data instanceof ArrayBuffer)) throw new Unreachable("The server sent something that is not a frame.")
          if (data.byteLength > MESSAGE_BYTES_MAX) throw new Unreachable("The server sent more than it may.")
          this.dispatch(this.session.receive(new Uint8Array(data)), hello)
        } catch (error) {
          fail(error as Error)
        }
      }
    })
  }

  private async beat(): Promise<void> {
    if (!this.isConnected) return
    await this.ask(() => this.session.ping(), HEARTBEAT_MS)
  }

  private dispatch(event: Event | null | undefined, hello: ReturnType<typeof setTimeout>): void {
    switch (event?.kind) {
      case "ready":
        clearTimeout(hello)
        this.clockOffsetMs = event.serverTimeMs - Date.now()
        this.isConnected = true
        this.changed.beat()
        this.onState(this)
        void this.openAll()
        return
      case "records": {
        this.backlogBytes += bytesOf(event.records)
        if (this.backlogBytes > BACKLOG_BYTES_MAX) throw new Unreachable("More came than can be dealt with at once.")
        const subscription = this.subscriptions.get(toHex(event.stream))
        if (subscription === undefined) this.backlogBytes -= bytesOf(event.records)
        return subscription?.onRecords(event.records)
      }
      case "signal":
        return this.subscriptions.get(toHex(event.stream))?.onSignal(event.body)
      case "lane":
        return this.call?.lane.mainReceived(event.frame)
      case "answered":
        if (event.frame.type === "Joined") return this.call?.lane.mainReceived(event.frame)
        return this.settle(event.request, (waiting) => waiting.resolve(event.frame))
      case "refused": {
        if (event.request === this.joining) return this.call?.lane.mainLost()
        const { code, message, retryAfterMs, detail } = event.error
        return this.settle(event.request, (waiting) => waiting.reject(new Refused(code, message, retryAfterMs, Number(detail))))
      }
      case "connection_refused":
        // A call's frame or a signal that came too fast, or between a commit and our opening of the new epoch: it is lost.
        if (this.isConnected) return
        throw new Unreachable(`The server said: ${event.error.message}`)
    }
  }

  private settle(request: number, how: (waiting: Waiting) => void): void {
    const waiting = this.waiting.get(request)
    this.waiting.delete(request)
    if (waiting === undefined) return
    clearTimeout(waiting.timer)
    how(waiting)
  }

  private ask(make: () => frames.Request, timeoutMs = REQUEST_TIMEOUT_MS): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const { socket } = this
      if (!this.isConnected || socket === undefined) return reject(new Unreachable(`The server cannot be reached: ${this.downReason}`))
      let request: number
      let message: Uint8Array
      try {
        ;[request, message] = make()
      } catch (error) {
        return reject(error instanceof ProtocolError ? new Refused(error.code, error.message) : error)
      }
      const timer = setTimeout(() => {
        this.waiting.delete(request)
        reject(new Unreachable("The server does not answer."))
      }, timeoutMs)
      this.waiting.set(request, { resolve, reject, timer })
      socket.send(fromBytes(message))
    })
  }

  private async openAll(): Promise<void> {
    const { generation } = this
    for (const subscription of [...this.subscriptions.values()]) {
      if (this.generation !== generation) return
      await this.open(subscription).catch(() => undefined)
    }
  }

  private async open(subscription: Subscription): Promise<void> {
    const [token, fromSeq] = await subscription.capability()
    try {
      subscription.opened = (await this.ask(() => this.session.open(subscription.stream, token, fromSeq))) as Opened
      subscription.refused = undefined
      if (this.call !== undefined && equalBytes(this.call.stream, subscription.stream)) this.call.lane.mainOpened()
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      subscription.refused = error
    }
    subscription.onChange()
  }

  private drop(): void {
    const wasConnected = this.isConnected
    this.isConnected = false
    this.generation++
    this.session = new Session()
    this.socket = undefined
    this.joining = 0
    this.giveUp = () => undefined
    this.call?.lane.mainLost()
    for (const request of [...this.waiting.keys()]) {
      this.settle(request, (waiting) => waiting.reject(new Unreachable(this.downReason)))
    }
    for (const subscription of this.subscriptions.values()) {
      subscription.opened = undefined
      subscription.onChange()
    }
    this.changed.beat()
    if (wasConnected || this.generation < 3) this.onState(this)
  }
}

/** Where a server's frames are exchanged. */
export const socketUrl = (origin: string): string => `${origin.replace(/^http/, "ws")}/v1/connect`

export const bytesOf = (records: readonly frames.Record[]): number =>
  records.reduce((sum, record) => sum + record.body.length, 0)

