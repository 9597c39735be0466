// Frames to bytes. What the other side would refuse for its shape is a RangeError here: a mistake of the caller.
import { bigEndian, concat } from "../bytes.js"
import { type Packable, pack } from "../msgpack.js"
import { type Ack, type Acked, type Append, AppendFlag, type ControlFrame, type Frame, FrameType, type Record } from "./frame-types.js"
import { TOKEN_HASH_BYTES } from "./limits.js"

/** In the byte of an acknowledgement whose two lowest bits are the level. */
export const ACK_LEVEL = 3
export const ACK_NARROW = 4
export const ACK_SPARING = 8
/** Behind an acknowledgement, so that it is as long as APPENDED. */
const ACK_PADDING_BYTES = 3

/** One WebSocket message. */
export function encode(frame: Frame): Uint8Array {
  switch (frame.type) {
    case "Append":
      return encodeAppend(frame)
    case "Appended":
      return concat(head(FrameType.APPENDED, frame.request), bigEndian(frame.firstSeq, 8))
    case "Records":
      return concat(head(FrameType.RECORDS, frame.handle), bigEndian(frame.records.length, 2), ...frame.records.map(encodeRecord))
    case "Signal":
      return concat(head(FrameType.SIGNAL, frame.handle), frame.body)
    case "Signalled":
      return concat(head(FrameType.SIGNALLED, frame.handle), frame.body)
    case "Carry":
      return concat(head(FrameType.CARRY, frame.seq), bigEndian(frame.sentMs, 4), frame.body)
    case "Carried":
      return concat(head(FrameType.CARRIED, frame.seq), bigEndian(frame.sentMs, 4), frame.body)
    case "Ack":
      return encodeAck(FrameType.ACK, frame)
    case "Acked":
      return encodeAck(FrameType.ACKED, frame)
    default: {
      const [type, ...fields] = control(frame)
      return concat(Uint8Array.of(type), pack(fields))
    }
  }
}

const head = (type: number, number: number): Uint8Array => concat(Uint8Array.of(type), bigEndian(number, 4))

const encodeAck = (type: number, { seq, delayMs, level, narrow, sparing }: Ack | Acked): Uint8Array =>
  concat(head(type, seq), bigEndian(delayMs, 4), Uint8Array.of(level | (narrow ? ACK_NARROW : 0) | (sparing ? ACK_SPARING : 0)), new Uint8Array(ACK_PADDING_BYTES))

const encodeRecord = ({ seq, receivedS, body }: Record): Uint8Array =>
  concat(bigEndian(seq, 8), bigEndian(receivedS, 8), bigEndian(body.length, 4), body)

function encodeAppend({ handle, request, records, commitEpoch, nextTokenHash }: Append): Uint8Array {
  const isCommit = commitEpoch !== null
  if (isCommit && nextTokenHash.length !== TOKEN_HASH_BYTES) throw new RangeError("a commit names the next token's hash, 32 bytes")
  return concat(
    head(FrameType.APPEND, handle),
    bigEndian(request, 4),
    Uint8Array.of(isCommit ? AppendFlag.COMMIT : 0),
    ...(isCommit ? [bigEndian(commitEpoch, 8), nextTokenHash] : []),
    bigEndian(records.length, 2),
    ...records.flatMap((body) => [bigEndian(body.length, 4), body]),
  )
}

/** The type byte and the fields in their order. */
function control(frame: ControlFrame): [number, ...Packable[]] {
  switch (frame.type) {
    case "Hello":
      return [FrameType.HELLO, frame.versionMin, frame.versionMax]
    case "Create":
      return [FrameType.CREATE, frame.request, frame.stream, frame.kind, frame.tokenHash]
    case "Open":
      return [FrameType.OPEN, frame.request, frame.stream, frame.token, frame.fromSeq]
    case "Close":
      return [FrameType.CLOSE, frame.request, frame.handle]
    case "Ping":
      return [FrameType.PING, frame.request]
    case "Welcome":
      return [FrameType.WELCOME, frame.version, frame.timeMs]
    case "Created":
      return [FrameType.CREATED, frame.request]
    case "Opened":
      return [FrameType.OPENED, frame.request, frame.handle, frame.rights, frame.epoch, frame.first, frame.head, frame.readTo]
    case "Closed":
      return [FrameType.CLOSED, frame.request]
    case "Pong":
      return [FrameType.PONG, frame.request, frame.timeMs]
    case "Join":
      return [FrameType.JOIN, frame.request, frame.bundle, frame.handle]
    case "Joined":
      return [FrameType.JOINED, frame.request, frame.instance]
    case "Error":
      return [FrameType.ERROR, frame.request, frame.code, frame.message, frame.retryAfterMs, frame.detail]
  }
}
