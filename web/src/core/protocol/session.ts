// The client's half of one connection as a pure machine: bytes in, answers and stream events out.
//
// It pairs answers with requests, keeps the handle of each stream, and refuses what a hostile or broken server may
// send: answers to nothing, handles never opened, records out of order. After any ProtocolError of `receive` the
// connection is unusable.
import { toHex } from "../bytes.js"
import { ErrorCode, ProtocolError } from "./errors.js"
import {
  type Acked,
  type Appended,
  type BundleId,
  type Carried,
  type Closed,
  type Created,
  decodeServer,
  encode,
  type ErrorFrame,
  type Joined,
  type Opened,
  type Pong,
  type Record,
  type Records,
  type Request,
  type ServerFrame,
  type StreamId,
  type StreamKind,
  type Token,
  type TokenHash,
  type Welcome,
} from "./frames.js"
import { REQUESTS_IN_FLIGHT_MAX, VERSION_MAX, VERSION_MIN } from "./limits.js"

type Answer = Created | Opened | Closed | Appended | Pong | Joined

export type Event =
  /** The request succeeded with this frame. */
  | { readonly kind: "answered"; readonly request: number; readonly frame: Answer }
  /** The request changed nothing on the server. */
  | { readonly kind: "refused"; readonly request: number; readonly error: ErrorFrame }
  /** An error that belongs to no request. */
  | { readonly kind: "connection_refused"; readonly error: ErrorFrame }
  /** The version is agreed; requests may be sent. */
  | { readonly kind: "ready"; readonly version: number; readonly serverTimeMs: number }
  /** Records of one stream, consecutive. */
  | { readonly kind: "records"; readonly stream: StreamId; readonly records: readonly Record[] }
  /** A signal of one stream. */
  | { readonly kind: "signal"; readonly stream: StreamId; readonly body: Uint8Array }
  /** A call's frame, or the answer to one. */
  | { readonly kind: "lane"; readonly frame: Carried | Acked }

interface Pending {
  readonly answer: Answer["type"]
  readonly stream?: StreamId
  readonly fromSeq?: number
}

interface Stream {
  readonly handle: number
  readonly fromSeq: number
  /** Seq the next record must have; null until the first one, since older records may have expired. */
  nextSeq: number | null
}

/** State of one connection. Every method that makes a request returns its number and the message to send. */
export class Session {
  private nextRequest = 1
  private readonly pending = new Map<number, Pending>()
  private readonly streams = new Map<string, Stream>()
  private readonly byHandle = new Map<number, StreamId>()
  private isReady = false

  get ready(): boolean {
    return this.isReady
  }

  /** The first message. */
  hello(): Uint8Array {
    return encode({ type: "Hello", versionMin: VERSION_MIN, versionMax: VERSION_MAX })
  }

  /** Ask for a new stream. */
  create(stream: StreamId, kind: StreamKind, tokenHash: TokenHash): Request {
    const request = this.request({ answer: "Created" })
    return [request, encode({ type: "Create", request, stream, kind, tokenHash })]
  }

  /** Show a capability (null: deposit only) and subscribe from `fromSeq`. */
  open(stream: StreamId, token: Token | null, fromSeq: number): Request {
    const request = this.request({ answer: "Opened", stream, fromSeq })
    return [request, encode({ type: "Open", request, stream, token: token ?? new Uint8Array(0), fromSeq })]
  }

  /** Unsubscribe. Records still under way are dropped. */
  close(stream: StreamId): Request {
    const handle = this.handle(stream)
    const request = this.request({ answer: "Closed" })
    this.streams.delete(toHex(stream))
    return [request, encode({ type: "Close", request, handle })]
  }

  /** Append records, or one commit that moves the stream to the next epoch. */
  append(stream: StreamId, records: readonly Uint8Array[], commitEpoch?: number | null, nextTokenHash?: TokenHash | null): Request {
    const handle = this.handle(stream)
    const request = this.request({ answer: "Appended" })
    const commit = { commitEpoch: commitEpoch ?? null, nextTokenHash: nextTokenHash ?? new Uint8Array(0) }
    return [request, encode({ type: "Append", handle, request, records, ...commit })]
  }

  /** A signal's message; there is no answer. */
  signal(stream: StreamId, body: Uint8Array): Uint8Array {
    return encode({ type: "Signal", handle: this.handle(stream), body })
  }

