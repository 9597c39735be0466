// Documents of the directory: signed device lists, sign-ins, handles (docs/spec/directory.md).
//
// What an account signs is the MessagePack payload itself, so that no re-encoding can change it.
import type { Brand } from "../brand.js"
import { concat, toHex } from "../bytes.js"
import { DEVICE_LIST_CONTEXT, SIGN_IN_CONTEXT } from "../labels.js"
import { MsgpackError, pack, type Packed, unpack } from "../msgpack.js"
import { utf8 } from "../utf8.js"
import { ed25519Sign, ed25519Verify } from "../webcrypto.js"
import { ErrorCode, ProtocolError } from "./errors.js"
import { DEVICES_PER_ACCOUNT_MAX, HANDLE_PATTERN } from "./limits.js"

/** 16 bytes. */
export type AccountId = Brand<Uint8Array, "AccountId">
/** 16 bytes. */
export type DeviceId = Brand<Uint8Array, "DeviceId">

const VERSION_END = 2 ** 31
const HANDLE = new RegExp(`^${HANDLE_PATTERN}$`)

/**
 * One device: its id (16 bytes), MLS signature key (Ed25519, 32 bytes), inbox stream (16 bytes), and the HPKE key
 * (X25519, 32 bytes) to which inbox records are sealed.
 */
export interface Device {
  readonly deviceId: Uint8Array
  readonly signatureKey: Uint8Array
  readonly inbox: Uint8Array
  readonly inboxKey: Uint8Array
}

/** Every device of an account. A higher version replaces a lower one; `identityKey` (Ed25519) signs it. */
export interface DeviceList {
  readonly accountId: Uint8Array
  readonly version: number
  readonly identityKey: Uint8Array
  readonly devices: readonly Device[]
}

/** `payload` is a MessagePack DeviceList, `signature` is Ed25519 over DEVICE_LIST_CONTEXT and the payload. */
export interface SignedDeviceList {
  readonly payload: Uint8Array
  readonly signature: Uint8Array
}

/** What the account's identity key signs, after DEVICE_LIST_CONTEXT. */
export function deviceListPayload({ accountId, version, identityKey, devices }: DeviceList): Uint8Array {
  const listed = devices.map((device) => [device.deviceId, device.signatureKey, device.inbox, device.inboxKey])
  return pack([accountId, version, identityKey, listed])
}

/** `identityPrivate`: 32-byte seed, or PKCS #8. Raises ProtocolError `bad_request` for a list that nobody would accept. */
export async function signDeviceList(devices: DeviceList, identityPrivate: Uint8Array): Promise<SignedDeviceList> {
  checkDeviceList(devices)
  const payload = deviceListPayload(devices)
  return { payload, signature: await ed25519Sign(identityPrivate, concat(utf8(DEVICE_LIST_CONTEXT), payload)) }
}

/**
 * The list, if its shape and its own identity key's signature hold. That the identity key is the pinned one is for the
 * caller to check. Raises ProtocolError: `bad_request` or `bad_signature`.
 */
export async function verifyDeviceList(payload: Uint8Array, signature: Uint8Array): Promise<DeviceList> {
  const devices = readDeviceList(payload)
  checkDeviceList(devices)
  await verify(devices.identityKey, concat(utf8(DEVICE_LIST_CONTEXT), payload), signature)
  return devices
}

/**
 * What the device signs to sign in. The server's authority (host and port, see `authorityOf`) keeps a hostile server
 * from passing the signature on to another one.
 */
export const signInPayload = (authority: string, challenge: Uint8Array): Uint8Array =>
  concat(utf8(SIGN_IN_CONTEXT), utf8(authority), Uint8Array.of(0), challenge)

/** The handle, if people may have it. Raises ProtocolError: `bad_request`. */
export function checkHandle(handle: string): string {
  if (!HANDLE.test(handle)) {
    throw refused("a handle is 2 to 32 of a-z 0-9 . _ - with a letter or digit at both ends")
  }
  return handle
}

/** Ed25519 (RFC 8032). Raises ProtocolError: `bad_signature`. */
export async function verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): Promise<void> {
  if (!(await ed25519Verify(publicKey, message, signature))) {
    throw new ProtocolError(ErrorCode.BAD_SIGNATURE, "the signature does not match")
  }
}

const refused = (message: string): ProtocolError => new ProtocolError(ErrorCode.BAD_REQUEST, message)

function readDeviceList(payload: Uint8Array): DeviceList {
  let value: Packed
  try {
    value = unpack(payload)
  } catch (error) {
    if (!(error instanceof MsgpackError)) throw error
    throw refused(`device list: ${error.message}`)
  }
  const [accountId, version, identityKey, devices] = array(value)
  return {
    accountId: bytes(accountId),
    version: typeof version === "number" ? version : fail(),
    identityKey: bytes(identityKey),
    devices: array(devices).map((device) => {
      const [deviceId, signatureKey, inbox, inboxKey] = array(device)
      return { deviceId: bytes(deviceId), signatureKey: bytes(signatureKey), inbox: bytes(inbox), inboxKey: bytes(inboxKey) }
    }),
  }
}

function fail(): never {
  throw refused("device list: a field is missing or of a wrong type")
}
const array = (value: Packed | undefined): readonly Packed[] => (Array.isArray(value) ? (value as readonly Packed[]) : fail())
const bytes = (value: Packed | undefined): Uint8Array => (value instanceof Uint8Array ? value : fail())

function checkDeviceList({ accountId, version, identityKey, devices }: DeviceList): void {
  const sizesOk =
    accountId.length === 16 &&
    identityKey.length === 32 &&
    version >= 1 &&
    version < VERSION_END &&
    devices.length >= 1 &&
    devices.length <= DEVICES_PER_ACCOUNT_MAX &&
    devices.every(
      ({ deviceId, signatureKey, inbox, inboxKey }) =>
        deviceId.length === 16 && signatureKey.length === 32 && inbox.length === 16 && inboxKey.length === 32,
    )
  const count = (values: readonly Uint8Array[]): number => new Set(values.map(toHex)).size
  const isUnique =
    count(devices.map(({ deviceId }) => deviceId)) === devices.length &&
    count(devices.map(({ signatureKey }) => signatureKey)) === devices.length
  if (!sizesOk || !isUnique) throw refused("device list: wrong sizes or a device twice")
}
