// Who somebody is: the credential in a leaf of the group, and the number that two people compare.
//
// A leaf is accepted only when the account's device list, signed by the identity key that was pinned at first sight,
// holds exactly this device and signature key (CANNOT-FORGE): protocol/directory reads and checks the list.
import { compareBytes, concat, equalBytes, fromBigEndian } from "./bytes.js"
import { MsgpackError, pack, unpack } from "./msgpack.js"
import { normaliseOrigin } from "./origin.js"
import { utf8 } from "./utf8.js"
import { sha512 } from "./webcrypto.js"

export const SAFETY_NUMBER_DIGITS = 60

/** Identity bytes of an MLS basic credential (RFC 9420 section 5.3): MessagePack [account, device, origin]. */
export interface Credential {
  /** 16 bytes. */
  readonly accountId: Uint8Array
  /** 16 bytes. */
  readonly deviceId: Uint8Array
  /** Of the account's home server, as `normaliseOrigin` writes it. */
  readonly origin: string
}

/** The bytes do not name an account, a device and a server. */
export class CredentialRefused extends Error {
  override name = "CredentialRefused"
}

/** The identity bytes. */
export const encodeCredential = ({ accountId, deviceId, origin }: Credential): Uint8Array => pack([accountId, deviceId, origin])

/** Raises CredentialRefused when the bytes are not such an identity. */
export function decodeCredential(identity: Uint8Array): Credential {
  try {
    const fields = unpack(identity)
    const [accountId, deviceId, origin] = Array.isArray(fields) ? fields : []
    const isSound =
      isBytes(accountId, 16) && isBytes(deviceId, 16) && typeof origin === "string" && normaliseOrigin(origin) === origin
    if (isSound) return { accountId, deviceId, origin }
  } catch (error) {
    if (!(error instanceof MsgpackError || error instanceof RangeError)) throw error
  }
  throw new CredentialRefused("the credential does not name an account, a device and a server")
}

const isBytes = (value: unknown, length: number): value is Uint8Array => value instanceof Uint8Array && value.length === length

/** What is known of an account: where it lives and the devices that its identity key signed. */
export interface KnownDevices {
  readonly accountId: Uint8Array
  readonly origin: string
  readonly devices: readonly { readonly deviceId: Uint8Array; readonly signatureKey: Uint8Array }[]
}

/** Whether this account's list vouches for the leaf: the same account, server, device and signature key. */
export function isListed(credential: Credential, signatureKey: Uint8Array, known: KnownDevices): boolean {
  if (!equalBytes(known.accountId, credential.accountId) || known.origin !== credential.origin) return false
  const device = known.devices.find(({ deviceId }) => equalBytes(deviceId, credential.deviceId))
  return device !== undefined && equalBytes(device.signatureKey, signatureKey)
}

/** 60 digits in groups of five, the same for both people; equal numbers mean nobody sits between them. */
export async function safetyNumber(ownIdentityKey: Uint8Array, otherIdentityKey: Uint8Array): Promise<string> {
  const keys = [ownIdentityKey, otherIdentityKey].sort(compareBytes)
  const digest = await sha512(concat(utf8("ringthrough safety number v1\0"), ...keys))
  const digits = (fromBigEndian(digest) % 10n ** BigInt(SAFETY_NUMBER_DIGITS)).toString().padStart(SAFETY_NUMBER_DIGITS, "0")
  return digits.match(/.{5}/g)?.join(" ") ?? ""
}
