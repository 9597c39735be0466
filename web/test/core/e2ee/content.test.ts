import assert from "node:assert/strict"
import { test } from "node:test"
import { toHex } from "../../../src/core/bytes.js"
import { decodeDeterministic, encodeDeterministic, type Value } from "../../../src/core/e2ee/content/cbor.js"
import * as content from "../../../src/core/e2ee/content/index.js"
import { CBOR_DEPTH_MAX, CONTENT_BYTES_MAX, EXPIRY_SPAN_S_MAX, REACTION_BYTES_MAX } from "../../../src/core/e2ee/content/limits.js"
import { utf8 } from "../../../src/core/utf8.js"
import { Chance, unless } from "../random.js"

const chance = new Chance(12)
const random = (length: number): Uint8Array => chance.bytes(length)
const salt = (): content.Salt => chance.bytes(16) as content.Salt
const id = (): content.MessageId => Uint8Array.of(1, ...chance.bytes(31)) as content.MessageId
const callId = chance.bytes(16)
const refusedFor = (reason: content.Reason) => (error: unknown) => error instanceof content.ContentError && error.reason === reason
const meant = (message: content.MimiContent): content.Meaning => content.interpret(content.decode(content.encode(message)))

test("what we say is what is understood", () => {
  const [first, second] = [id(), id()]
  assert.deepEqual(meant(content.textMessage(salt(), "Hello ☕")), { kind: "text", text: "Hello ☕", markdown: false })
  assert.deepEqual(meant(content.textMessage(salt(), "**x**", { markdown: true })), { kind: "text", text: "**x**", markdown: true })
  const full = content.textMessage(salt(), "x", {
    inReplyTo: first, replaces: second, topicId: utf8("t"), expires: { relative: true, timeS: 60 },
  })
  assert.deepEqual(content.decode(content.encode(full)), full)
  const reaction = content.reactionMessage(salt(), "👍", first)
  assert.deepEqual(meant(reaction), { kind: "reaction", text: "👍" })
  assert.deepEqual(reaction.inReplyTo, first)
  assert.deepEqual(meant(content.deleteMessage(salt(), first)), { kind: "deletion" })
  const takenBack = content.deleteMessage(salt(), first, { reactionTo: second })
  assert.deepEqual([meant(takenBack), takenBack.replaces, takenBack.inReplyTo], [{ kind: "deletion" }, first, second])
  const marks = [{ messageId: first, status: content.Status.READ }]
  assert.deepEqual(meant(content.statusMessage(salt(), marks)), { kind: "status", marks })
  const offer: content.CallBody = { kind: "offer", callId, createdMs: 5, expiresMs: 60_005, media: [content.MEDIA_DEFAULT] }
  assert.deepEqual(meant(content.callMessage(salt(), offer)), { kind: "call", body: offer })
})

test("a file with a caption is both; what cannot be shown is said to be unknown", async () => {
  const part = await content.sealedPart(await content.sealFile(utf8("picture"), random), { urlOf: toHex, contentType: "image/png", filename: "a.png" })
  assert.deepEqual(meant(content.attachmentMessage(salt(), part)), { kind: "attachment", part })
  const words: content.Meaning = { kind: "text", text: "look", markdown: false }
  const captioned = content.attachmentMessage(salt(), part, { caption: "look", inReplyTo: id() })
  assert.deepEqual(meant(captioned), { kind: "several", items: [words, { kind: "attachment", part }] })
  const odd: content.SinglePart = { part: "single", disposition: 1, language: "", contentType: "application/x-odd", content: utf8("?") }
  const plain = content.textMessage(salt(), "look").body
  const body = (semantics: number, parts: content.NestedPart[]): content.MimiContent => ({
    ...captioned, body: { part: "multi", disposition: 1, language: "", semantics, parts },
  })
  assert.deepEqual(meant({ ...captioned, body: odd }), { kind: "unknown", contentType: "application/x-odd" })
  assert.deepEqual(meant(body(content.Semantics.CHOOSE_ONE, [odd, plain])), words)
  assert.deepEqual(meant(body(content.Semantics.SINGLE_UNIT, [odd, plain])), { kind: "unknown", contentType: "" })
  assert.deepEqual(meant(body(content.Semantics.SINGLE_UNIT, [plain, plain])), { kind: "several", items: [words, words] })
  assert.deepEqual(meant({ ...captioned, body: { part: "null", disposition: 1, language: "" } }), { kind: "unknown", contentType: "" })
})

