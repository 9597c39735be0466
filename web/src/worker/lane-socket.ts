// A WebSocket that is nothing but a lane of a call: joined without a capability, for another lane has shown one.
import { ProtocolError } from "../core/protocol/errors.js"
import { type Acked, type BundleId, type Carried, type ClientFrame, encode, type Joined } from "../core/protocol/frames.js"
import { Session } from "../core/protocol/session.js"
import { fromBytes } from "./buffers.js"
import { CONNECT_TIMEOUT_MS_IN_CALL, HEARTBEAT_MS, socketUrl } from "./connection.js"

/** How a browser names the end of a connection that nobody closed. */
const ABNORMAL_CLOSURE = 1006

export interface LaneEvents {
  /** It is a lane now. */
  joined(frame: Joined): void
  /** A frame, and the bytes it came in. */
  received(frame: Carried | Acked, bytes: number): void
  /** It never was a lane, or is none any more; called once. `isReset`: by the network, not by one of the two ends. */
  ended(isReset: boolean): void
}

export class LaneSocket {
  private readonly socket: WebSocket
  private readonly session = new Session()
  private readonly opening: ReturnType<typeof setTimeout>
  private readonly heart: ReturnType<typeof setInterval>
  private isOver = false
  private isJoined = false
  private isAsked = false

  constructor(
    origin: string,
    bundle: BundleId,
    private readonly events: LaneEvents,
  ) {
    const socket = new WebSocket(socketUrl(origin))
    this.socket = socket
    socket.binaryType = "arraybuffer"
    this.opening = setTimeout(() => this.over(false), CONNECT_TIMEOUT_MS_IN_CALL)
    this.heart = setInterval(() => this.beat(), HEARTBEAT_MS)
    socket.onopen = () => {
      const [, join] = this.session.join(bundle, null)
      for (const message of [this.session.hello(), join]) socket.send(fromBytes(message))
    }
    socket.onclose = ({ code }) => this.over(code === ABNORMAL_CLOSURE)
    socket.onmessage = ({ data }: MessageEvent<unknown>) => {
      try {
        this.receive(data)
      } catch (error) {
        this.over(false)
        if (!(error instanceof ProtocolError)) throw error
      }
    }
  }

  /** What waits in front of the next message, as far as the browser tells. */
  get unsentBytes(): number {
    return this.socket.bufferedAmount
  }

  write(frame: ClientFrame): void {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(fromBytes(encode(frame)))
  }

  end(): void {
    this.over(false)
  }

  private receive(data: unknown): void {
    if (!(data instanceof ArrayBuffer)) return this.over(false)
    const event = this.session.receive(new Uint8Array(data))
    if (event?.kind === "refused") return this.over(false)
    if (event?.kind === "lane" && this.isJoined) return this.events.received(event.frame, data.byteLength)
    if (event?.kind !== "answered") return
    if (event.frame.type === "Pong") this.isAsked = false
    if (event.frame.type !== "Joined") return
    clearTimeout(this.opening)
    this.isJoined = true
    this.events.joined(event.frame)
  }

  /** Keeps an idle lane from being cut, and finds one that is dead. */
  private beat(): void {
    if (!this.isJoined) return
    if (this.isAsked) return this.over(false)
    this.isAsked = true
    this.socket.send(fromBytes(this.session.ping()[1]))
  }

  private over(isReset: boolean): void {
    if (this.isOver) return
    this.isOver = true
    clearTimeout(this.opening)
    clearInterval(this.heart)
    this.socket.onopen = this.socket.onclose = this.socket.onmessage = null
    this.socket.close()
    this.events.ended(isReset)
  }
}
