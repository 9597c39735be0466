// Every case of vectors/content, decoded and encoded back, or refused for the reason it names.
import assert from "node:assert/strict"
import { test } from "node:test"
import { fromHex, toHex } from "../../../src/core/bytes.js"
import * as content from "../../../src/core/e2ee/content/index.js"
import { type Case, cases, load, plain } from "../vectors.js"

const FILES = ["messages.json", "bodies.json"]
const MESSAGES = load("content", "messages.json", FILES)
const BODIES = load("content", "bodies.json", FILES)

const refusedFor = (reason: string) => (error: unknown) => error instanceof content.ContentError && error.reason === reason

function partForm(part: content.NestedPart): object {
  const { part: cardinality, ...fields } = part
  if (part.part !== "multi") return { ...(plain(fields) as object), cardinality }
  return { disposition: part.disposition, language: part.language, cardinality, semantics: part.semantics, parts: part.parts.map(partForm) }
}

function messageForm(message: content.MimiContent): object {
  const { body, expires, extensions, ...fields } = message
  return {
    ...(plain(fields) as object),
    expires: expires === null ? null : [expires.relative, expires.timeS],
    extensions: [...extensions].map(([key, value]) => [key, plain(value)]),
    body: partForm(body),
  }
}

function callForm(body: content.CallBody): unknown {
  return plain(body.kind === "offer" ? { ...body, media: body.media.map((choice) => Object.values(choice)) } : body)
}

for (const { name, expect, hex, message, message_id } of cases(MESSAGES)) {
  test(`message: ${name}`, async () => {
    const raw = fromHex(String(hex))
    if (expect !== "ok") return assert.throws(() => content.decode(raw), refusedFor(expect))
    const decoded = content.decode(raw)
    assert.deepEqual(messageForm(decoded), message)
    assert.equal(toHex(content.encode(decoded)), hex)
    const id = await content.messageId(raw, String(MESSAGES["sender"]), String(MESSAGES["room"]))
    return assert.equal(toHex(id), message_id)
  })
}

function checkBody({ body, hex, decoded }: Case, raw: Uint8Array): void {
  if (body === "call") {
    const call = content.decodeCall(raw)
    assert.deepEqual(callForm(call), decoded)
    return assert.equal(toHex(content.encodeCall(call)), hex)
  }
  if (body === "note") {
    const note = content.decodeNote(raw)
    assert.deepEqual(plain(note), decoded)
    return assert.equal(toHex(content.encodeNote(note)), hex)
  }
  assert.equal(body, "status", "a body that nobody reads")
  const marks = content.decodeStatus(raw)
  assert.deepEqual(marks.map(({ messageId, status }) => [toHex(messageId), status]), decoded)
  return assert.equal(toHex(content.encodeStatus(marks)), hex)
}

for (const one of cases(BODIES)) {
  test(`body: ${one.name}`, () => {
    const raw = fromHex(String(one["hex"]))
    if (one.expect === "ok") return checkBody(one, raw)
    const decode = { call: content.decodeCall, note: content.decodeNote, status: content.decodeStatus }[String(one["body"])]
    return assert.throws(() => decode?.(raw), refusedFor(one.expect))
  })
}

test("every reason of the format has a vector", () => {
  const used = new Set([...cases(MESSAGES), ...cases(BODIES)].map(({ expect }) => expect))
  const elsewhere = ["too_large", "wrong_sender", "wrong_room", "implausible_expiry", "unsupported_algorithm", "hash_mismatch", "decryption_failed"]
  const expected = Object.values(content.Reason).filter((reason) => !elsewhere.includes(reason))
  assert.deepEqual([...used].filter((reason) => reason !== "ok").sort(), [...expected].sort())
})
