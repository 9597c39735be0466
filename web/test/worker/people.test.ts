// Which key somebody has, whether it was compared, and what happens when another one comes up.
import assert from "node:assert/strict"
import { test } from "node:test"
import { toHex } from "../../src/core/bytes.js"
import { Mls } from "../../src/core/e2ee/mls.js"
import { signDeviceList } from "../../src/core/protocol/directory.js"
import type { AccountDocument, ServerHttp } from "../../src/worker/http.js"
import { People, whyHideFrom } from "../../src/worker/people.js"
import { Store } from "../../src/worker/store/store.js"
import { newStore } from "./rows.js"

const HOME = "https://chat.example"

/** An account as its server shows it. */
async function account(seed: number, handle: string): Promise<AccountDocument> {
  const key = await (await Mls.open({ checkMember: () => false })).createSignatureKey()
  const accountId = new Uint8Array(16).fill(seed)
  const device = { deviceId: accountId, signatureKey: key.publicKey, inbox: accountId, inboxKey: new Uint8Array(32).fill(9) }
  const list = { accountId, version: 1, identityKey: key.publicKey, devices: [device] }
  return { accountId, handle, deviceList: await signDeviceList(list, key.privateKey) }
}

/** Several servers that may lie: the newest document given for a handle is the one shown. */
async function peopleOf(shown: Map<string, AccountDocument>, store?: Store) {
  const opened = store === undefined ? await newStore() : undefined
  const rows = store ?? opened!.store
  const http = { accountByHandle: (handle: string) => Promise.resolve(shown.get(handle)!) } as unknown as ServerHttp
  return { people: new People(rows, () => http), store: rows, opened }
}

const changed = { code: "identity_changed" }

test("a verification is stored with the account, sealed, and outlives a restart", async () => {
  const ana = await account(1, "ana")
  const { people, opened } = await peopleOf(new Map([["ana", ana]]))
  await people.lookUp("ana", HOME)
  assert.equal(people.row(ana.accountId)?.trust, "unverified")
  await people.trust(toHex(ana.accountId), "verified")
  const again = await peopleOf(new Map([["ana", ana]]), await Store.open(opened!.disk, opened!.key))
  assert.equal(again.people.row(ana.accountId)?.trust, "verified")
  await again.people.lookUp("ana", HOME)
  assert.equal(again.people.row(ana.accountId)?.trust, "verified")
})

test("another key for the same account is refused, takes the verification back, and the warning is stored", async () => {
  const ana = await account(1, "ana")
  const shown = new Map([["ana", ana]])
  const { people, opened } = await peopleOf(shown)
  const { identityKey } = await people.lookUp("ana", HOME)
  await people.trust(toHex(ana.accountId), "verified")
  shown.set("ana", await account(1, "ana"))
  await assert.rejects(people.lookUp("ana", HOME), changed)
  const stored = (await Store.open(opened!.disk, opened!.key)).get("account", toHex(ana.accountId))
  assert.equal(stored?.trust, "changed")
  assert.deepEqual(stored?.identityKey, identityKey)
})

test("another account under a known name warns about both", async () => {
  const [ana, later] = [await account(1, "ana"), await account(2, "ana")]
  const shown = new Map([["ana", ana]])
  const { people } = await peopleOf(shown)
  await people.lookUp("ana", HOME)
  await people.trust(toHex(ana.accountId), "verified")
  shown.set("ana", later)
  await people.lookUp("ana", HOME)
  assert.equal(people.row(ana.accountId)?.trust, "changed")
  assert.equal(people.row(later.accountId)?.trust, "changed")
  await people.trust(toHex(later.accountId), "verified")
  await people.lookUp("ana", HOME)
  assert.equal(people.row(later.accountId)?.trust, "verified")
})

test("another server cannot take a verification away", async () => {
  const ana = await account(1, "ana")
  const shown = new Map([["ana", ana]])
  const { people } = await peopleOf(shown)
  await people.lookUp("ana", HOME)
  await people.trust(toHex(ana.accountId), "verified")
  shown.set("ana", await account(1, "ana"))
  await assert.rejects(people.lookUp("ana", "https://elsewhere.example"), changed)
  assert.equal(people.row(ana.accountId)?.trust, "verified")
  shown.set("ana", await account(3, "ana"))
  await people.lookUp("ana", "https://elsewhere.example")
  assert.equal(people.row(ana.accountId)?.trust, "verified")
})

test("a warning that is put away, or a comparison that fails, leaves a doubt until one comes out right", async () => {
  const ana = await account(1, "ana")
  const id = toHex(ana.accountId)
  const shown = new Map([["ana", ana]])
  const { people } = await peopleOf(shown)
  await people.lookUp("ana", HOME)
  await people.trust(id, "unverified")
  assert.equal(people.row(id)?.isDoubtful, false)
  shown.set("ana", await account(1, "ana"))
  await assert.rejects(people.lookUp("ana", HOME), changed)
  await people.differs(id)
  assert.equal(people.row(id)?.trust, "changed", "the warning stays")
  await people.trust(id, "unverified")
  assert.deepEqual([people.row(id)?.trust, people.row(id)?.isDoubtful], ["unverified", true])
  assert.equal(whyHideFrom(people.row(id)), "changed", "our address stays hidden")
  await people.trust(id, "verified")
  assert.equal(whyHideFrom(people.row(id)), null)
  assert.equal(people.row(id)?.isDoubtful, false)
  await people.differs(id)
  assert.deepEqual([people.row(id)?.trust, people.row(id)?.isDoubtful], ["unverified", true])
})

test("a stranger does not learn the address of this device", async () => {
  const ana = await account(1, "ana")
  const { people } = await peopleOf(new Map([["ana", ana]]))
  await people.lookUp("ana", HOME)
  const row = people.row(ana.accountId)!
  assert.equal(whyHideFrom(undefined), "stranger")
  assert.equal(whyHideFrom({ ...row, accepted: false, trust: "unverified" }), "stranger")
  assert.equal(whyHideFrom({ ...row, accepted: false, trust: "verified" }), null)
  assert.equal(whyHideFrom({ ...row, accepted: true, trust: "unverified" }), null)
  assert.equal(whyHideFrom({ ...row, accepted: true, trust: "changed" }), "changed")
})
