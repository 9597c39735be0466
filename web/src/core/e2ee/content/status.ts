// Delivery and read marks: application/mimi-message-status of draft-mahy-mimi-message-status-01.
import { decodeDeterministic, encodeDeterministic, type Value } from "./cbor.js"
import { ContentError, Reason } from "./errors.js"
import { MESSAGE_ID_BYTES, STATUSES_MAX } from "./limits.js"
import { HashAlg, type MessageId } from "./model.js"

export const STATUS_MEDIA_TYPE = "application/mimi-message-status"

/** What became of a message at the sender of the report. 7 to 255 are legal, unknown, and to be ignored. */
export const Status = { UNREAD: 0, DELIVERED: 1, READ: 2, EXPIRED: 3, DELETED: 4, HIDDEN: 5, ERROR: 6 } as const

export interface Mark {
  readonly messageId: MessageId
  readonly status: number
}

/** The part's content. Throws ContentError for a report that `decodeStatus` would refuse. */
export function encodeStatus(marks: readonly Mark[]): Uint8Array {
  const encoded = encodeDeterministic(marks.map(({ messageId, status }) => [messageId, status]))
  decodeStatus(encoded)
  return encoded
}

/** Reads and checks a report. Throws ContentError. */
export function decodeStatus(content: Uint8Array): readonly Mark[] {
  const value = decodeDeterministic(content)
  if (!Array.isArray(value)) throw new ContentError(Reason.BAD_BODY, "no array")
  if (value.length > STATUSES_MAX) throw new ContentError(Reason.TOO_MANY, `${value.length} marks, at most ${STATUSES_MAX}`)
  return (value as readonly Value[]).map(markOf)
}

function markOf(value: Value): Mark {
  const [id, status, ...rest] = Array.isArray(value) ? (value as readonly Value[]) : []
  const isPair = id instanceof Uint8Array && typeof status === "number" && status >= 0 && status <= 255 && rest.length === 0
  if (!isPair) throw new ContentError(Reason.BAD_BODY, "no pair of message id and status")
  if (id.length !== MESSAGE_ID_BYTES || id[0] !== HashAlg.SHA_256) throw new ContentError(Reason.BAD_MESSAGE_ID, "in a report")
  return { messageId: id as MessageId, status }
}
