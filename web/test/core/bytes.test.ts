import assert from "node:assert/strict"
import { test } from "node:test"
import { bigEndian, compareBytes, concat, equalBytes, fromBase64, fromBigEndian, fromHex, toBase64, toHex } from "../../src/core/bytes.js"
import { decodeUtf8, encodeUtf8, utf8 } from "../../src/core/utf8.js"
import { Chance, unless } from "./random.js"

const chance = new Chance(1)

test("hexadecimal and base64 go there and back, as Node writes them", () => {
  for (let length = 0; length < 100; length++) {
    const bytes = chance.bytes(length)
    assert.equal(toHex(bytes), Buffer.from(bytes).toString("hex"))
    assert.equal(toBase64(bytes), Buffer.from(bytes).toString("base64"))
    assert.deepEqual(fromHex(toHex(bytes)), bytes)
    assert.deepEqual(fromBase64(toBase64(bytes)), bytes)
  }
})

test("what is no hexadecimal or base64 is refused", () => {
  for (const text of ["0", "0g", " 00", "00\n"]) assert.throws(() => fromHex(text), RangeError, text)
  for (const text of ["YQ", "Y Q=", "_-==", "YQ==\n", "YWE=YQ==", "====", "Y===", "YQ=a", "Yé=="]) {
    assert.throws(() => fromBase64(text), RangeError, text)
  }
  for (let i = 0; i < 2000; i++) unless([RangeError], () => fromBase64(chance.text(chance.below(9))))
})

test("big-endian numbers go there and back, or do not fit", () => {
  for (let i = 0; i < 500; i++) {
    const value = chance.integer(53)
    assert.equal(fromBigEndian(bigEndian(value, 8)), BigInt(value))
  }
  assert.deepEqual(bigEndian(2n ** 64n - 1n, 8), new Uint8Array(8).fill(255))
  for (const [value, length] of [[256, 1], [-1, 4], [1.5, 4], [Number.NaN, 4], [2n ** 64n, 8]] as const) {
    assert.throws(() => bigEndian(value, length), RangeError, `${value}`)
  }
})

test("bytes are compared as in Python", () => {
  const ordered = ["", "00", "0000", "01", "7f", "80", "80ff", "ff"].map(fromHex)
  ordered.forEach((a, i) => ordered.forEach((b, j) => assert.equal(Math.sign(compareBytes(a, b)), Math.sign(i - j))))
  assert.ok(equalBytes(concat(fromHex("01"), fromHex("")), fromHex("01")))
})

test("UTF-8 is strict both ways", () => {
  for (const text of ["", "a\u0000", "\ufeffmark", "я", "🙂"]) assert.equal(decodeUtf8(utf8(text)), text)
  for (const hex of ["ff", "c080", "eda080", "f5808080", "e282"]) assert.equal(decodeUtf8(fromHex(hex)), undefined, hex)
  for (const text of ["\ud800", "a\udc00b", "\udc00\ud800"]) {
    assert.equal(encodeUtf8(text), undefined)
    assert.throws(() => utf8(text), RangeError)
  }
})
