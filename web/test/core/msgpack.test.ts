import assert from "node:assert/strict"
import { test } from "node:test"
import { fromHex, toHex } from "../../src/core/bytes.js"
import { MsgpackError, OPAQUE, pack, type Packable, unpack } from "../../src/core/msgpack.js"
import { Chance, unless } from "./random.js"

const chance = new Chance(2)

// Left: what msgspec writes for it.
const PACKED: readonly (readonly [string, Packable])[] = [
  ["00", 0],
  ["7f", 127],
  ["cc80", 128],
  ["ccff", 255],
  ["cd0100", 256],
  ["cdffff", 65_535],
  ["ce00010000", 65_536],
  ["ceffffffff", 2 ** 32 - 1],
  ["cf0000000100000000", 2 ** 32],
  ["cf001fffffffffffff", 2 ** 53 - 1],
  ["ff", -1],
  ["e0", -32],
  ["d0df", -33],
  ["d080", -128],
  ["d1ff7f", -129],
  ["d18000", -32_768],
  ["d2ffff7fff", -32_769],
  ["d280000000", -(2 ** 31)],
  ["d3ffffffff7fffffff", -(2 ** 31) - 1],
  ["a0", ""],
  [`bf${"61".repeat(31)}`, "a".repeat(31)],
  [`d920${"61".repeat(32)}`, "a".repeat(32)],
  [`da0100${"61".repeat(256)}`, "a".repeat(256)],
  [`db00010000${"61".repeat(65_536)}`, "a".repeat(65_536)],
  ["c400", new Uint8Array(0)],
  [`c5 0100${"00".repeat(256)}`.replace(" ", ""), new Uint8Array(256)],
  [`c600010000${"00".repeat(65_536)}`, new Uint8Array(65_536)],
  ["90", []],
  [`9f${"01".repeat(15)}`, new Array<number>(15).fill(1)],
  [`dc0010${"01".repeat(16)}`, new Array<number>(16).fill(1)],
  ["92a16191c40100", ["a", [new Uint8Array(1)]]],
]

test("values are written in their shortest form and read back", () => {
  for (const [hex, value] of PACKED) {
    assert.equal(toHex(pack(value)), hex)
    assert.deepEqual(unpack(fromHex(hex)), value)
  }
})

test("what others may write is read: longer forms, null, booleans, wide numbers, and values we have no field for", () => {
  const read: readonly (readonly [string, unknown])[] = [
    ["cd0001", 1],
    ["d3ffffffffffffffff", -1],
    ["cfffffffffffffffff", 2n ** 64n - 1n],
    ["cf0020000000000000", 2n ** 53n],
    ["d38000000000000000", -(2n ** 63n)],
    ["d90161", "a"],
    ["dc000101", [1]],
    ["dd0000000101", [1]],
    ["c0", null],
    ["93c2c3c0", [false, true, null]],
    ["ca3f800000", OPAQUE],
    ["cb3ff0000000000000", OPAQUE],
    ["9281a16101d40100", [OPAQUE, OPAQUE]],
    ["92d8000000000000000000000000000000000001", [OPAQUE, 1]],
    ["c70201aabb", OPAQUE],
    ["df0000000101c0", OPAQUE],
  ]
  for (const [hex, value] of read) assert.deepEqual(unpack(fromHex(hex)), value, hex)
})

test("what is no value is refused", () => {
  const bad = ["", "c1", "91", "9100ff00", "a261", "d902fffe", "c402aa", "dd7fffffff", "df7fffffff01", "0000", "cc", "d401", "c8ffff01"]
  for (const hex of bad) assert.throws(() => unpack(fromHex(hex)), MsgpackError, hex)
  assert.throws(() => unpack(new Uint8Array(5000).fill(0x91)), MsgpackError)
  for (const value of [0.5, Number.NaN, Infinity, 2 ** 53]) assert.throws(() => pack(value), RangeError)
})

test("byte strings are copies", () => {
  const data = fromHex("c40101")
  const value = unpack(data) as Uint8Array
  data[2] = 9
  assert.deepEqual(value, Uint8Array.of(1))
})

function value(depth: number): Packable {
  const kind = chance.below(depth > 0 ? 4 : 3)
  if (kind === 0) return chance.integer(53) * chance.from([1, -1])
  if (kind === 1) return chance.text(chance.below(40))
  if (kind === 2) return chance.bytes(chance.below(300))
  return Array.from({ length: chance.below(20) }, () => value(depth - 1))
}

test("random values go there and back; random and damaged bytes raise nothing but MsgpackError", () => {
  for (let i = 0; i < 1000; i++) {
    const one = value(3)
    const packed = pack(one)
    assert.deepEqual(normal(unpack(packed)), normal(one))
    unless([MsgpackError], () => unpack(chance.damaged(packed)))
    unless([MsgpackError], () => unpack(chance.bytes(chance.below(60))))
  }
})

/** -0 and 0 are one integer. */
const normal = (one: unknown): unknown => (Array.isArray(one) ? one.map(normal) : one === 0 ? 0 : one)
