// The call machine as conversation scripts; the language is in docs/spec/media.md section 10.
import assert from "node:assert/strict"
import { test } from "node:test"
import {
  type Action,
  CALL_ID_BYTES,
  type CallEvent,
  type CallId,
  CallMachine,
  type ConversationId,
  EndReason,
  HangupReason,
  Kind,
  type LeafIndex,
  State,
  TRANSITIONS,
} from "../../../src/core/protocol/calls.js"
import { utf8 } from "../../../src/core/utf8.js"
import { Chance } from "../random.js"
import { cases, load } from "../vectors.js"

const CASES = cases(load("calls", "machine.json", ["machine.json"]))
const ROOM = utf8("room") as ConversationId
const ELSEWHERE = utf8("elsewhere") as ConversationId

const callId = (word: string | undefined): CallId => new Uint8Array(CALL_ID_BYTES).fill(Number(word)) as CallId
const leafIndex = (word: string | undefined): LeafIndex => Number(word) as LeafIndex

function known<T extends string>(kinds: Record<string, T>, word: string | undefined): T {
  const found = Object.values(kinds).find((kind) => kind === word)
  assert.ok(found, `script: unknown word ${word}`)
  return found
}

/** `answer 20 from 2 [own] [sent 0] [reason hung_up] [to 3] [elsewhere]` */
function remoteEvent([kind, id, , leaf, ...rest]: readonly string[]): CallEvent {
  const options = rest[Symbol.iterator]()
  const next = (): string | undefined => options.next().value
  let event: CallEvent = {
    kind: known(Kind, kind),
    callId: callId(id),
    conversation: ROOM,
    leaf: leafIndex(leaf),
    own: false,
    sentMs: 0,
    reason: HangupReason.HUNG_UP,
    toLeaf: null,
  }
  for (const option of options) {
    if (option === "own") event = { ...event, own: true }
    else if (option === "elsewhere") event = { ...event, conversation: ELSEWHERE }
    else if (option === "sent") event = { ...event, sentMs: Number(next()) }
    else if (option === "reason") event = { ...event, reason: known(HangupReason, next()) }
    else if (option === "to") event = { ...event, toLeaf: leafIndex(next()) }
    else assert.fail(`script: unknown option ${option}`)
  }
  return event
}

function written(action: Action): string {
  switch (action.action) {
    case "send": {
      const { kind, callId: id, conversation, reason, toLeaf } = action
      const words = ["send", kind, String(id[0]), ...(reason ? [reason] : []), ...(toLeaf === null ? [] : ["to", String(toLeaf)])]
      return [...words, ...(conversation === ELSEWHERE ? ["elsewhere"] : [])].join(" ")
    }
    case "start_audio":
      return `start audio ${action.callId[0]} with ${action.peer}`
    case "ring":
      return `ring ${action.callId[0]}`
    case "ended":
      return `ended ${action.reason}`
    case "refused":
      return `refused ${action.what}`
    default:
      return action.action.replace("_", " ")
  }
}

function feed(machine: CallMachine, [word, ...rest]: readonly string[], nowMs: number): readonly Action[] {
  switch (word) {
    case "place":
      return machine.place(callId(rest[0]), ROOM, nowMs)
    case "remote":
      return machine.remote(remoteEvent(rest), nowMs)
    case "frame":
      return machine.frameOpened(leafIndex(rest[1]), nowMs, rest[2] === "own")
    case "audio":
      return machine.audioHeard(nowMs)
    case "answer":
    case "decline":
    case "fail":
    case "tick":
      return machine[word](nowMs)
    case "hang_up":
      return machine.hangUp(nowMs)
    default:
      return assert.fail(`script: unknown input ${word}`)
  }
}

/** The script with what the machine really did in place of what was expected. */
function transcript(lines: readonly string[]): string[] {
  const machine = new CallMachine(leafIndex("1"))
  let nowMs = 0
  return lines.flatMap((line) => {
    const [sign, ...words] = line.split(/\s+/)
    if (sign === "at") nowMs = Number(words[0])
    if (sign === ">") return [line, ...feed(machine, words, nowMs).map((action) => `< ${written(action)}`)]
    if (sign === "=") return [`= ${machine.state}${machine.deadlineMs === null ? "" : ` until ${machine.deadlineMs}`}`]
    if (sign !== "at" && sign !== "<") assert.fail(`script: unknown line ${line}`)
    return sign === "<" ? [] : [line]
  })
}

