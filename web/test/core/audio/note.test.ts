/** Packets of voice notes: the cases that Python reads too. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { MalformedNote } from "../../../src/core/audio/errors.js"
import { noteSlots } from "../../../src/core/audio/note.js"
import { fromHex } from "../../../src/core/bytes.js"
import { cases, load } from "../vectors.js"

for (const { name, expect, packets, slots } of cases(load("note-sounds", "notes.json", ["notes.json"]))) {
  test(`${name} [CANNOT-FORGE]`, () => {
    const bytes = (packets as readonly string[]).map(fromHex)
    if (expect === "ok") assert.equal(noteSlots(bytes), slots)
    else assert.throws(() => noteSlots(bytes), MalformedNote)
  })
}
