/** Frames of nothing, and what is learnt from them, as Python does it. */

import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { test } from "node:test"
import { Rehearsed, rehearsal } from "../../../src/core/audio/rehearsal.js"
import { fromHex, toHex } from "../../../src/core/bytes.js"

interface Vectors {
  readonly frame: { readonly name: string; readonly now_ms: number; readonly noise: string; readonly frame: string }
  readonly cases: readonly { readonly name: string; readonly came: readonly [number, string, boolean][]; readonly reach_ms: number; readonly takes_short: boolean }[]
}

const file = new URL("../../../../../vectors/rehearsal/rehearsals.json", import.meta.url)
const { frame, cases } = JSON.parse(readFileSync(file, "utf8")) as Vectors

test("a frame of nothing", () => {
  assert.equal(toHex(rehearsal(fromHex(frame.name), frame.now_ms, fromHex(frame.noise), true)), frame.frame)
})

for (const { name, came, reach_ms, takes_short } of cases) {
  test(`what came: ${name}`, () => {
    const rehearsed = new Rehearsed()
    for (const [at, body, isRehearsal] of came) assert.equal(rehearsed.arrived(fromHex(body), at), isRehearsal)
    assert.deepEqual([rehearsed.reachMs, rehearsed.takesShort], [reach_ms, takes_short])
  })
}
