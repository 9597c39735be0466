// Which devices a call uses as headsets come and go.
import assert from "node:assert/strict"
import { test } from "node:test"
import { identity, present } from "../../src/audio/devices.js"

const device = (deviceId: string, label: string, kind: "audioinput" | "audiooutput" = "audioinput") =>
  ({ kind, deviceId, groupId: label, label }) as const

const BUILT_IN = device("a", "Built-in")
const HEADSET = device("b", "Headset")

test("what was chosen is used while it is there", () => {
  assert.equal(present([BUILT_IN, HEADSET], "audioinput", "b"), "b")
  assert.equal(present([BUILT_IN], "audioinput", "b"), null)
  assert.equal(present([BUILT_IN, HEADSET], "audiooutput", "b"), null)
  assert.equal(present([BUILT_IN], "audioinput", null), null)
})

test("the system's choice is told by the device behind it", () => {
  const before = [device("default", "Default - Built-in"), BUILT_IN, HEADSET]
  const after = [device("default", "Default - Headset"), BUILT_IN, HEADSET]
  assert.notEqual(identity(before, "audioinput", null), identity(after, "audioinput", null))
  assert.equal(identity(before, "audioinput", "b"), identity(after, "audioinput", "b"))
  // A browser without such an entry names its choice first.
  assert.equal(identity([BUILT_IN, HEADSET], "audioinput", null), identity([BUILT_IN], "audioinput", "b"))
})

test("what the browser does not tell is not guessed", () => {
  assert.equal(identity([device("", "")], "audioinput", null), "")
  assert.equal(identity([], "audioinput", "b"), "")
  assert.equal(identity([device("a", "Loudspeaker", "audiooutput")], "audioinput", null), "")
})
