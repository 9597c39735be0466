// The lanes of a hop and the connections of a call against the scripts that Python answers too.
import assert from "node:assert/strict"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { bigEndian, fromBigEndian } from "../../../src/core/bytes.js"
import { Controller, type Level } from "../../../src/core/protocol/lane-control.js"
import { LanePlan } from "../../../src/core/protocol/lane-plan.js"
import { type LaneId, LaneReceiver, LaneSender, type Transmission } from "../../../src/core/protocol/lanes.js"
import { root } from "../vectors.js"

type Sent = [lane: number, seq: number, sentMs: number, number: number][]
type HopEvent =
  | ["open", LaneId, number]
  | ["close", LaneId, number, Sent]
  | ["writable", LaneId, boolean]
  | ["send", number, number, Sent]
  | ["acked", LaneId, number, number, Level, boolean, boolean, number]
  | ["tick", number, Sent]
  | ["arrived", LaneId, number, number, boolean, number, boolean, [delayMs: number, level: Level, isSparing: boolean] | null]
  | ["heard", Level, boolean, number]
  | ["gone", LaneId]
  | ["short"]
  | ["stalls", number]
  | ["look", number, Record<string, unknown>]
type PlanEvent =
  | ["dialled", number]
  | ["dial_ended"]
  | ["refused", number]
  | ["sounds"]
  | ["opened", LaneId, number]
  | ["received", LaneId, number]
  | ["closed", LaneId, number, boolean]
  | ["step", number, LaneId[], boolean, boolean, number, boolean, LaneId[], number | null, number | null]

const FOLDER = join(root, "vectors", "lanes")
const names = readdirSync(FOLDER)

function events<Kind>(name: string): { readonly first_seq: number; readonly events: readonly Kind[] } {
  return JSON.parse(readFileSync(join(FOLDER, name), "utf8")) as { first_seq: number; events: Kind[] }
}

const sent = (transmissions: readonly Transmission[]): Sent =>
  transmissions.map(({ lane, seq, sentMs, body }) => [lane, seq, sentMs, Number(fromBigEndian(body))])

/** Everything that a hop tells of itself, as the scripts name it. */
function look(sender: LaneSender, nowMs: number): Record<string, unknown> {
  const { controller } = sender
  return {
    level: controller.level,
    lanes_wanted: controller.lanesWanted,
    round_trip_ms: controller.roundTripMs,
    resend_after_ms: controller.resendAfterMs,
    resends: controller.resends(nowMs),
    queued_ms_max: controller.queuedMsMax(nowMs),
    queueing_ms: controller.queueingMs(nowMs),
    miss_share: controller.missShare(nowMs),
    is_narrow: controller.isNarrow(nowMs),
    is_sparing: controller.isSparing(nowMs),
    sends_short: controller.sendsShort,
    lanes: sender.lanes,
    stalled: sender.stalled(nowMs),
    is_silent: sender.isSilent(nowMs),
    is_stuck: sender.isStuck(nowMs),
    due_ms: sender.dueMs,
    copies_sent: sender.copiesSent,
    frames_dropped: sender.framesDropped,
  }
}

test("the shared scripts are there", () => assert.ok(names.length >= 17))

for (const name of names.filter((one) => !one.startsWith("plan-"))) {
  test(`hop ${name}`, () => {
    const script = events<HopEvent>(name)
    const writable = new Map<LaneId, boolean>()
    const sender = new LaneSender(new Controller(), (lane) => writable.get(lane) ?? true, script.first_seq)
    const [receiver, back] = [new LaneReceiver(), new Controller()]
    script.events.forEach((event, index) => {
      const at = `event ${index}: ${JSON.stringify(event)}`
      switch (event[0]) {
        case "open":
          return sender.open(event[1])
        case "close":
          return assert.deepEqual(sent(sender.close(event[1], event[2])), event[3], at)
        case "writable":
          return void writable.set(event[1], event[2])
        case "send":
          return assert.deepEqual(sent(sender.send(bigEndian(event[1], 4), event[2])), event[3], at)
        case "acked": {
          const [, lane, seq, delayMs, level, isNarrow, isSparing, nowMs] = event
          return sender.acked(lane, { seq, delayMs, level, isNarrow, isSparing }, nowMs)
        }
        case "tick":
          return assert.deepEqual(sent(sender.tick(event[1])), event[2], at)
        case "arrived": {
          const [, lane, seq, sentMs, isNarrow, nowMs, isNew, answer] = event
          const ack = answer && { seq, delayMs: answer[0], level: answer[1], isNarrow, isSparing: answer[2] }
          return assert.deepEqual(receiver.arrived(lane, seq, sentMs, nowMs, back, isNarrow), [isNew, ack], at)
        }
        case "heard":
          return back.heard(event[1], false, event[2], event[3])
        case "gone":
          return receiver.closed(event[1])
        case "short":
          return sender.controller.allowShort()
        case "stalls":
          return sender.controller.stalled(event[1])
        case "look":
          return assert.deepEqual(look(sender, event[1]), event[2], at)
      }
    })
  })
}

for (const name of names.filter((one) => one.startsWith("plan-"))) {
  test(`plan ${name}`, () => {
    const plan = new LanePlan(0)
    events<PlanEvent>(name).events.forEach((event, index) => {
      switch (event[0]) {
        case "dialled":
          return plan.dialled(event[1])
        case "dial_ended":
          return plan.dialEnded()
        case "refused":
          return plan.refused(event[1])
        case "sounds":
          return void (plan.isSounding = true)
        case "opened":
          return plan.opened(event[1], event[2])
        case "received":
          return plan.received(event[1], event[2])
        case "closed":
          return plan.closed(event[1], event[2], event[3])
        case "step": {
          const [, wanted, stalled, silent, stuck, nowMs, dial, leave, freezeBytes, lanesMax] = event
          const steps = plan.step(wanted, stalled, nowMs, { silent, stuck })
          return assert.deepEqual([steps, plan.freezeBytes, plan.lanesMax], [{ dial, leave }, freezeBytes, lanesMax], `event ${index}`)
        }
      }
    })
  })
}