test("bodies that break their type's rules are refused", () => {
  const bad = { ...content.reactionMessage(salt(), "x".repeat(REACTION_BYTES_MAX + 1), id()) }
  assert.throws(() => content.interpret(bad), refusedFor("too_long"))
  const body: content.SinglePart = { part: "single", disposition: 1, language: "", contentType: "Text/Plain ; charset=utf-8", content: Uint8Array.of(0xff) }
  assert.throws(() => content.interpret({ ...bad, body }), refusedFor("bad_utf8"))
  assert.throws(() => content.textMessage(salt(), "\ud800"), refusedFor("bad_utf8"))
  assert.throws(() => content.encode(content.textMessage(salt(), "x".repeat(CONTENT_BYTES_MAX))), refusedFor("too_large"))
  const late: content.CallBody = { kind: "offer", callId, createdMs: 0, expiresMs: 60_001, media: [content.MEDIA_DEFAULT] }
  assert.throws(() => content.callMessage(salt(), late), refusedFor("bad_body"))
})

test("a message names its sender and room as MLS does, or not at all", () => {
  const [sender, room] = [content.senderUri(new Uint8Array(16)), content.roomUri(new Uint8Array(16).fill(0xaa))]
  assert.deepEqual([sender, room], [`ringthrough:u/${"00".repeat(16)}`, `ringthrough:r/${"aa".repeat(16)}`])
  const message = content.textMessage(salt(), "x")
  content.checkContext(message, sender, room)
  content.checkContext({ ...message, extensions: new Map([[1, sender], [2, room]]) }, sender, room)
  assert.throws(() => content.checkContext({ ...message, extensions: new Map([[1, room]]) }, sender, room), refusedFor("wrong_sender"))
  assert.throws(() => content.checkContext({ ...message, extensions: new Map([[2, sender]]) }, sender, room), refusedFor("wrong_room"))
})

test("an expiry is within a year, either way", () => {
  const expiring = (relative: boolean, timeS: number): content.MimiContent => content.textMessage(salt(), "x", { expires: { relative, timeS } })
  const now = 1_700_000_000
  for (const message of [expiring(true, EXPIRY_SPAN_S_MAX), expiring(false, now - EXPIRY_SPAN_S_MAX), content.textMessage(salt(), "x")]) {
    content.checkExpiry(message, now)
  }
  for (const message of [expiring(true, EXPIRY_SPAN_S_MAX + 1), expiring(false, now + EXPIRY_SPAN_S_MAX + 1)]) {
    assert.throws(() => content.checkExpiry(message, now), refusedFor("implausible_expiry"))
  }
})

test("message ids differ by sender, room and salt", async () => {
  const encoded = content.encode(content.textMessage(salt(), "x"))
  const ids = [
    await content.messageId(encoded, "a", "b"),
    await content.messageId(encoded, "ab", ""),
    await content.messageId(encoded, "a", "c"),
    await content.messageId(content.encode(content.textMessage(salt(), "x")), "a", "b"),
  ].map(toHex)
  assert.equal(new Set(ids).size, ids.length)
  await assert.rejects(() => content.messageId(encoded.slice(0, 17), "a", "b"), refusedFor("bad_structure"))
  await assert.rejects(() => content.messageId(encoded, "a".repeat(2049), "b"), refusedFor("too_long"))
})

test("files open with what the part says, and with nothing else", async () => {
  for (const algorithm of [content.EncAlg.AES_128_GCM, content.EncAlg.AES_256_GCM]) {
    const sealed = await content.sealFile(utf8("file"), random, algorithm)
    const part = await content.sealedPart(sealed, { urlOf: toHex, contentType: "text/plain" })
    assert.deepEqual(await content.openFile(part, sealed.blob), utf8("file"))
    assert.deepEqual(await content.openFile({ ...part, size: 0 }, sealed.blob), utf8("file"))
    const refuses = (change: Partial<content.ExternalPart>, reason: content.Reason, blob = sealed.blob): Promise<void> =>
      assert.rejects(() => content.openFile({ ...part, ...change }, blob), refusedFor(reason))
    await refuses({ size: 1 }, "hash_mismatch")
    await refuses({}, "hash_mismatch", sealed.blob.slice(1))
    await refuses({ size: 0 }, "hash_mismatch", sealed.blob.map((byte, i) => (i === 0 ? byte ^ 1 : byte)))
    await refuses({ contentHash: new Uint8Array(32) }, "hash_mismatch")
    await refuses({ key: chance.bytes(part.key.length) }, "decryption_failed")
    await refuses({ key: chance.bytes(24) }, "decryption_failed")
    await refuses({ nonce: chance.bytes(12) }, "decryption_failed")
    await refuses({ encAlg: content.EncAlg.NONE }, "unsupported_algorithm")
    await refuses({ hashAlg: content.HashAlg.NONE }, "unsupported_algorithm")
  }
  await assert.rejects(() => content.sealFile(utf8("file"), random, 0), refusedFor("unsupported_algorithm"))
})

