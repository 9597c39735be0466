// Inviting devices: their key packages, and Welcomes that leave only after the server accepted the commit.
import { equalBytes } from "../core/bytes.js"
import { sealFile } from "../core/e2ee/content/index.js"
import { type Invitation, sealInvitation } from "../core/e2ee/inbox.js"
import { encodeCredential } from "../core/identity.js"
import type { StreamId } from "../core/protocol/frames.js"
import { paddedSize } from "../core/protocol/limits.js"
import { random, sha256 } from "./buffers.js"
import type { Context } from "./context.js"
import { EngineError, Refused, Unreachable } from "./errors.js"
import type { KnownPerson } from "./people.js"
import type { ConversationRow, DepositRow, InviteeRow, PendingCommitRow } from "./store/rows.js"
import type { Transaction } from "./store/store.js"
import { pause, Stopped } from "./sync.js"

/** A larger Welcome is uploaded once as a blob instead of being copied into every inbox. */
const WELCOME_INLINE_BYTES_MAX = 8192
const RETRY_MS = 2_000
const CONNECT_MS = 30_000

/** A key package for every device of an account. MLS checks each against the signed device list when it is added. */
export async function inviteesOf(context: Context, person: KnownPerson): Promise<InviteeRow[]> {
  const fresh = await context.people.refresh(person.accountId, person.origin)
  const claimed = await context.http(fresh.origin).claimKeyPackages(fresh.accountId)
  const invitees = claimed.flatMap(({ deviceId, keyPackage }): InviteeRow[] => {
    const device = fresh.devices.devices.find((listed) => equalBytes(listed.deviceId, deviceId))
    if (device === undefined) return []
    const credential = encodeCredential({ accountId: fresh.accountId, deviceId, origin: fresh.origin })
    return [{ credential, keyPackage, origin: fresh.origin, inbox: device.inbox, inboxKey: device.inboxKey }]
  })
  if (invitees.length === 0) {
    throw new EngineError("no_device", `@${fresh.handle} has no device that can be reached now.`, "Try again later.")
  }
  return invitees
}

/** Notes the invitations of an accepted commit, in the transaction that merges it. */
export function noteDeposits(context: Context, tx: Transaction, conversation: number, pending: PendingCommitRow, fromSeq: number): void {
  if (pending.welcome === null) return
  for (const { origin, inbox, inboxKey } of pending.invitees) {
    const row: DepositRow = { conversation, fromSeq, origin, inbox, inboxKey, welcome: pending.welcome, blob: null }
    tx.put("deposit", tx.nextKey("deposit"), row)
  }
  tx.after.push(() => context.errands.beat())
}

/** Delivers what waits, again and again until stopped. */
export async function deliverInvitations(context: Context): Promise<never> {
  for (;;) {
    const next = context.errands.next(context.signal)
    next.catch(() => undefined)
    const waiting = context.store.entries("deposit") as [number, DepositRow][]
    let failed = false
    for (const [key, row] of waiting) {
      try {
        await deliver(context, key, row)
      } catch (error) {
        if (error instanceof Stopped) throw error
        failed = true
      }
    }
    if (failed) await pause(RETRY_MS, context.signal)
    else if (waiting.length === 0) await next
  }
}

async function deliver(context: Context, key: number, row: DepositRow): Promise<void> {
  const conversation = context.store.get("conversation", row.conversation) as ConversationRow
  const { origin, stream, isDirect, title } = conversation
  const invitation: Invitation = { origin, stream, fromSeq: row.fromSeq, isDirect, title, welcome: await welcomeOf(context, key, row, origin) }
  const record = await sealInvitation(invitation, row.inboxKey, row.inbox, { pad: paddedSize, random })
  const connection = context.connection(row.origin)
  await connection.connected(context.signal, CONNECT_MS)
  try {
    await connection.deposit(row.inbox as StreamId, record)
  } catch (error) {
    if (!(error instanceof Refused) || error.isTemporary || error.isConflict) throw error
    // That inbox takes nothing any more: the device is gone.
  }
  await context.store.transaction((tx) => tx.drop("deposit", key))
}

async function welcomeOf(context: Context, key: number, row: DepositRow, origin: string): Promise<Invitation["welcome"]> {
  if (row.welcome.length <= WELCOME_INLINE_BYTES_MAX) return row.welcome
  if (row.blob !== null) return row.blob
  const others = context.store.rows("deposit")
  let blob = others.find((other) => other.blob !== null && equalBytes(other.welcome, row.welcome))?.blob ?? null
  if (blob === null) {
    const sealed = await sealFile(row.welcome, random)
    const digest = await sha256(sealed.blob)
    await context.http(origin).putBlob(digest, sealed.blob, () => undefined)
    blob = { sha256: digest, key: sealed.key, nonce: sealed.nonce }
  }
  await context.store.transaction((tx) => tx.patch("deposit", key, { blob }))
  return blob
}

/** Whether a failure may pass by itself. */
export const passes = (error: unknown): boolean => error instanceof Unreachable || (error instanceof Refused && error.isTemporary)

