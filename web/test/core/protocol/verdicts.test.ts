// Each restriction's own verdict, by the scripts that Python answers too.
import assert from "node:assert/strict"
import { test } from "node:test"
import { type Sample, UNDISTURBED, Watch } from "../../../src/core/protocol/verdicts.js"
import { load, snake } from "../vectors.js"

type Step = readonly [nowMs: number, fields: Record<string, unknown> | null, verdicts: readonly string[]]

const FILES = ["rules.json", "wild.json"]
const NAMES = new Map(Object.keys(UNDISTURBED).map((name) => [snake(name), name]))

function sample(fields: Record<string, unknown>): Sample {
  const known = Object.entries(fields).map(([name, value]) => {
    const own = NAMES.get(name)
    assert.ok(own !== undefined, name)
    return [own, value]
  })
  return { ...UNDISTURBED, ...(Object.fromEntries(known) as Partial<Sample>) }
}

for (const file of FILES) {
  for (const { name, steps } of load("verdicts", file, FILES)["cases"] as { name: string; steps: readonly Step[] }[]) {
    test(`verdicts: ${name}`, () => {
      const watch = new Watch(0)
      steps.forEach(([nowMs, fields, expected], index) => {
        if (fields !== null) watch.note(sample(fields), nowMs)
        assert.deepEqual(watch.verdicts(nowMs), expected, `step ${index}`)
      })
    })
  }
}