function play(lines: readonly string[]): void {
  assert.ok(lines.at(-1)?.startsWith("="), "unfinished script: it must end with the state that is reached")
  assert.deepEqual(transcript(lines), lines)
}

for (const { name, expect, lines } of CASES) {
  test(`script: ${name}`, () => {
    const script = lines as readonly string[]
    play(script)
    const last = script.slice(script.findLastIndex((line) => line.startsWith(">")))
    assert.equal(last.some((line) => line.startsWith("< refused")) ? "refused" : "ok", expect)
  })
}

test("a wrong script fails", () => {
  const wrong = [
    ["at 0", "> place 20", "< send offer 20"],
    ["at 0", "> place 20", "= calling until 60000"],
    ["at 0", "> place 20", "< send offer 20", "< ring 20", "= calling until 60000"],
    ["at 0", "> place 20", "< send offer 20", "= ringing until 60000"],
  ]
  for (const lines of wrong) assert.throws(() => play(lines), assert.AssertionError)
})

test("a call id of another length is a mistake of the shell, or refused from others", () => {
  const machine = new CallMachine(leafIndex("1"))
  assert.throws(() => machine.place(new Uint8Array(15) as CallId, ROOM, 0), RangeError)
  const event = { ...remoteEvent(["offer", "20", "from", "2"]), callId: new Uint8Array(15) as CallId }
  assert.deepEqual(machine.remote(event, 0), [{ action: "refused", what: "remote offer" }])
  assert.equal(machine.state, State.IDLE)
})

test("whatever happens, a call keeps the rules that hold for all", () => {
  const chance = new Chance(7)
  const fits = new Set(TRANSITIONS.map(([state, what]) => `${state} ${what}`))
  for (let i = 0; i < 2000; i++) {
    const machine = new CallMachine(leafIndex("1"))
    let [nowMs, audio, ended] = [0, 0, 0]
    for (let step = 0; step < 12; step++) {
      nowMs += chance.from([0, 10, 5_000, 30_000])
      const before = JSON.stringify([machine.state, machine.peer, machine.deadlineMs, [...machine.callId]])
      const state = machine.state
      const actions = feed(machine, randomInput(chance), nowMs)
      for (const action of actions) {
        if (action.action === "start_audio") audio++
        if (action.action === "stop_audio") audio--
        if (action.action === "ended") ended++
        if (action.action !== "refused") continue
        assert.equal(JSON.stringify([machine.state, machine.peer, machine.deadlineMs, [...machine.callId]]), before, "refused, yet changed")
      }
      if (actions.some(({ action }) => action !== "refused")) {
        assert.ok([...fits].some((key) => key.startsWith(`${state} `)), "there is no way out of ended")
      }
      assert.equal(audio, machine.state === State.IN_CALL ? 1 : 0, "audio exactly in a call")
      assert.equal(ended, machine.state === State.ENDED ? 1 : 0, "ended once")
      assert.equal(machine.endReason === null, machine.state !== State.ENDED)
      const waits = machine.state !== State.IDLE && machine.state !== State.ENDED
      assert.equal(machine.deadlineMs !== null, waits, "every wait has an end")
      if (machine.endReason !== null) assert.ok(Object.values(EndReason).includes(machine.endReason))
    }
  }
})

function randomInput(chance: Chance): string[] {
  const kind = chance.below(10)
  if (kind === 0) return ["place", String(chance.below(4))]
  if (kind === 9) return ["frame", "from", String(1 + chance.below(3)), ...(chance.below(4) === 0 ? ["own"] : [])]
  if (kind < 3) return [chance.from(["answer", "decline", "hang_up", "fail", "tick", "audio"])]
  const words = ["remote", chance.from(Object.values(Kind)), String(chance.below(4)), "from", String(1 + chance.below(3))]
  if (chance.below(4) === 0) words.push("own")
  if (chance.below(4) === 0) words.push("elsewhere")
  if (chance.below(3) === 0) words.push("to", String(1 + chance.below(2)))
  return [...words, "sent", String(chance.below(3) * 30_000), "reason", chance.from(Object.values(HangupReason))]
}
