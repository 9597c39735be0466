// Inbox records: an invitation sealed to one device's inbox key with HPKE (RFC 9180, base mode).
//
// The server sees bytes of a padded size. Who sent an invitation is proved by the Welcome inside, not by the seal.
import { Aes128Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core"
import { bigEndian, concat } from "../bytes.js"
import { INBOX_INFO } from "../labels.js"
import { utf8 } from "../utf8.js"
import type { Random } from "../webcrypto.js"
import { decodeDeterministic, encodeDeterministic, type Value } from "./content/cbor.js"
import { ContentError } from "./content/errors.js"
import { ORIGIN_CHARS_MAX, SEAL_OVERHEAD_BYTES, TITLE_CHARS_MAX } from "./inbox-constants.js"

const KEM_OUTPUT_BYTES = 32
const VERSION = 1
const INVITATION_KIND = 1

/** The inbox record cannot be opened or is malformed; it is skipped. */
export class InboxError extends Error {
  override name = "InboxError"
  readonly reason = "inbox"
}

/** Where a Welcome too large for a record lies: ciphertext by hash, AES-128-GCM key (16 bytes) and nonce (12). */
export interface BlobReference {
  readonly sha256: Uint8Array
  readonly key: Uint8Array
  readonly nonce: Uint8Array
}

/**
 * What a new member needs: the server that hosts the conversation, its stream, the first seq to read, and the MLS
 * Welcome itself or the blob that holds it.
 */
export interface Invitation {
  readonly origin: string
  readonly stream: Uint8Array
  readonly fromSeq: number
  readonly isDirect: boolean
  readonly title: string
  readonly welcome: Uint8Array | BlobReference
}

const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes128Gcm() })
/** The library takes whole buffers. */
const buffer = (bytes: Uint8Array): ArrayBuffer => bytes.slice().buffer as ArrayBuffer

/** A key to which inbox records are sealed; both halves have 32 bytes. */
export async function generateInboxKey(): Promise<{ readonly publicKey: Uint8Array; readonly privateKey: Uint8Array }> {
  const pair = await suite.kem.generateKeyPair()
  return {
    publicKey: new Uint8Array(await suite.kem.serializePublicKey(pair.publicKey)),
    privateKey: new Uint8Array(await suite.kem.serializePrivateKey(pair.privateKey)),
  }
}

/**
 * One inbox record. `pad` maps the unpadded length to the wire length; `inboxKey` is the device's X25519 HPKE key (32
 * bytes), `inbox` its inbox stream id, bound as additional data. Throws InboxError for what is no such key.
 */
export async function sealInvitation(
  invitation: Invitation,
  inboxKey: Uint8Array,
  inbox: Uint8Array,
  { pad, random }: { pad(bytes: number): number; random: Random },
): Promise<Uint8Array> {
  const { origin, stream, fromSeq, isDirect, title, welcome } = invitation
  const sealed: Value = welcome instanceof Uint8Array ? welcome : [welcome.sha256, welcome.key, welcome.nonce]
  const body = encodeDeterministic([VERSION, INVITATION_KIND, origin, stream, fromSeq, isDirect, title, sealed])
  const framed = concat(bigEndian(body.length, 4), body)
  const padded = new Uint8Array(pad(framed.length + SEAL_OVERHEAD_BYTES) - SEAL_OVERHEAD_BYTES)
  padded.set(framed)
  return concat(...(await seal(padded, inboxKey, inbox, random)))
}

/** SealBase (RFC 9180 section 6.1): the KEM's output and the ciphertext. */
async function seal(padded: Uint8Array, inboxKey: Uint8Array, inbox: Uint8Array, random: Random): Promise<[Uint8Array, Uint8Array]> {
  try {
    const recipientPublicKey = await suite.kem.deserializePublicKey(buffer(inboxKey))
    // The ephemeral key comes from DeriveKeyPair of fresh bytes, as in Python: randomness has one door.
    const ekm = buffer(random(KEM_OUTPUT_BYTES))
    const sender = await suite.createSenderContext({ recipientPublicKey, info: buffer(utf8(INBOX_INFO)), ekm })
    return [new Uint8Array(sender.enc), new Uint8Array(await sender.seal(buffer(padded), buffer(inbox)))]
  } catch (error) {
    throw new InboxError("not an inbox key", { cause: error })
  }
}

/**
 * Undoes `sealInvitation`. Throws InboxError: not sealed to this device, for another inbox, or not an invitation that
 * this version knows.
 */
export async function openInvitation(record: Uint8Array, inboxPrivateKey: Uint8Array, inbox: Uint8Array): Promise<Invitation> {
  const padded = await unseal(record, inboxPrivateKey, inbox)
  const length = padded.length < 4 ? Infinity : new DataView(padded.buffer, padded.byteOffset).getUint32(0)
  if (length > padded.length - 4) throw new InboxError("wrong length inside the seal")
  try {
    return invitationOf(decodeDeterministic(padded.subarray(4, 4 + length)))
  } catch (error) {
    if (error instanceof ContentError) throw new InboxError("not deterministic CBOR inside the seal")
    throw error
  }
}

async function unseal(record: Uint8Array, inboxPrivateKey: Uint8Array, inbox: Uint8Array): Promise<Uint8Array> {
  const recipientKey = await suite.kem.deserializePrivateKey(buffer(inboxPrivateKey))
  try {
    const enc = buffer(record.subarray(0, KEM_OUTPUT_BYTES))
    const recipient = await suite.createRecipientContext({ recipientKey, enc, info: buffer(utf8(INBOX_INFO)) })
    return new Uint8Array(await recipient.open(buffer(record.subarray(KEM_OUTPUT_BYTES)), buffer(inbox)))
  } catch {
    throw new InboxError("the record is not sealed to this device")
  }
}

function invitationOf(value: Value): Invitation {
  const [version, kind, origin, stream, fromSeq, isDirect, title, welcome, ...rest] = Array.isArray(value) ? (value as readonly Value[]) : []
  if (version !== VERSION || kind !== INVITATION_KIND || rest.length > 0) throw new InboxError("unknown kind or version of inbox record")
  const isSound =
    typeof origin === "string" &&
    stream instanceof Uint8Array &&
    typeof fromSeq === "number" &&
    typeof isDirect === "boolean" &&
    typeof title === "string"
  if (!isSound) throw new InboxError("unknown kind or version of inbox record")
  if (stream.length !== 16 || fromSeq < 0 || [...origin].length > ORIGIN_CHARS_MAX || [...title].length > TITLE_CHARS_MAX) {
    throw new InboxError("a field of the invitation is out of bounds")
  }
  return { origin, stream, fromSeq, isDirect, title, welcome: welcomeOf(welcome) }
}

function welcomeOf(welcome: Value | undefined): Invitation["welcome"] {
  if (welcome instanceof Uint8Array) return welcome
  const [sha256, key, nonce, ...rest] = Array.isArray(welcome) ? (welcome as readonly Value[]) : []
  const isBytes = (bytes: unknown, length: number): bytes is Uint8Array => bytes instanceof Uint8Array && bytes.length === length
  if (!isBytes(sha256, 32) || !isBytes(key, 16) || !isBytes(nonce, 12) || rest.length > 0) throw new InboxError("the invitation holds no Welcome")
  return { sha256, key, nonce }
}
