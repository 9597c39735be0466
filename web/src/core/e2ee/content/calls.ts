// Bodies of call events, media type application/vnd.ringthrough.call+cbor: [version, kind, call id, ...].
// The names of kinds and hangup reasons are those of the signalling machine (docs/spec/media.md); nothing is imported
// from there, the shell maps them by name.
import { CALL_VERSION, HANGUP_REASONS, KINDS } from "./calls-constants.js"
import { decodeDeterministic, encodeDeterministic, type Value } from "./cbor.js"
import { ContentError, Reason } from "./errors.js"
import { CALL_ID_BYTES, MEDIA_CHOICES_MAX, OFFER_LIFETIME_MS } from "./limits.js"

export * from "./calls-constants.js"

type HangupReason = (typeof HANGUP_REASONS)[number]

/** One way to talk that the caller offers. `frameBytes` is the sealed frame's size on the wire. */
export interface MediaParams {
  readonly codec: string
  readonly sampleRateHz: number
  readonly channels: number
  readonly frameMs: number
  readonly bitrateBps: number
  readonly sframeSuite: number
  readonly frameBytes: number
}

export type CallBody =
  | {
      readonly kind: "offer"
      readonly callId: Uint8Array
      /** Server time; at most 60 s between them. */
      readonly createdMs: number
      readonly expiresMs: number
      readonly media: readonly MediaParams[]
    }
  | { readonly kind: "ringing" | "decline" | "busy"; readonly callId: Uint8Array }
  | { readonly kind: "answer"; readonly callId: Uint8Array; readonly mediaIndex: number }
  | { readonly kind: "hangup"; readonly callId: Uint8Array; readonly reason: HangupReason; readonly toLeaf: number | null }

/** The part's content. Throws ContentError for a body that `decodeCall` would refuse, for the same reason. */
export function encodeCall(body: CallBody): Uint8Array {
  const fields: Value[] = [CALL_VERSION, KINDS.indexOf(body.kind), body.callId]
  if (body.kind === "offer") fields.push(body.createdMs, body.expiresMs, body.media.map(mediaValue))
  else if (body.kind === "answer") fields.push(body.mediaIndex)
  else if (body.kind === "hangup") {
    const reason = HANGUP_REASONS.indexOf(body.reason)
    if (reason < 0) throw new ContentError(Reason.UNKNOWN_REASON, body.reason)
    fields.push(reason, body.toLeaf)
  }
  const encoded = encodeDeterministic(fields)
  decodeCall(encoded)
  return encoded
}

/** Reads and checks a call event. Throws ContentError. */
export function decodeCall(content: Uint8Array): CallBody {
  const value = decodeDeterministic(content)
  if (!Array.isArray(value) || value.length < 3) throw new ContentError(Reason.BAD_BODY, "no array of three or more")
  const [version, number, callId, ...fields] = value as readonly Value[]
  if (version !== CALL_VERSION) throw new ContentError(Reason.UNSUPPORTED_VERSION, "another version of the call body")
  const kind = KINDS[numberOf(number, 2 ** 32)]
  if (kind === undefined) throw new ContentError(Reason.UNKNOWN_KIND, `call event ${String(number)}`)
  if (!(callId instanceof Uint8Array) || callId.length !== CALL_ID_BYTES) throw new ContentError(Reason.BAD_BODY, "no call id of 16 bytes")
  if (kind === "offer" && fields.length === 3 && Array.isArray(fields[2])) return offer(callId, fields)
  if (kind === "answer" && fields.length === 1) return { kind, callId, mediaIndex: numberOf(fields[0], MEDIA_CHOICES_MAX - 1) }
  if (kind === "hangup" && fields.length === 2) {
    const reason = HANGUP_REASONS[numberOf(fields[0], 2 ** 32)]
    if (reason === undefined) throw new ContentError(Reason.UNKNOWN_REASON, `hangup reason ${String(fields[0])}`)
    return { kind, callId, reason, toLeaf: fields[1] === null ? null : numberOf(fields[1], 2 ** 32 - 1) }
  }
  if ((kind === "ringing" || kind === "decline" || kind === "busy") && fields.length === 0) return { kind, callId }
  throw new ContentError(Reason.BAD_BODY, `fields of ${kind}`)
}

function offer(callId: Uint8Array, fields: readonly Value[]): CallBody {
  const [createdMs, expiresMs] = [numberOf(fields[0], 2 ** 53), numberOf(fields[1], 2 ** 53)]
  if (!(createdMs < expiresMs && expiresMs <= createdMs + OFFER_LIFETIME_MS)) throw new ContentError(Reason.BAD_BODY, "an offer that lives too long")
  const media = fields[2] as readonly Value[]
  if (media.length < 1 || media.length > MEDIA_CHOICES_MAX) throw new ContentError(Reason.BAD_BODY, `${media.length} choices of media`)
  return { kind: "offer", callId, createdMs, expiresMs, media: media.map(mediaOf) }
}

const mediaValue = (media: MediaParams): Value => [
  media.codec, media.sampleRateHz, media.channels, media.frameMs, media.bitrateBps, media.sframeSuite, media.frameBytes,
]

function mediaOf(value: Value): MediaParams {
  const [codec, ...numbers] = Array.isArray(value) ? (value as readonly Value[]) : []
  if (typeof codec !== "string" || [...codec].length < 1 || [...codec].length > 32 || numbers.length !== 6) {
    throw new ContentError(Reason.BAD_BODY, "media parameters")
  }
  const [sampleRateHz, channels, frameMs, bitrateBps, sframeSuite, frameBytes] = numbers.map((number) => numberOf(number, 2 ** 32 - 1)) as
    [number, number, number, number, number, number]
  return { codec, sampleRateHz, channels, frameMs, bitrateBps, sframeSuite, frameBytes }
}

function numberOf(value: Value | undefined, maximum: number): number {
  if (typeof value !== "number" || value < 0 || value > maximum) throw new ContentError(Reason.BAD_BODY, `no number from 0 to ${maximum}`)
  return value
}
