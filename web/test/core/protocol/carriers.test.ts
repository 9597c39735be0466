// The carriers of a call against the scripts that Python answers too.
import assert from "node:assert/strict"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { bigEndian, fromBigEndian } from "../../../src/core/bytes.js"
import { Arrivals, Attempts, Carriers } from "../../../src/core/protocol/carriers.js"
import { root } from "../vectors.js"

type Event =
  | ["opened" | "narrow" | "wanted" | "began" | "ready" | "ended" | "refused", number]
  | ["closed", number, number[], boolean]
  | ["send", number, number, number | null, boolean, number]
  | ["acked", number, number, number]
  | ["tick", number, number[], number, boolean, number, boolean]
  | ["by_lanes", number, number]
  | ["by_direct", number, number, number]
  | ["step", number, number]

const FOLDER = join(root, "vectors", "carriers")
const names = readdirSync(FOLDER)
const numbers = (bodies: readonly Uint8Array[]): number[] => bodies.map((body) => Number(fromBigEndian(body)))

test("the shared scripts are there", () => assert.ok(names.length >= 7))

for (const name of names) {
  test(`carriers ${name}`, () => {
    const [carriers, arrivals, attempts] = [new Carriers(), new Arrivals(), new Attempts(true)]
    const { events } = JSON.parse(readFileSync(join(FOLDER, name), "utf8")) as { events: Event[] }
    for (const event of events) {
      const at = JSON.stringify(event)
      switch (event[0]) {
        case "opened":
          carriers.opened(event[1])
          break
        case "narrow":
          carriers.makeRoom(event[1])
          break
        case "closed":
          assert.deepEqual([numbers(carriers.closed(event[1])), carriers.wasBad], event.slice(2), at)
          break
        case "send":
          assert.deepEqual(carriers.send(bigEndian(event[1], 4), event[2]), { seq: event[3], lanes: event[4] }, at)
          assert.equal(carriers.way, event[5], at)
          break
        case "acked":
          carriers.acked(event[1], event[2], event[3])
          break
        case "tick":
          assert.deepEqual([numbers(carriers.tick(event[1])), carriers.way, carriers.isLost, carriers.lateMs, carriers.isWorse], event.slice(2), at)
          break
        case "by_lanes":
          arrivals.byLanes(event[1], event[2])
          break
        case "by_direct":
          assert.equal(arrivals.byDirect(event[1], event[2]), event[3], at)
          break
        case "step":
          assert.equal(attempts.step(event[1]), event[2], at)
          break
        case "ready":
          attempts.opened(event[1])
          break
        default:
          attempts[event[0]](event[1])
      }
    }
  })
}
