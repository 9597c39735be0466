// The frames of one connection, as data (docs/spec/transport.md).
//
// One WebSocket message is one frame: a type byte and a body. Control bodies are MessagePack arrays; appends, records,
// signals and a call's frames have a fixed binary header. Numbers that have 64 bits on the wire are refused from 2^53
// on: a server that counts so far is not one of ours.
import type { Brand } from "../brand.js"
import type { Level } from "./lane-control-constants.js"

/** 16 bytes. */
export type StreamId = Brand<Uint8Array, "StreamId">
/** 16 bytes: the connections that carry one call of one device. */
export type BundleId = Brand<Uint8Array, "BundleId">
/** 32 bytes: whoever shows them may read or append. */
export type Token = Brand<Uint8Array, "Token">
/** SHA-256 of a token; what the server keeps of it. */
export type TokenHash = Brand<Uint8Array, "TokenHash">
/** A request's number, which its answer repeats, and the message to send. */
export type Request = readonly [request: number, message: Uint8Array]

/** First byte of every message. Below 0x80 from the client, from 0x80 on from the server. */
export const FrameType = {
  HELLO: 0x01,
  CREATE: 0x02,
  OPEN: 0x03,
  CLOSE: 0x04,
  APPEND: 0x05,
  SIGNAL: 0x06,
  PING: 0x07,
  JOIN: 0x08,
  CARRY: 0x09,
  ACK: 0x0a,
  WELCOME: 0x81,
  CREATED: 0x82,
  OPENED: 0x83,
  CLOSED: 0x84,
  APPENDED: 0x85,
  RECORDS: 0x86,
  SIGNALLED: 0x87,
  PONG: 0x88,
  JOINED: 0x89,
  CARRIED: 0x8a,
  ACKED: 0x8b,
  ERROR: 0xff,
} as const

/** Who may append: members who show the token, or anybody (an inbox). */
export const StreamKind = { CONVERSATION: 0, INBOX: 1 } as const
export type StreamKind = (typeof StreamKind)[keyof typeof StreamKind]

/** What the capability shown with OPEN allows on the stream; bits. */
export const Right = { READ: 1, APPEND: 2, SIGNAL: 4 } as const

/** COMMIT: compare the epoch, and on success move to the next epoch and token. */
export const AppendFlag = { COMMIT: 1 } as const

/** Client's first frame: the versions it speaks. */
export interface Hello {
  readonly type: "Hello"
  readonly versionMin: number
  readonly versionMax: number
}

/** Answer to Hello: the version chosen and the server's clock. */
export interface Welcome {
  readonly type: "Welcome"
  readonly version: number
  readonly timeMs: number
}

/** Make an empty stream at epoch 0 whose capability hashes to `tokenHash` (SHA-256). */
export interface Create {
  readonly type: "Create"
  readonly request: number
  readonly stream: Uint8Array
  readonly kind: StreamKind
  readonly tokenHash: Uint8Array
}

/** The stream is on disk. */
export interface Created {
  readonly type: "Created"
  readonly request: number
}

/**
 * Show a capability and subscribe. Opening a stream again replaces the capability, keeps the handle and goes on after
 * the last record delivered. An empty token on an inbox allows to append only.
 */
export interface Open {
  readonly type: "Open"
  readonly request: number
  readonly stream: Uint8Array
  readonly token: Uint8Array
  readonly fromSeq: number
}

/**
 * `epoch` and `head` (last seq, 0 if none) of the stream now; `first` is the oldest seq still kept. `readTo` is 0, or
 * the last seq that this retired capability may read.
 */
export interface Opened {
  readonly type: "Opened"
  readonly request: number
  readonly handle: number
  readonly rights: number
  readonly epoch: number
  readonly first: number
  readonly head: number
  readonly readTo: number
}

/** Unsubscribe and forget the handle. */
export interface Close {
  readonly type: "Close"
  readonly request: number
  readonly handle: number
}

/** The handle is gone. */
export interface Closed {
  readonly type: "Closed"
  readonly request: number
}

