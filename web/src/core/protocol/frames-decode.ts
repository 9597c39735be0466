// Bytes to frames, with every check on the way. Bodies are copies: nothing keeps the message they came in alive.
import { MsgpackError, type Packed, unpack } from "../msgpack.js"
import { ErrorCode, ProtocolError } from "./errors.js"
import {
  type Append,
  AppendFlag,
  type ClientFrame,
  type ControlFrame,
  type ErrorFrame,
  FrameType,
  type Record,
  type Records,
  type ServerFrame,
  StreamKind,
} from "./frame-types.js"
import { ACK_LEVEL, ACK_NARROW, ACK_SPARING } from "./frames-encode.js"
import type { Level } from "./lane-control-constants.js"
import {
  APPEND_BYTES_MAX,
  APPEND_RECORDS_MAX,
  BUNDLE_ID_BYTES,
  MESSAGE_BYTES_MAX,
  PADDED_SIZES_BYTES,
  SIGNAL_BYTES_MAX,
  STREAM_ID_BYTES,
  TOKEN_BYTES,
  TOKEN_HASH_BYTES,
} from "./limits.js"

const ACK_FLAGS_MAX = 15

/**
 * Parse what a client sent.
 *
 * Raises ProtocolError: `bad_frame`, `unknown_type`, `too_large` or `bad_size`, with the request number (and for an
 * append the handle) where it was readable, so that the answer finds its question.
 */
export function decodeClient(message: Uint8Array): ClientFrame {
  const type = frameType(message)
  if (type === FrameType.APPEND) return decodeAppend(new Reader(message))
  if (type === FrameType.SIGNAL) return { type: "Signal", ...decodeSignal(message) }
  if (type === FrameType.CARRY) return { type: "Carry", ...decodeCarry(message) }
  if (type === FrameType.ACK) return { type: "Ack", ...decodeAck(message) }
  if (type >= 0x80) throw new ProtocolError(ErrorCode.UNKNOWN_TYPE, `type 0x${type.toString(16)} is the server's`)
  return decodeControl(type, message) as ClientFrame
}

/** Parse what a server sent. Raises as `decodeClient`; then close the connection, since the server is broken. */
export function decodeServer(message: Uint8Array): ServerFrame {
  const type = frameType(message)
  if (type === FrameType.RECORDS) return decodeRecords(new Reader(message))
  if (type === FrameType.APPENDED) {
    const reader = new Reader(message)
    const [request, firstSeq] = [reader.uint32(), reader.uint53()]
    reader.end("appended")
    return { type: "Appended", request, firstSeq }
  }
  if (type === FrameType.SIGNALLED) return { type: "Signalled", ...decodeSignal(message) }
  if (type === FrameType.CARRIED) return { type: "Carried", ...decodeCarry(message) }
  if (type === FrameType.ACKED) return { type: "Acked", ...decodeAck(message) }
  if (type < 0x80) throw new ProtocolError(ErrorCode.UNKNOWN_TYPE, `type 0x${type.toString(16)} is the client's`)
  return decodeControl(type, message) as ServerFrame
}

function frameType(message: Uint8Array): number {
  const [type] = message
  if (type === undefined) throw new ProtocolError(ErrorCode.BAD_FRAME, "empty message")
  if (message.length > MESSAGE_BYTES_MAX) {
    throw new ProtocolError(ErrorCode.TOO_LARGE, `a message is at most ${MESSAGE_BYTES_MAX} bytes`)
  }
  return type
}

const isPaddedSize = (length: number): boolean => (PADDED_SIZES_BYTES as readonly number[]).includes(length)

/** The fixed headers; begins behind the type byte. Errors carry what was read so far. */
class Reader {
  request = 0
  handle = 0
  private at = 1
  private readonly view: DataView

  constructor(private readonly message: Uint8Array) {
    this.view = new DataView(message.buffer, message.byteOffset, message.byteLength)
  }

  get left(): number {
    return this.message.length - this.at
  }

  refuse(code: ErrorCode, text: string): never {
    throw new ProtocolError(code, text, this.request, this.handle)
  }

  bytes(length: number): Uint8Array {
    return this.message.slice(this.step(length), this.at)
  }

  uint8(): number {
    return this.view.getUint8(this.step(1))
  }

  uint16(): number {
    return this.view.getUint16(this.step(2))
  }

  uint32(): number {
    return this.view.getUint32(this.step(4))
  }

  uint64(): bigint {
    return this.view.getBigUint64(this.step(8))
  }