  /** Make this connection a lane; `stream` is what the bundle speaks for, null where another lane showed it. */
  join(bundle: BundleId, stream: StreamId | null): Request {
    const handle = stream === null ? 0 : this.handle(stream)
    const request = this.request({ answer: "Joined" })
    return [request, encode({ type: "Join", request, bundle, handle })]
  }

  /** Ask for the server's clock. */
  ping(): Request {
    const request = this.request({ answer: "Pong" })
    return [request, encode({ type: "Ping", request })]
  }

  /** Whether the stream has a handle on this connection. */
  isOpen(stream: StreamId): boolean {
    return this.streams.has(toHex(stream))
  }

  /** Take one message; null when it is of no interest any more. Raises ProtocolError: the server broke the protocol. */
  receive(message: Uint8Array): Event | null {
    const frame: ServerFrame = decodeServer(message)
    switch (frame.type) {
      case "Welcome":
        return this.welcome(frame)
      case "Records":
        return this.records(frame)
      case "Signalled": {
        const stream = this.streamOf(frame.handle)
        return this.isOpen(stream) ? { kind: "signal", stream, body: frame.body } : null
      }
      case "Carried":
      case "Acked":
        return { kind: "lane", frame }
      case "Error":
        return this.error(frame)
      default:
        return this.answer(frame)
    }
  }

  private request(pending: Pending): number {
    if (this.pending.size >= REQUESTS_IN_FLIGHT_MAX) throw new ProtocolError(ErrorCode.TOO_MANY, "too many requests in flight")
    const request = this.nextRequest
    this.nextRequest = (request % 0xffff_ffff) + 1
    this.pending.set(request, pending)
    return request
  }

  private handle(stream: StreamId): number {
    const known = this.streams.get(toHex(stream))
    if (known === undefined) throw new ProtocolError(ErrorCode.BAD_HANDLE, "the stream is not open on this connection")
    return known.handle
  }

  private streamOf(handle: number): StreamId {
    const stream = this.byHandle.get(handle)
    if (stream === undefined) throw new ProtocolError(ErrorCode.BAD_HANDLE, `the server used handle ${handle}, which is not open`)
    return stream
  }

  private welcome({ version, timeMs }: Welcome): Event {
    if (this.isReady || version < VERSION_MIN || version > VERSION_MAX) {
      throw new ProtocolError(ErrorCode.UNSUPPORTED_VERSION, `the server chose version ${version}`)
    }
    this.isReady = true
    return { kind: "ready", version, serverTimeMs: timeMs }
  }

  private records({ handle, records }: Records): Event | null {
    const stream = this.streamOf(handle)
    const state = this.streams.get(toHex(stream))
    if (state === undefined) return null
    for (const { seq } of records) {
      const inOrder = state.nextSeq === null ? seq >= state.fromSeq : seq === state.nextSeq
      if (!inOrder) throw new ProtocolError(ErrorCode.BAD_FRAME, `record ${seq} is out of order`)
      state.nextSeq = seq + 1
    }
    return records.length > 0 ? { kind: "records", stream, records } : null
  }

  private error(error: ErrorFrame): Event {
    const { request } = error
    if (request === 0) return { kind: "connection_refused", error }
    if (!this.pending.delete(request)) {
      throw new ProtocolError(ErrorCode.BAD_FRAME, `an error for request ${request}, which was never made`)
    }
    return { kind: "refused", request, error }
  }

  private answer(frame: Answer): Event {
    const { request } = frame
    const pending = this.pending.get(request)
    this.pending.delete(request)
    if (pending?.answer !== frame.type) {
      throw new ProtocolError(ErrorCode.BAD_FRAME, `an answer to request ${request}, which was never made`)
    }
    if (frame.type === "Opened" && pending.stream !== undefined) this.opened(frame.handle, pending.stream, pending.fromSeq ?? 0)
    return { kind: "answered", request, frame }
  }

  private opened(handle: number, stream: StreamId, fromSeq: number): void {
    const name = toHex(stream)
    const known = this.streams.get(name)
    if (known !== undefined && known.handle !== handle) {
      throw new ProtocolError(ErrorCode.BAD_FRAME, "the server changed the handle of an open stream")
    }
    const holder = this.byHandle.get(handle)
    if (holder !== undefined && toHex(holder) !== name) {
      throw new ProtocolError(ErrorCode.BAD_FRAME, "the server gave one handle to two streams")
    }
    if (known === undefined) this.streams.set(name, { handle, fromSeq, nextSeq: null })
    this.byHandle.set(handle, stream)
  }
}
