import assert from "node:assert/strict"
import { test } from "node:test"
import { Mls } from "../../src/core/e2ee/mls.js"
import type { Context } from "../../src/worker/context.js"
import { bundleOf, LIFETIME_S, prepareIdentity, restock, WELCOME_LIFETIME_S } from "../../src/worker/own.js"
import { newStore } from "./rows.js"

const DAY_S = 24 * 3600
/** The library compares a key package that is added with the real time as well. */
const BEGAN_S = Math.floor(Date.now() / 1000) - 40 * DAY_S

/** A directory as far as a device's key packages go; `fails` makes it take a publication and lose the answer. */
class Directory {
  readonly oneTime = new Set<string>()
  lastResort = new Uint8Array()
  published = 0
  fails = false
  readonly authority = "here"
  challenge = async () => Uint8Array.of(1)
  signIn = async () => "session"
  keyPackageCount = async () => this.oneTime.size
  publishKeyPackages = async (_session: string, packages: readonly Uint8Array[], lastResort: Uint8Array) => {
    this.published++
    packages.forEach((each) => this.oneTime.add(Buffer.from(each).toString("hex")))
    this.lastResort = lastResort.slice()
    if (this.fails) throw new Error("the answer was lost")
  }
}

async function device() {
  const mls = await Mls.open({ checkMember: () => true })
  const { store } = await newStore()
  const own = await prepareIdentity(store, mls, "http://here", "alice")
  const directory = new Directory()
  const clock = { nowS: BEGAN_S }
  const time = { nowS: () => clock.nowS, nowMs: () => clock.nowS * 1000 }
  const context = { store, own, mls, http: () => directory, ...time } as unknown as Context
  const keys = () => store.rows("key_package")
  /** Whether a Welcome made for this key package opens. */
  const opens = async (keyPackage: Uint8Array): Promise<boolean> => {
    const signatureKey = await mls.createSignatureKey()
    const now = BigInt(BEGAN_S)
    const theirs = await mls.createKeyPackage({ identity: Uint8Array.of(9), signatureKey, notBeforeS: now, notAfterS: now + 1n })
    const group = await mls.createGroup(Uint8Array.of(1), theirs)
    const { welcome } = await group.commit({ add: [keyPackage], nowS: BigInt(clock.nowS) })
    return mls.join(welcome as Uint8Array, keys().map((row) => bundleOf(row, own))).then(() => true, () => false)
  }
  return { context, directory, clock, keys, opens }
}

test("a stock that nobody uses is renewed before it expires, and a full one is not", async () => {
  const { context, directory, clock } = await device()
  await restock(context)
  const first = directory.lastResort
  clock.nowS += LIFETIME_S / 2
  await restock(context)
  assert.equal(directory.published, 1)
  clock.nowS += 1
  await restock(context)
  assert.equal(directory.published, 2)
  assert.notDeepEqual(directory.lastResort, first)
})

test("a last resort that was replaced opens the Welcomes of 30 days more, then its key is gone", async () => {
  const { context, directory, clock, keys, opens } = await device()
  await restock(context)
  const first = directory.lastResort
  directory.oneTime.clear()
  await restock(context)
  assert.ok(await opens(first))
  clock.nowS += WELCOME_LIFETIME_S
  directory.oneTime.clear()
  await restock(context)
  assert.ok(await opens(first), "a Welcome that has waited for 30 days")
  clock.nowS += DAY_S
  directory.oneTime.clear()
  await restock(context)
  assert.equal(await opens(first), false)
  assert.ok(await opens(directory.lastResort))
  clock.nowS += LIFETIME_S + WELCOME_LIFETIME_S + DAY_S
  await restock(context)
  assert.equal(keys().length, 51, "what no Welcome can come for is forgotten")
})

test("a publication whose answer was lost is made again with the same key packages", async () => {
  const { context, directory, keys } = await device()
  directory.fails = true
  for (let i = 0; i < 3; i++) {
    await assert.rejects(restock(context), /lost/)
    directory.oneTime.clear()
  }
  assert.equal(keys().length, 51)
  directory.fails = false
  await restock(context)
  assert.equal(keys().length, 51)
  assert.equal(directory.oneTime.size, 50)
})
