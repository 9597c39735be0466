// Who we are, and keeping the stock of key packages full.
import { equalBytes, toHex } from "../core/bytes.js"
import { generateInboxKey } from "../core/e2ee/inbox.js"
import type { KeyPackageBundle, Mls } from "../core/e2ee/mls.js"
import { type Credential, encodeCredential } from "../core/identity.js"
import { signDeviceList, signInPayload } from "../core/protocol/directory.js"
import { StreamKind, type StreamId, type TokenHash } from "../core/protocol/frames.js"
import { ed25519Sign } from "../core/webcrypto.js"
import { random, sha256 } from "./buffers.js"
import type { Context } from "./context.js"
import { Refused } from "./errors.js"
import type { KeyPackageRow } from "./store/rows.js"
import type { Store, Transaction } from "./store/store.js"
import { pause, Stopped } from "./sync.js"

const STOCK = 50
const STOCK_LOW = 20
export const LIFETIME_S = 90 * 24 * 3600
/** A Welcome waits in an inbox for this long at most (limits.RECORD_LIFETIME_S). */
export const WELCOME_LIFETIME_S = 30 * 24 * 3600
/** A key package is valid from this long before now, for those whose clocks are behind. */
const CLOCK_SLACK_S = 24 * 3600
const RESTOCK_EVERY_MS = 3_600_000
const RETRY_MS = 5_000

/** Everything this device is, secret keys included: it stays in the store and in this worker. */
export interface OwnIdentity {
  readonly origin: string
  readonly handle: string
  readonly accountId: Uint8Array
  readonly identityPrivate: Uint8Array
  readonly identityKey: Uint8Array
  readonly deviceId: Uint8Array
  readonly signaturePrivate: Uint8Array
  readonly signatureKey: Uint8Array
  readonly inbox: Uint8Array
  readonly inboxToken: Uint8Array
  readonly inboxPrivate: Uint8Array
  readonly inboxKey: Uint8Array
}

export const credentialOf = (own: OwnIdentity): Credential => ({
  accountId: own.accountId,
  deviceId: own.deviceId,
  origin: own.origin,
})

export const loadIdentity = (store: Store): OwnIdentity | undefined =>
  store.get("profile", "identity")?.value as OwnIdentity | undefined

export const isRegistered = (store: Store): boolean => store.get("profile", "registered") !== undefined

export const tokenHash = async (token: Uint8Array): Promise<TokenHash> => (await sha256(token)) as TokenHash

/** Keys for a new account, saved before anything is sent. A registration cut short is taken up with the same keys. */
export async function prepareIdentity(store: Store, mls: Mls, origin: string, handle: string): Promise<OwnIdentity> {
  const known = loadIdentity(store)
  if (known?.handle === handle && known.origin === origin) return known
  const [identity, device, inbox] = [await mls.createSignatureKey(), await mls.createSignatureKey(), await generateInboxKey()]
  const own: OwnIdentity = {
    origin,
    handle,
    accountId: random(16),
    identityPrivate: identity.privateKey,
    identityKey: identity.publicKey,
    deviceId: random(16),
    signaturePrivate: device.privateKey,
    signatureKey: device.publicKey,
    inbox: random(16),
    inboxToken: random(32),
    inboxPrivate: inbox.privateKey,
    inboxKey: inbox.publicKey,
  }
  await store.transaction((tx) => tx.put("profile", "identity", { value: own }))
  return own
}

/** Inbox, account, first key packages; each step may be repeated. Throws Refused(`handle_taken`). */
export async function register(context: Context): Promise<void> {
  const { own, store } = context
  const connection = context.connection(own.origin)
  await connection.connected(context.signal, 20_000)
  try {
    await connection.create(own.inbox as StreamId, StreamKind.INBOX, await tokenHash(own.inboxToken))
  } catch (error) {
    if (!(error instanceof Refused) || error.code !== "stream_exists") throw error
  }
  const http = context.http(own.origin)
  const { payload, signature } = await signDeviceList(
    {
      accountId: own.accountId,
      version: 1,
      identityKey: own.identityKey,
      devices: [{ deviceId: own.deviceId, signatureKey: own.signatureKey, inbox: own.inbox, inboxKey: own.inboxKey }],
    },
    own.identityPrivate,
  )
  try {
    await http.createAccount(own.handle, { payload, signature })
  } catch (error) {
    if (!(error instanceof Refused) || error.code !== "handle_taken") throw error
    const { accountId } = await http.accountByHandle(own.handle)
    if (toHex(accountId) !== toHex(own.accountId)) throw error
  }
  await restock(context)
  await store.transaction((tx) => {
    const { accountId, origin, handle, identityKey } = own
    const row = { accountId, origin, handle, identityKey, version: 1, payload, signature, accepted: true, refused: false, trust: "unverified" } as const
    tx.put("account", toHex(accountId), row)
    tx.put("profile", "registered", { value: true })
  })
}

