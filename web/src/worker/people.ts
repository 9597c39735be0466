// Pinned identities and device lists, fetched from each account's home server and kept in the store.
import { equalBytes, toHex } from "../core/bytes.js"
import { MlsMemberError } from "../core/e2ee/mls-errors.js"
import { type Credential, decodeCredential } from "../core/identity.js"
import { type DeviceList, verifyDeviceList } from "../core/protocol/directory.js"
import { ProtocolError } from "../core/protocol/errors.js"
import type { Trust } from "./api.js"
import { EngineError, Refused } from "./errors.js"
import type { AccountDocument, ServerHttp } from "./http.js"
import type { AccountRow } from "./store/rows.js"
import type { Store } from "./store/store.js"

export interface KnownPerson {
  readonly accountId: Uint8Array
  readonly origin: string
  readonly handle: string
  readonly identityKey: Uint8Array
  readonly devices: DeviceList
}

const identityChanged = (message: string): EngineError =>
  new EngineError("identity_changed", message, "Compare safety numbers in person before you go on.")

/** Why an account must not learn the address of this device, or null (docs/spec/media.md section 8.1). */
export function whyHideFrom(row: AccountRow | undefined): "changed" | "stranger" | null {
  if (row?.trust === "changed" || row?.isDoubtful === true) return "changed"
  return row?.accepted === true || row?.trust === "verified" ? null : "stranger"
}

export class People {
  private readonly lists = new Map<string, { payload: Uint8Array; devices: DeviceList }>()
  private missing: Credential[] = []

  constructor(
    private readonly store: Store,
    private readonly http: (origin: string) => ServerHttp,
  ) {}

  row(accountId: Uint8Array | string): AccountRow | undefined {
    return this.store.get("account", typeof accountId === "string" ? accountId : toHex(accountId))
  }

  async known(accountId: Uint8Array | string): Promise<KnownPerson | undefined> {
    const row = this.row(accountId)
    if (row === undefined) return undefined
    const key = toHex(row.accountId)
    let kept = this.lists.get(key)
    if (kept === undefined || !equalBytes(kept.payload, row.payload)) {
      kept = { payload: row.payload, devices: await verifyDeviceList(row.payload, row.signature) }
      this.lists.set(key, kept)
    }
    const { accountId: id, origin, handle, identityKey } = row
    return { accountId: id, origin, handle, identityKey, devices: kept.devices }
  }

  /** The account that has this handle on this server now. */
  async lookUp(handle: string, origin: string): Promise<KnownPerson> {
    const nobody = new EngineError("unknown_handle", `Nobody has the name @${handle} there.`, "Check the spelling.")
    let account: AccountDocument
    try {
      account = await this.http(origin).accountByHandle(handle)
    } catch (error) {
      throw error instanceof Refused && (error.code === "not_found" || error.code === "bad_request") ? nobody : error
    }
    if (account.handle !== handle) throw nobody
    return this.accept(account, origin)
  }

  /** What comparing safety numbers told. */
  async trust(accountId: string, trust: Trust): Promise<void> {
    const row = this.store.get("account", accountId)
    // A warning that was put away is not a comparison.
    const isDoubtful = trust !== "verified" && (row?.trust === "changed")
    await this.store.transaction((tx) => tx.patch("account", accountId, { trust, isDoubtful }))
  }

  /** The numbers compared were not the same: a mark goes, a warning stays. */
  async differs(accountId: string): Promise<void> {
    const trust = this.store.get("account", accountId)?.trust === "changed" ? "changed" : "unverified"
    await this.store.transaction((tx) => tx.patch("account", accountId, { trust, isDoubtful: true }))
  }

  /** Fetches the newest device list of an account. */
  async refresh(accountId: Uint8Array, origin: string): Promise<KnownPerson> {
    const account = await this.http(origin).account(accountId)
    if (!equalBytes(account.accountId, accountId)) throw identityChanged("The server answered with another account than asked for.")
    return this.accept(account, origin)
  }

