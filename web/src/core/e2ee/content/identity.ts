// Names of messages, senders and rooms, and the checks that need more than the message itself.
import { bigEndian, concat, toHex } from "../../bytes.js"
import { utf8 } from "../../utf8.js"
import { sha256 } from "../../webcrypto.js"
import { ContentError, Reason } from "./errors.js"
import { EXPIRY_SPAN_S_MAX, MESSAGE_ID_BYTES, SALT_BYTES, URI_BYTES_MAX } from "./limits.js"
import { HashAlg, type MessageId, type MimiContent, ROOM_URI, SENDER_URI } from "./model.js"

/** How our messages name an account. No server, accounts may move. */
export const senderUri = (accountId: Uint8Array): string => `ringthrough:u/${toHex(accountId)}`

/** How our messages name a conversation. */
export const roomUri = (groupId: Uint8Array): string => `ringthrough:r/${toHex(groupId)}`

/**
 * The id of an encoded message, draft-ietf-mimi-content-08 section 3.3. `sender` and `room` are what MLS says, not what
 * the message says: two members never share an id. Throws ContentError.
 */
export async function messageId(encoded: Uint8Array, sender: string, room: string): Promise<MessageId> {
  if (encoded[0] !== 0x87 || encoded[1] !== 0x50 || encoded.length < 2 + SALT_BYTES) {
    throw new ContentError(Reason.BAD_STRUCTURE, "no encoded message")
  }
  const salt = encoded.subarray(2, 2 + SALT_BYTES)
  const hashed = await sha256(concat(counted(sender), counted(room), encoded, salt))
  return concat(Uint8Array.of(HashAlg.SHA_256), hashed.subarray(0, MESSAGE_ID_BYTES - 1)) as MessageId
}

/** A message that names its sender or room must name those that MLS authenticated. Throws ContentError. */
export function checkContext({ extensions }: MimiContent, sender: string, room: string): void {
  if ((extensions.get(SENDER_URI) ?? sender) !== sender) throw new ContentError(Reason.WRONG_SENDER, "another sender than its signature")
  if ((extensions.get(ROOM_URI) ?? room) !== room) throw new ContentError(Reason.WRONG_ROOM, "another conversation than it came in")
}

/** An expiry more than a year away, either way, is nonsense. Throws ContentError. */
export function checkExpiry({ expires }: MimiContent, nowS: number): void {
  if (expires === null) return
  const distanceS = expires.relative ? expires.timeS : Math.abs(expires.timeS - nowS)
  if (distanceS > EXPIRY_SPAN_S_MAX) throw new ContentError(Reason.IMPLAUSIBLE_EXPIRY, `${distanceS} s away`)
}

function counted(uri: string): Uint8Array {
  const encoded = utf8(uri)
  if (encoded.length > URI_BYTES_MAX) throw new ContentError(Reason.TOO_LONG, "a URI")
  return concat(bigEndian(encoded.length, 2), encoded)
}
