// Voice notes of a call, media type application/vnd.ringthrough.note+cbor: [version, call id, number, codec, packets].
// What the packets are is the codec's matter and checked where the codec is known (docs/spec/media.md section 9).
import { decodeDeterministic, encodeDeterministic, type Value } from "./cbor.js"
import { ContentError, Reason } from "./errors.js"
import { CALL_ID_BYTES, NOTE_BYTES_MAX, NOTE_PACKETS_MAX } from "./limits.js"
import { NOTE_CODEC, NOTE_VERSION } from "./notes-constants.js"

export * from "./notes-constants.js"

/**
 * What somebody said while the call `callId` could not carry speech: the `number`th of their device, from 0. Without
 * packets it only says that its sender is still in the call.
 */
export interface Note {
  readonly callId: Uint8Array
  readonly number: number
  readonly packets: readonly Uint8Array[]
}

/** The part's content. Throws ContentError for a note that `decodeNote` would refuse, for the same reason. */
export function encodeNote({ callId, number, packets }: Note): Uint8Array {
  const encoded = encodeDeterministic([NOTE_VERSION, callId, number, NOTE_CODEC, packets])
  decodeNote(encoded)
  return encoded
}

/** Reads and checks a note. Throws ContentError. */
export function decodeNote(content: Uint8Array): Note {
  const value = decodeDeterministic(content)
  if (!Array.isArray(value) || value.length === 0) throw new ContentError(Reason.BAD_BODY, "no array")
  const [version, callId, number, codec, packets, ...rest] = value as readonly Value[]
  if (version !== NOTE_VERSION) throw new ContentError(Reason.UNSUPPORTED_VERSION, "another version of a note")
  const isShaped = callId instanceof Uint8Array && typeof number === "number" && typeof codec === "string" && Array.isArray(packets)
  if (!isShaped || rest.length > 0) throw new ContentError(Reason.BAD_BODY, "fields of a note")
  if (callId.length !== CALL_ID_BYTES || number < 0 || number >= 2 ** 32) throw new ContentError(Reason.BAD_BODY, "call id or number of a note")
  if (codec !== NOTE_CODEC) throw new ContentError(Reason.UNKNOWN_CODEC, codec)
  return { callId, number, packets: packetsOf(packets as readonly Value[]) }
}

function packetsOf(values: readonly Value[]): readonly Uint8Array[] {
  if (values.length > NOTE_PACKETS_MAX) throw new ContentError(Reason.TOO_MANY, `${values.length} packets in a note`)
  const packets = values.filter((value) => value instanceof Uint8Array && value.length > 0) as readonly Uint8Array[]
  if (packets.length < values.length) throw new ContentError(Reason.BAD_BODY, "a packet that is empty, or no bytes")
  if (packets.reduce((sum, { length }) => sum + length, 0) > NOTE_BYTES_MAX) throw new ContentError(Reason.TOO_LONG, "a note")
  return packets
}