/** A session for the calls that change the account. */
export async function signIn(context: Context): Promise<string> {
  const { own } = context
  const http = context.http(own.origin)
  const challenge = await http.challenge(own.accountId, own.deviceId)
  const signature = await ed25519Sign(own.signaturePrivate, signInPayload(http.authority, challenge))
  return http.signIn(own.accountId, own.deviceId, challenge, signature)
}

/**
 * Publishes key packages until the stock is full, and renews the last-resort one with them. A stock that has lain for
 * half of its lifetime is renewed in any case: nobody can add us by an expired one. Private keys go when no Welcome
 * can come for them any more.
 */
export async function restock(context: Context): Promise<void> {
  const { own, store } = context
  const http = context.http(own.origin)
  const session = await signIn(context)
  const nowS = context.nowS()
  const isOld = nowS - Number(store.get("profile", "stockedS")?.value ?? -Infinity) > LIFETIME_S / 2
  const missing = isOld ? STOCK : STOCK - (await http.keyPackageCount(session))
  if (missing <= STOCK - STOCK_LOW) return
  // Those of a publication whose outcome is unknown go first: the directory stores each once.
  const kept = store.rows("key_package").filter((row) => row.published === false)
  const rows = kept.filter((row) => !row.lastResort).slice(0, missing)
  while (rows.length < missing) rows.push(rowOf(await newKeyPackage(context), false, nowS))
  const lastResort = kept.find((row) => row.lastResort) ?? rowOf(await newKeyPackage(context), true, nowS)
  const put = (tx: Transaction, row: KeyPackageRow): void => tx.put("key_package", toHex(row.ref), row)
  await store.transaction((tx) => [...rows, lastResort].forEach((row) => put(tx, row)))
  await http.publishKeyPackages(session, rows.map((row) => row.keyPackage), lastResort.keyPackage)
  await store.transaction((tx) => {
    for (const [key, row] of tx.entries("key_package")) {
      // A last resort that was replaced opens the Welcomes that are still under way.
      const isReplaced = row.lastResort && !equalBytes(row.ref, lastResort.ref)
      const expiresS = isReplaced ? Math.min(row.expiresS, nowS + WELCOME_LIFETIME_S) : row.expiresS
      if (expiresS < nowS) tx.drop("key_package", key)
      else put(tx, { ...row, expiresS, published: true })
    }
    tx.put("profile", "stockedS", { value: nowS })
  })
}

/** Restocks now and then, until stopped. */
export async function keepStock(context: Context): Promise<void> {
  for (;;) {
    let pauseMs = RESTOCK_EVERY_MS
    try {
      await context.connection(context.own.origin).connected(context.signal)
      await restock(context)
    } catch (error) {
      if (error instanceof Stopped) throw error
      pauseMs = RETRY_MS
    }
    await pause(pauseMs, context.signal)
  }
}

export function newKeyPackage(context: Context): Promise<KeyPackageBundle> {
  const { own } = context
  const nowS = Math.floor(context.nowMs() / 1000)
  return context.mls.createKeyPackage({
    identity: encodeCredential(credentialOf(own)),
    signatureKey: { publicKey: own.signatureKey, privateKey: own.signaturePrivate },
    notBeforeS: BigInt(nowS - CLOCK_SLACK_S),
    notAfterS: BigInt(nowS + LIFETIME_S),
  })
}

const rowOf = (bundle: KeyPackageBundle, lastResort: boolean, nowS: number): KeyPackageRow => ({
  keyPackage: bundle.keyPackage,
  ref: bundle.ref,
  initPrivateKey: bundle.initPrivateKey,
  encryptionPrivateKey: bundle.encryptionPrivateKey,
  lastResort,
  expiresS: nowS + LIFETIME_S + WELCOME_LIFETIME_S,
  published: false,
})

export const bundleOf = (row: KeyPackageRow, own: OwnIdentity): KeyPackageBundle => ({
  keyPackage: row.keyPackage,
  ref: row.ref,
  initPrivateKey: row.initPrivateKey,
  encryptionPrivateKey: row.encryptionPrivateKey,
  signatureKey: { publicKey: own.signatureKey, privateKey: own.signaturePrivate },
})
