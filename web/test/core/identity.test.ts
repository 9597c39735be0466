import assert from "node:assert/strict"
import { test } from "node:test"
import { fromHex } from "../../src/core/bytes.js"
import { CredentialRefused, decodeCredential, encodeCredential, isListed, safetyNumber } from "../../src/core/identity.js"
import { authorityOf, normaliseOrigin } from "../../src/core/origin.js"
import { ed25519PublicKey, ed25519Sign, ed25519Verify } from "../../src/core/webcrypto.js"
import { Chance, unless } from "./random.js"
import { type Case, cases, load, plain } from "./vectors.js"

const FILES = ["safety_numbers.json", "credentials.json"]

for (const { name, own, other, safety_number } of load("identity", "safety_numbers.json", FILES)["cases"] as Case[]) {
  test(`safety number: ${name}`, async () => {
    assert.equal(await safetyNumber(fromHex(String(own)), fromHex(String(other))), safety_number)
  })
}

for (const { name, expect, hex, decoded } of cases(load("identity", "credentials.json", FILES))) {
  test(`credential: ${name}`, () => {
    const identity = fromHex(String(hex))
    if (expect !== "ok") return assert.throws(() => decodeCredential(identity), CredentialRefused)
    const credential = decodeCredential(identity)
    assert.deepEqual(plain(credential), decoded)
    return assert.deepEqual(encodeCredential(credential), identity)
  })
}

test("a leaf is listed only with its own account, server, device and key", () => {
  const [accountId, deviceId, signatureKey] = [new Uint8Array(16), new Uint8Array(16).fill(1), new Uint8Array(32)]
  const credential = { accountId, deviceId, origin: "https://a.example" }
  const known = { accountId, origin: "https://a.example", devices: [{ deviceId, signatureKey }] }
  assert.ok(isListed(credential, signatureKey, known))
  assert.ok(!isListed({ ...credential, origin: "https://b.example" }, signatureKey, known))
  assert.ok(!isListed({ ...credential, accountId: deviceId }, signatureKey, known))
  assert.ok(!isListed({ ...credential, deviceId: accountId }, signatureKey, known))
  assert.ok(!isListed(credential, new Uint8Array(32).fill(1), known))
  assert.ok(!isListed(credential, signatureKey, { ...known, devices: [] }))
})

test("addresses as people write them", () => {
  const written: readonly (readonly [string, string])[] = [
    ["chat.example", "https://chat.example"],
    ["HTTPS://Chat.Example:443/path?x#y", "https://chat.example"],
    ["http://localhost:8440", "http://localhost:8440"],
    ["http://chat.example:80", "http://chat.example"],
    ["https://user@chat.example", "https://chat.example"],
    ["chat.example:8440", "https://chat.example:8440"],
    ["https://[::1]:8440", "https://[::1]:8440"],
    ["https://chat.example:", "https://chat.example"],
  ]
  for (const [from, to] of written) {
    assert.equal(normaliseOrigin(from), to)
    assert.equal(normaliseOrigin(to), to)
  }
  assert.equal(authorityOf("http://localhost:8440"), "localhost:8440")
  const bad = ["", "https://", "ftp://a", "a b", "https://a:99999", "https://-a", "https://[0::1]", "https://[x]", "https://a_b", "https://ä.example"]
  for (const text of [...bad, "javascript:alert(1)", "https://a..b", "https://a\n", `https://${"a".repeat(64)}`]) {
    assert.throws(() => normaliseOrigin(text), RangeError, text)
  }
  const chance = new Chance(3)
  for (let i = 0; i < 1000; i++) unless([RangeError], () => normaliseOrigin(`https://${chance.text(chance.below(20))}`))
})

test("random bytes are no credential", () => {
  const chance = new Chance(4)
  const sound = encodeCredential({ accountId: chance.bytes(16), deviceId: chance.bytes(16), origin: "https://a.example" })
  for (let i = 0; i < 1000; i++) {
    unless([CredentialRefused], () => decodeCredential(chance.damaged(sound)))
    unless([CredentialRefused], () => decodeCredential(chance.bytes(chance.below(60))))
  }
})

test("Ed25519 as in RFC 8032 section 7.1, test 2; nothing else verifies", async () => {
  const seed = fromHex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
  const key = fromHex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
  const message = Uint8Array.of(0x72)
  const signature = await ed25519Sign(seed, message)
  assert.ok(Buffer.from(signature).toString("hex").startsWith("92a009a9f0d4cab8720e820b5f642540"))
  assert.deepEqual(await ed25519PublicKey(seed), key)
  assert.ok(await ed25519Verify(key, message, signature))
  assert.ok(!(await ed25519Verify(key, Uint8Array.of(0x73), signature)))
  assert.ok(!(await ed25519Verify(key, message, signature.slice(1))))
  assert.ok(!(await ed25519Verify(key.slice(1), message, signature)))
  assert.ok(!(await ed25519Verify(new Uint8Array(32).fill(0xff), message, signature)))
  await assert.rejects(() => ed25519Sign(seed.slice(1), message), RangeError)
})
