// Invitations: sealed to one device, padded, and refused when anything about them is wrong.
import assert from "node:assert/strict"
import { test } from "node:test"
import { Aes128Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from "@hpke/core"
import { bigEndian, concat, fromHex, toHex } from "../../../src/core/bytes.js"
import { generateInboxKey, InboxError, type Invitation, openInvitation, sealInvitation } from "../../../src/core/e2ee/inbox.js"
import { INBOX_INFO } from "../../../src/core/labels.js"
import { paddedSize } from "../../../src/core/protocol/limits.js"
import { utf8 } from "../../../src/core/utf8.js"
import { Chance } from "../random.js"
import { load, plain } from "../vectors.js"

interface Sealed {
  readonly name: string
  readonly inbox: string
  readonly inbox_private_key: string
  readonly record: string
  readonly invitation: { readonly [field: string]: unknown }
}
const FILES = ["invitations.json", "sealed.json"]
const SEALED = load("inbox", "sealed.json", FILES)["cases"] as readonly (Sealed & { readonly inbox_key: string; readonly random: string })[]
const VECTORS = load("inbox", "invitations.json", FILES) as unknown as {
  readonly accepted: readonly Sealed[]
  readonly refused: readonly { readonly name: string; readonly body: string }[]
}
const chance = new Chance(11)
const random = (length: number): Uint8Array => chance.bytes(length)
const INBOX = new Uint8Array(16).fill(1)
const KEYS = await generateInboxKey()
const INVITATION: Invitation = {
  origin: "https://a.example",
  stream: new Uint8Array(16).fill(2),
  fromSeq: 7,
  isDirect: true,
  title: "tea",
  welcome: utf8("welcome"),
}
const REFERENCE = { sha256: new Uint8Array(32).fill(3), key: new Uint8Array(16).fill(4), nonce: new Uint8Array(12).fill(5) }

/** As the vectors write it. */
function form({ welcome, ...fields }: Invitation): unknown {
  return plain({ ...fields, welcome: welcome instanceof Uint8Array ? welcome : [welcome.sha256, welcome.key, welcome.nonce] })
}

for (const { name, inbox, inbox_private_key, record, invitation } of [...VECTORS.accepted, ...SEALED]) {
  test(`vector that opens: ${name}`, async () => {
    assert.deepEqual(form(await openInvitation(fromHex(record), fromHex(inbox_private_key), fromHex(inbox))), invitation)
  })
}

for (const { name, inbox, inbox_key, inbox_private_key, record, random: bytes } of SEALED) {
  test(`vector that is sealed to the byte: ${name}`, async () => {
    const invitation = await openInvitation(fromHex(record), fromHex(inbox_private_key), fromHex(inbox))
    const sealed = await sealInvitation(invitation, fromHex(inbox_key), fromHex(inbox), { pad: paddedSize, random: () => fromHex(bytes) })
    assert.equal(toHex(sealed), record)
  })
}

/** A record with any bytes inside the seal. */
async function sealRaw(padded: Uint8Array): Promise<Uint8Array> {
  const suite = new CipherSuite({ kem: new DhkemX25519HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes128Gcm() })
  const recipientPublicKey = await suite.kem.deserializePublicKey(KEYS.publicKey)
  const sender = await suite.createSenderContext({ recipientPublicKey, info: utf8(INBOX_INFO) })
  return concat(new Uint8Array(sender.enc), new Uint8Array(await sender.seal(padded, INBOX)))
}

for (const { name, body } of VECTORS.refused) {
  test(`vector to be refused: ${name}`, async () => {
    const content = fromHex(body)
    const record = await sealRaw(concat(bigEndian(content.length, 4), content))
    await assert.rejects(() => openInvitation(record, KEYS.privateKey, INBOX), InboxError)
  })
}

test("half of the vectors are to be refused", () => assert.ok(VECTORS.refused.length >= VECTORS.accepted.length))

test("there and back at a padded size", async () => {
  for (const invitation of [INVITATION, { ...INVITATION, isDirect: false, welcome: REFERENCE, title: "Чай" }]) {
    const record = await sealInvitation(invitation, KEYS.publicKey, INBOX, { pad: paddedSize, random })
    assert.equal(record.length, invitation === INVITATION ? 160 : 320)
    assert.deepEqual(await openInvitation(record, KEYS.privateKey, INBOX), invitation)
  }
})

test("the same randomness seals the same record", async () => {
  const seal = (seed: number): Promise<Uint8Array> => {
    const same = new Chance(seed)
    return sealInvitation(INVITATION, KEYS.publicKey, INBOX, { pad: paddedSize, random: (length) => same.bytes(length) })
  }
  assert.equal(toHex(await seal(1)), toHex(await seal(1)))
  assert.notEqual(toHex(await seal(1)), toHex(await seal(2)))
})

test("for another device or another inbox it stays shut", async () => {
  const record = await sealInvitation(INVITATION, KEYS.publicKey, INBOX, { pad: paddedSize, random })
  const other = await generateInboxKey()
  await assert.rejects(() => openInvitation(record, other.privateKey, INBOX), InboxError)
  await assert.rejects(() => openInvitation(record, KEYS.privateKey, new Uint8Array(16)), InboxError)
})

test("no bit may be changed, and random bytes raise nothing but InboxError", async () => {
  const record = await sealInvitation(INVITATION, KEYS.publicKey, INBOX, { pad: paddedSize, random })
  for (let at = 0; at < record.length; at += 7) {
    const damaged = record.slice()
    damaged[at] = (damaged[at] ?? 0) ^ 1
    await assert.rejects(() => openInvitation(damaged, KEYS.privateKey, INBOX), InboxError)
  }
  for (let i = 0; i < 60; i++) {
    await assert.rejects(() => openInvitation(chance.bytes(chance.below(200)), KEYS.privateKey, INBOX), InboxError)
    const inside = await sealRaw(chance.bytes(chance.below(60)))
    await assert.rejects(() => openInvitation(inside, KEYS.privateKey, INBOX), InboxError)
  }
})

test("what is no key seals nothing", async () => {
  for (const key of [new Uint8Array(31), new Uint8Array(32)]) {
    await assert.rejects(() => sealInvitation(INVITATION, key, INBOX, { pad: paddedSize, random }), InboxError)
  }
})
