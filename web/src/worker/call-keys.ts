// Media keys of calls: exported from the epoch that carries the offer, and again from every later epoch while the call
// lives, so that a member removed in mid-call hears nothing more (CANNOT-SNOOP-AFTER).
import { fromHex, toHex } from "../core/bytes.js"
import type * as mimi from "../core/e2ee/content/index.js"
import type { Group } from "../core/e2ee/mls.js"
import { CALL_BASE_KEY_BYTES } from "../core/e2ee/sframe-constants.js"
import { CALL_EXPORTER_LABEL } from "../core/labels.js"
import type { Context } from "./context.js"
import type { CallKeyRow } from "./store/rows.js"
import type { Store, Transaction } from "./store/store.js"

/** Keys of calls whose end we never learned are dropped after this. */
const CALL_LIFETIME_S = 24 * 3600

const keyOf = (callId: string, epoch: number): string => `${callId}.${epoch}`

/** If the message offers a call, keeps its media key; in the transaction that stores the message. */
export async function rememberCallKey(
  context: Context,
  tx: Transaction,
  conversation: number,
  group: Group,
  meaning: mimi.Meaning,
  epoch: number,
): Promise<void> {
  if (meaning.kind !== "call" || meaning.body.kind !== "offer" || epoch !== Number(group.epoch)) return
  prune(context, tx)
  await add(tx, conversation, group, toHex(meaning.body.callId), context.nowS() + CALL_LIFETIME_S)
}

/** Adds the new epoch's key to every call under way in this conversation. */
export async function rollCallKeys(context: Context, tx: Transaction, conversation: number, group: Group): Promise<void> {
  prune(context, tx)
  const live = new Map(tx.entries("call_key").flatMap(([, row]) => (row.conversation === conversation ? [[row.callId, row.expiresS] as const] : [])))
  for (const [callId, expiresS] of live) await add(tx, conversation, group, callId, expiresS)
}

/** The keys of a call, oldest epoch first. */
export const callKeys = (store: Store, callId: string): CallKeyRow[] =>
  store.rows("call_key").filter((row) => row.callId === callId).sort((a, b) => a.epoch - b.epoch)

export function forgetCallKeys(tx: Transaction, callId: string): void {
  for (const [key, row] of tx.entries("call_key")) if (row.callId === callId) tx.drop("call_key", key)
}

async function add(tx: Transaction, conversation: number, group: Group, callId: string, expiresS: number): Promise<void> {
  const epoch = Number(group.epoch)
  const baseKey = await group.export(CALL_EXPORTER_LABEL, fromHex(callId), CALL_BASE_KEY_BYTES)
  tx.put("call_key", keyOf(callId, epoch), { callId, epoch, conversation, baseKey, expiresS })
}

function prune(context: Context, tx: Transaction): void {
  for (const [key, row] of tx.entries("call_key")) if (row.expiresS < context.nowS()) tx.drop("call_key", key)
}