  uint53(): number {
    const value = Number(this.uint64())
    return Number.isSafeInteger(value) ? value : this.refuse(ErrorCode.BAD_FRAME, "a number of 2^53 or more")
  }

  end(what: string): void {
    if (this.at !== this.message.length) this.refuse(ErrorCode.BAD_FRAME, `${what} has a wrong length`)
  }

  private step(length: number): number {
    const start = this.at
    if (start + length > this.message.length) this.refuse(ErrorCode.BAD_FRAME, "the frame ends too early")
    this.at += length
    return start
  }
}

function decodeAppend(reader: Reader): Append {
  // All of the fixed head or none: an answer to half a question would find the wrong one.
  const [handle, request, flags] = [reader.uint32(), reader.uint32(), reader.uint8()]
  reader.handle = handle
  reader.request = request
  const isCommit = (flags & AppendFlag.COMMIT) !== 0
  const epoch = isCommit ? reader.uint64() : null
  const nextTokenHash = reader.bytes(isCommit ? TOKEN_HASH_BYTES : 0)
  const count = reader.uint16()
  if ((flags & ~AppendFlag.COMMIT) !== 0) reader.refuse(ErrorCode.BAD_FRAME, "unknown append flag")
  if (count < 1 || count > APPEND_RECORDS_MAX || (isCommit && count !== 1)) {
    reader.refuse(ErrorCode.BAD_FRAME, "an append carries 1 to 64 records, a commit exactly one")
  }
  const records: Uint8Array[] = []
  for (let i = 0; i < count; i++) records.push(body(reader))
  reader.end("append")
  if (records.reduce((sum, { length }) => sum + length, 0) > APPEND_BYTES_MAX) {
    reader.refuse(ErrorCode.TOO_LARGE, `an append carries at most ${APPEND_BYTES_MAX} bytes`)
  }
  const commitEpoch = epoch === null ? null : Number(epoch)
  if (commitEpoch !== null && !Number.isSafeInteger(commitEpoch)) reader.refuse(ErrorCode.BAD_FRAME, "an epoch of 2^53 or more")
  return { type: "Append", handle, request, records, commitEpoch, nextTokenHash }
}

function body(reader: Reader): Uint8Array {
  const length = reader.uint32()
  if (!isPaddedSize(length)) reader.refuse(ErrorCode.BAD_SIZE, `${length} is not one of the padded sizes`)
  return reader.bytes(length)
}

function decodeRecords(reader: Reader): Records {
  const [handle, count] = [reader.uint32(), reader.uint16()]
  const records: Record[] = []
  for (let i = 0; i < count; i++) records.push({ seq: reader.uint53(), receivedS: reader.uint53(), body: body(reader) })
  reader.end("records")
  return { type: "Records", handle, records }
}

function decodeSignal(message: Uint8Array): { handle: number; body: Uint8Array } {
  const reader = new Reader(message)
  const handle = reader.uint32()
  return { handle, body: signalBody(reader) }
}

function decodeCarry(message: Uint8Array): { seq: number; sentMs: number; body: Uint8Array } {
  const reader = new Reader(message)
  const [seq, sentMs] = [reader.uint32(), reader.uint32()]
  return { seq, sentMs, body: signalBody(reader) }
}

/** All that is left. */
function signalBody(reader: Reader): Uint8Array {
  const { left } = reader
  if (left > SIGNAL_BYTES_MAX || !isPaddedSize(left)) reader.refuse(ErrorCode.BAD_SIZE, `${left} is not a padded size for a signal`)
  return reader.bytes(left)
}

function decodeAck(message: Uint8Array): { seq: number; delayMs: number; level: Level; narrow: boolean; sparing: boolean } {
  const reader = new Reader(message)
  const [seq, delayMs, flags] = [reader.uint32(), reader.uint32(), reader.uint8()]
  const padding = reader.uint16() | reader.uint8()
  reader.end("an acknowledgement")
  if (flags > ACK_FLAGS_MAX || padding !== 0) reader.refuse(ErrorCode.BAD_FRAME, "an acknowledgement has flags up to 15, and three zeros")
  return { seq, delayMs, level: (flags & ACK_LEVEL) as Level, narrow: (flags & ACK_NARROW) !== 0, sparing: (flags & ACK_SPARING) !== 0 }
}

function decodeControl(type: number, message: Uint8Array): ControlFrame {
  const read = CONTROL.get(type)
  if (read === undefined) throw new ProtocolError(ErrorCode.UNKNOWN_TYPE, `type 0x${type.toString(16)} is unknown`)
  const fields = new Fields(unpackArray(message.subarray(1)), type !== FrameType.HELLO && type !== FrameType.WELCOME)
  return read(fields)
}