  /** What MLS asks about every leaf that it is about to accept (CANNOT-FORGE). */
  async check(identity: Uint8Array, signatureKey: Uint8Array): Promise<boolean> {
    let credential: Credential
    try {
      credential = decodeCredential(identity)
    } catch {
      return false
    }
    const person = await this.known(credential.accountId)
    const device = person?.devices.devices.find(({ deviceId }) => equalBytes(deviceId, credential.deviceId))
    if (person?.origin === credential.origin && device !== undefined && equalBytes(device.signatureKey, signatureKey)) return true
    this.missing.push(credential)
    return false
  }

  /**
   * Runs `attempt`; when it meets a device that is not in the list we hold, fetches that account's list and runs it
   * again. `isFinal` tells it to treat a device that is still missing as plainly refused.
   */
  async withFreshDevices<T>(attempt: (isUnknown: (error: unknown) => boolean) => Promise<T>): Promise<T> {
    const fetched = new Set<string>()
    for (;;) {
      const unknown: Credential[] = []
      const isUnknown = (error: unknown): boolean => {
        if (!(error instanceof MlsMemberError)) return false
        unknown.push(...this.missing.filter(({ accountId }) => !fetched.has(toHex(accountId))))
        return unknown.length > 0
      }
      try {
        this.missing = []
        return await attempt(isUnknown)
      } catch (error) {
        if (unknown.length === 0) isUnknown(error)
        if (unknown.length === 0) throw error
        for (const { accountId, origin } of unknown) {
          if (fetched.has(toHex(accountId))) continue
          fetched.add(toHex(accountId))
          await this.refreshQuietly(accountId, origin)
        }
      }
    }
  }

  /** A dishonest list leaves what we hold; the device then stays unknown and is refused. */
  private async refreshQuietly(accountId: Uint8Array, origin: string): Promise<void> {
    try {
      await this.refresh(accountId, origin)
    } catch (error) {
      const isRefusal = error instanceof Refused && !error.isTemporary
      if (!isRefusal && !(error instanceof ProtocolError) && (error as EngineError).code !== "identity_changed") throw error
    }
  }

  private async accept(account: AccountDocument, origin: string): Promise<KnownPerson> {
    const { payload, signature } = account.deviceList
    const devices = await verifyDeviceList(payload, signature)
    if (!equalBytes(devices.accountId, account.accountId)) throw identityChanged("The device list belongs to another account.")
    const key = toHex(account.accountId)
    const refusal = await this.store.transaction((tx) => {
      const row = tx.get("account", key)
      if (row !== undefined) {
        if (row.origin !== origin) return `Another server claims to be the home of @${row.handle}.`
        if (!equalBytes(row.identityKey, devices.identityKey)) {
          tx.patch("account", key, { trust: "changed" })
          return `The identity of @${account.handle} has changed.`
        }
        const isOlder = devices.version < row.version || (devices.version === row.version && !equalBytes(payload, row.payload))
        if (isOlder) return `The server shows an older list of devices of @${account.handle} than before.`
        if (equalBytes(payload, row.payload) && row.handle === account.handle) return null
      }
      // Whoever had this name before had another key: neither of the two is to be taken for verified (CANNOT-FORGE).
      const before = this.store.rows("account").filter((other) => other.handle === account.handle && other.origin === origin && toHex(other.accountId) !== key)
      for (const { accountId } of before) tx.patch("account", toHex(accountId), { trust: "changed" })
      tx.put("account", key, {
        accountId: account.accountId,
        origin,
        handle: account.handle,
        identityKey: devices.identityKey,
        version: devices.version,
        payload,
        signature,
        accepted: row?.accepted ?? false,
        refused: row?.refused ?? false,
        trust: before.length > 0 ? "changed" : (row?.trust ?? "unverified"),
      })
      return null
    })
    // Thrown only now: the warning must be stored.
    if (refusal !== null) throw identityChanged(refusal)
    return { accountId: account.accountId, origin, handle: account.handle, identityKey: devices.identityKey, devices }
  }
}
