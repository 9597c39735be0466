// Signalling of the direct channel against the payloads that Python answers too.
import assert from "node:assert/strict"
import { test } from "node:test"
import { fromHex, toHex } from "../../../src/core/bytes.js"
import { ContentError } from "../../../src/core/e2ee/content/errors.js"
import { decodeDirect, directBaseKey, encodeDirect } from "../../../src/core/e2ee/direct.js"
import { cases, load, plain } from "../vectors.js"

const document = load("direct", "messages.json", ["messages.json"])

test("the signalling key is made from the call's", async () => {
  const keys = document["keys"] as Record<string, string>
  assert.equal(toHex(await directBaseKey(fromHex(keys["base_key"]!))), keys["direct_base_key"])
})

for (const { name, expect, payload, message } of cases(document)) {
  test(`direct ${name}`, () => {
    const bytes = fromHex(payload as string)
    if (expect === "ok") {
      assert.deepEqual(plain(decodeDirect(bytes)), message)
      assert.deepEqual(encodeDirect(decodeDirect(bytes)), bytes)
    } else assert.throws(() => decodeDirect(bytes), (error) => error instanceof ContentError && error.reason === expect)
  })
}