/** Liveness and clock question. */
export interface Ping {
  readonly type: "Ping"
  readonly request: number
}

/** The server's clock. */
export interface Pong {
  readonly type: "Pong"
  readonly request: number
  readonly timeMs: number
}

/**
 * Make this connection a lane of the bundle (docs/spec/lanes.md). `handle` is a conversation open on this connection
 * with the right to signal, which the bundle then speaks for; 0 where another lane has shown one.
 */
export interface Join {
  readonly type: "Join"
  readonly request: number
  readonly bundle: Uint8Array
  readonly handle: number
}

/** The connection is a lane. Another `instance` than before: the server counts frames afresh. */
export interface Joined {
  readonly type: "Joined"
  readonly request: number
  readonly instance: number
}

/**
 * Request `request` was refused and changed nothing (0: not tied to a request). `detail` is the current epoch for
 * `conflict` and `stale`, else 0. `code` is an ErrorCode, or one of a newer server.
 */
export interface ErrorFrame {
  readonly type: "Error"
  readonly request: number
  readonly code: string
  readonly message: string
  readonly retryAfterMs: number
  readonly detail: number
}

/**
 * Add records, all or none, with consecutive seqs. `commitEpoch` is null, or the epoch that must be current for this
 * commit to win; then `nextTokenHash` replaces the capability, and the old one reads up to and including this record.
 */
export interface Append {
  readonly type: "Append"
  readonly handle: number
  readonly request: number
  readonly records: readonly Uint8Array[]
  readonly commitEpoch: number | null
  readonly nextTokenHash: Uint8Array
}

/** The records are on disk (fsynced); `firstSeq` is the seq of the first. */
export interface Appended {
  readonly type: "Appended"
  readonly request: number
  readonly firstSeq: number
}

/** One entry of a stream. `receivedS`: when the server stored it, in Unix seconds. */
export interface Record {
  readonly seq: number
  readonly receivedS: number
  readonly body: Uint8Array
}

/** Records of one stream, in order and without gaps but for expiry. */
export interface Records {
  readonly type: "Records"
  readonly handle: number
  readonly records: readonly Record[]
}

/** Bytes for whoever listens now; never stored. */
export interface Signal {
  readonly type: "Signal"
  readonly handle: number
  readonly body: Uint8Array
}

/** A signal from another subscriber. */
export interface Signalled {
  readonly type: "Signalled"
  readonly handle: number
  readonly body: Uint8Array
}

/** One copy of a sealed frame on this lane. `seq`: the frame's number on this hop, `sentMs`: the sender's clock, both modulo 2^32. */
export interface Carry {
  readonly type: "Carry"
  readonly seq: number
  readonly sentMs: number
  readonly body: Uint8Array
}

/** The same, from the server. */
export interface Carried {
  readonly type: "Carried"
  readonly seq: number
  readonly sentMs: number
  readonly body: Uint8Array
}

/**
 * Everything on this lane up to the copy of `seq` has arrived. `delayMs`: the receiver's clock less `sentMs`, modulo
 * 2^32. `level`: the redundancy of the other direction, 0 to 3; `narrow`: a hop further on has no room;
 * `sparing`: one answer for several frames of the other direction will do.
 */
export interface Ack {
  readonly type: "Ack"
  readonly seq: number
  readonly delayMs: number
  readonly level: Level
  readonly narrow: boolean
  readonly sparing: boolean
}

/** The same, from the server. */
export interface Acked {
  readonly type: "Acked"
  readonly seq: number
  readonly delayMs: number
  readonly level: Level
  readonly narrow: boolean
  readonly sparing: boolean
}

export type ClientFrame = Hello | Create | Open | Close | Append | Signal | Ping | Join | Carry | Ack
export type ServerFrame =
  | Welcome | Created | Opened | Closed | Appended | Records | Signalled | Pong | Joined | Carried | Acked | ErrorFrame
export type Frame = ClientFrame | ServerFrame

/** Frames whose body is a MessagePack array. */
export type ControlFrame = Exclude<Frame, Append | Appended | Records | Signal | Signalled | Carry | Carried | Ack | Acked>