function value(depth: number): Value {
  switch (chance.below(depth > 0 ? 8 : 6)) {
    case 0:
      return null
    case 1:
      return chance.below(2) === 0
    case 2:
      return chance.integer(53) * chance.from([1, -1]) + 0
    case 3:
      return (BigInt(chance.integer(53)) << 11n) * chance.from([1n, -1n]) + chance.from([0n, 2n ** 53n])
    case 4:
      return chance.text(chance.below(30))
    case 5:
      return chance.bytes(chance.below(30))
    case 6:
      return Array.from({ length: chance.below(30) }, () => value(depth - 1))
    default:
      return new Map(Array.from({ length: chance.below(9) }, () => [chance.from([chance.integer(30), chance.text(5)]), value(depth - 1)]))
  }
}

/** Numbers and bigints of one value are one integer, and a map has no order. */
function normal(one: Value): unknown {
  if (typeof one === "number") return BigInt(one)
  if (Array.isArray(one)) return (one as readonly Value[]).map(normal)
  if (!(one instanceof Map)) return one
  const pairs = [...(one as ReadonlyMap<string | number, Value>)].map(([key, item]) => [`${typeof key} ${key}`, normal(item)] as const)
  return pairs.sort(([a], [b]) => (a < b ? -1 : 1))
}

test("values have one encoding, whatever the order of their maps; damage raises nothing but ContentError", () => {
  for (let i = 0; i < 800; i++) {
    const one = value(3)
    const encoded = encodeDeterministic(one)
    const decoded = decodeDeterministic(encoded)
    assert.deepEqual(normal(decoded), normal(one))
    assert.equal(toHex(encodeDeterministic(decoded)), toHex(encoded))
    const damaged = chance.damaged(encoded)
    const read = unless([content.ContentError], () => decodeDeterministic(damaged))
    if (read !== undefined) assert.equal(toHex(encodeDeterministic(read)), toHex(damaged), "two encodings of one value")
    unless([content.ContentError], () => decodeDeterministic(chance.bytes(chance.below(40))))
  }
})

test("what has no encoding is refused", () => {
  let deep: Value = 1
  for (let i = 0; i < CBOR_DEPTH_MAX; i++) deep = [deep]
  const bad: readonly (readonly [unknown, content.Reason])[] = [
    [deep, "too_deep"],
    [0.5, "unsupported_value"],
    [2 ** 53, "unsupported_value"],
    [2n ** 64n, "unsupported_value"],
    [undefined, "unsupported_value"],
    [{ a: 1 }, "unsupported_value"],
    ["\udc00", "bad_utf8"],
    [new Map([["\udc00", 1]]), "bad_utf8"],
    [new Map([[2 ** 53, 1]]), "bad_key"],
    [new Map([[true, 1]]), "bad_key"],
    [new Map([[Uint8Array.of(1), 1], [Uint8Array.of(1), 2]]), "duplicate_key"],
  ]
  for (const [one, reason] of bad) assert.throws(() => encodeDeterministic(one as Value), refusedFor(reason), String(reason))
  assert.equal(toHex(encodeDeterministic(-0)), "00")
})

test("messages and bodies out of damaged or random bytes: nothing but ContentError, and one encoding each", async () => {
  const part = await content.sealedPart(await content.sealFile(utf8("picture"), random), { urlOf: toHex, contentType: "image/png", filename: "a.png" })
  const offer: content.CallBody = { kind: "offer", callId, createdMs: 5, expiresMs: 60_005, media: [content.MEDIA_DEFAULT] }
  const messages = [
    content.textMessage(salt(), "Hello", { inReplyTo: id() }),
    content.attachmentMessage(salt(), part, { caption: "look" }),
    content.callMessage(salt(), offer),
    content.statusMessage(salt(), [{ messageId: id(), status: 1 }]),
  ].map(content.encode)
  for (let i = 0; i < 1500; i++) {
    const damaged = chance.damaged(chance.from(messages))
    unless([content.ContentError], () => {
      const message = content.decode(damaged)
      assert.equal(toHex(content.encode(message)), toHex(damaged))
      content.interpret(message)
    })
    for (const decode of [content.decode, content.decodeCall, content.decodeStatus]) {
      unless([content.ContentError], () => decode(chance.bytes(chance.below(50))))
    }
  }
})
