import assert from "node:assert/strict"
import { test } from "node:test"
import { fromHex, toHex } from "../../../src/core/bytes.js"
import {
  checkHandle,
  deviceListPayload,
  signDeviceList,
  signInPayload,
  verify,
  verifyDeviceList,
} from "../../../src/core/protocol/directory.js"
import { ProtocolError } from "../../../src/core/protocol/errors.js"
import { ed25519PublicKey } from "../../../src/core/webcrypto.js"
import { Chance } from "../random.js"
import { type Case, cases, load, plain } from "../vectors.js"

const CASES = cases(load("directory", "documents.json", ["documents.json"]))
const bytes = (one: Case, name: string): Uint8Array => fromHex(String(one[name]))

async function check(one: Case): Promise<void> {
  switch (one["what"]) {
    case "device list": {
      const devices = await verifyDeviceList(bytes(one, "payload"), bytes(one, "signature"))
      assert.deepEqual(plain(devices), one["decoded"])
      return assert.equal(toHex(deviceListPayload(devices)), one["payload"])
    }
    case "sign-in": {
      const payload = signInPayload(String(one["authority"]), bytes(one, "challenge"))
      return verify(bytes(one, "signature_key"), payload, bytes(one, "signature"))
    }
    case "handle":
      return assert.equal(checkHandle(String(one["handle"])), one["handle"])
    default:
      return assert.fail(`nobody reads ${String(one["what"])}`)
  }
}

const refusedWith = (code: string) => (error: unknown) => error instanceof ProtocolError && error.code === code

for (const one of CASES) {
  test(`vector: ${one.name}`, async () => {
    if (one.expect === "ok") return check(one)
    return assert.rejects(() => check(one), refusedWith(one.expect))
  })
}

const chance = new Chance(6)

test("a list that we sign verifies; none of its bits may be changed", async () => {
  const seed = chance.bytes(32)
  const device = { deviceId: chance.bytes(16), signatureKey: chance.bytes(32), inbox: chance.bytes(16), inboxKey: chance.bytes(32) }
  const list = { accountId: chance.bytes(16), version: 7, identityKey: await ed25519PublicKey(seed), devices: [device] }
  const { payload, signature } = await signDeviceList(list, seed)
  assert.deepEqual(await verifyDeviceList(payload, signature), list)
  const both = Uint8Array.from([...payload, ...signature])
  for (let i = 0; i < 300; i++) {
    const damaged = both.slice()
    const bit = chance.below(both.length * 8)
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    await assert.rejects(() => verifyDeviceList(damaged.slice(0, payload.length), damaged.slice(payload.length)), ProtocolError)
  }
  await assert.rejects(() => signDeviceList({ ...list, devices: [] }, seed), refusedWith("bad_request"))
  await assert.rejects(() => signDeviceList({ ...list, devices: [device, device] }, seed), refusedWith("bad_request"))
})

test("random bytes raise nothing but ProtocolError", async () => {
  for (let i = 0; i < 500; i++) {
    await assert.rejects(() => verifyDeviceList(chance.bytes(chance.below(120)), chance.bytes(64)), ProtocolError)
  }
})