function unpackArray(data: Uint8Array): readonly Packed[] {
  let value: Packed
  try {
    value = unpack(data)
  } catch (error) {
    if (!(error instanceof MsgpackError)) throw error
    throw new ProtocolError(ErrorCode.BAD_FRAME, error.message)
  }
  if (!Array.isArray(value)) throw new ProtocolError(ErrorCode.BAD_FRAME, "no array")
  return value as readonly Packed[]
}

/** The fields of a control frame, one after the other. Later versions may add some behind; those are passed over. */
class Fields {
  private at = 0
  private readonly request: number

  constructor(
    private readonly values: readonly Packed[],
    hasRequest: boolean,
  ) {
    const [first] = values
    this.request = hasRequest && isUint(first, 0xffff_ffff) ? first : 0
  }

  refuse(text: string): never {
    throw new ProtocolError(ErrorCode.BAD_FRAME, text, this.request)
  }

  uint(maximum = Number.MAX_SAFE_INTEGER, absent?: number): number {
    if (absent !== undefined && this.at >= this.values.length) return absent
    const value = this.values[this.at++]
    return isUint(value, maximum) ? value : this.refuse(`field ${this.at} is no number up to ${maximum}`)
  }

  uint32(): number {
    return this.uint(0xffff_ffff)
  }

  text(): string {
    const value = this.values[this.at++]
    return typeof value === "string" ? value : this.refuse(`field ${this.at} is no text`)
  }

  bytes(...lengths: readonly number[]): Uint8Array {
    const value = this.values[this.at++]
    if (!(value instanceof Uint8Array)) return this.refuse(`field ${this.at} has no bytes`)
    return lengths.includes(value.length) ? value : this.refuse(`field ${this.at} has ${value.length} bytes, not ${lengths.join(" or ")}`)
  }
}

const isUint = (value: unknown, maximum: number): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= maximum

function streamKind(fields: Fields): StreamKind {
  const kind = fields.uint()
  return kind === StreamKind.CONVERSATION || kind === StreamKind.INBOX ? kind : fields.refuse(`stream kind ${kind}`)
}

const CONTROL = new Map<number, (fields: Fields) => ControlFrame>([
  [FrameType.HELLO, (f) => ({ type: "Hello", versionMin: f.uint(), versionMax: f.uint() })],
  [
    FrameType.CREATE,
    (f) => {
      const [request, stream] = [f.uint32(), f.bytes(STREAM_ID_BYTES)]
      return { type: "Create", request, stream, kind: streamKind(f), tokenHash: f.bytes(TOKEN_HASH_BYTES) }
    },
  ],
  [
    FrameType.OPEN,
    (f) => {
      const [request, stream, token] = [f.uint32(), f.bytes(STREAM_ID_BYTES), f.bytes(0, TOKEN_BYTES)]
      return { type: "Open", request, stream, token, fromSeq: f.uint() }
    },
  ],
  [FrameType.CLOSE, (f) => ({ type: "Close", request: f.uint32(), handle: f.uint32() })],
  [FrameType.PING, (f) => ({ type: "Ping", request: f.uint32() })],
  [FrameType.WELCOME, (f) => ({ type: "Welcome", version: f.uint(), timeMs: f.uint() })],
  [FrameType.CREATED, (f) => ({ type: "Created", request: f.uint32() })],
  [
    FrameType.OPENED,
    (f) => {
      const [request, handle, rights, epoch] = [f.uint32(), f.uint32(), f.uint(), f.uint()]
      return { type: "Opened", request, handle, rights, epoch, first: f.uint(), head: f.uint(), readTo: f.uint() }
    },
  ],
  [FrameType.CLOSED, (f) => ({ type: "Closed", request: f.uint32() })],
  [FrameType.PONG, (f) => ({ type: "Pong", request: f.uint32(), timeMs: f.uint() })],
  [FrameType.JOIN, (f) => ({ type: "Join", request: f.uint32(), bundle: f.bytes(BUNDLE_ID_BYTES), handle: f.uint32() })],
  [FrameType.JOINED, (f) => ({ type: "Joined", request: f.uint32(), instance: f.uint32() })],
  [FrameType.ERROR, errorFrame],
])

function errorFrame(fields: Fields): ErrorFrame {
  const [request, code, message] = [fields.uint32(), fields.text(), fields.text()]
  return { type: "Error", request, code, message, retryAfterMs: fields.uint(undefined, 0), detail: fields.uint(undefined, 0) }
}
