// The rule of voice notes against the scripts that Python answers too.
import assert from "node:assert/strict"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { Notes } from "../../../src/core/protocol/notes.js"
import { root } from "../vectors.js"

type Event = ["said", number] | ["noted", number, boolean] | ["second", number, number, number | null, number, number, number, boolean]

const FOLDER = join(root, "vectors", "notes")
const names = readdirSync(FOLDER)

test("the shared scripts are there", () => assert.ok(names.length >= 14))

for (const name of names) {
  test(`notes ${name}`, () => {
    const notes = new Notes()
    const { events } = JSON.parse(readFileSync(join(FOLDER, name), "utf8")) as { events: Event[] }
    for (const event of events) {
      if (event[0] === "said") {
        notes.said(event[1])
        continue
      }
      if (event[0] === "noted") {
        assert.equal(notes.noted(event[1]), event[2], JSON.stringify(event))
        continue
      }
      const [, percent, targetMs, told, toldMs, now, mode, due] = event
      const before = notes.mode
      const changed = notes.second({ percent, targetMs }, told === null ? null : { percent: told, targetMs: toldMs }, now)
      assert.equal(changed, notes.mode !== before, JSON.stringify(event))
      assert.deepEqual([notes.mode, notes.isPresenceDue(now)], [mode, due], JSON.stringify(event))
    }
  })
}
