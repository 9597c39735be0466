/** Of the packets of which nothing was played, those that a person is told of. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { ignoredPackets } from "../../src/worker/ignored.js"

const REFUSALS = new Map([["authentication_failed", 5], ["replayed", 4], ["malformed_payload", 2], ["unknown_kid", 1]])

test("whatever was refused is counted", () => {
  assert.equal(ignoredPackets(new Map(), 0), 0)
  assert.equal(ignoredPackets(REFUSALS, 0), 12)
})

test("the second copy of what goes both ways is none that was repeated by somebody", () => {
  assert.equal(ignoredPackets(REFUSALS, 1), 8)
  assert.equal(ignoredPackets(new Map([["replayed", 300]]), 300), 0)
})
