/** Voice notes of a call: what the button cuts, what goes into frames meanwhile, what is refused and shown. */

import assert from "node:assert/strict"
import { mock, test } from "node:test"
import { noteSlots } from "../../src/core/audio/note.js"
import { packetSlots } from "../../src/core/audio/toc.js"
import * as mimi from "../../src/core/e2ee/content/index.js"
import { GOOD_SECONDS, PERCENT_BAD, PERCENT_SUM } from "../../src/core/protocol/notes-constants.js"
import { CallNotes } from "../../src/worker/call-notes.js"
import { noSound } from "../../src/worker/note-recorder.js"
import { hasBadNote } from "../../src/worker/notes.js"

/** 120 ms of speech, told apart by a number, and of silence. */
const speech = (number: number): Uint8Array => Uint8Array.from({ length: 60 }, (_, at) => (at === 0 ? 0x5a : at === 1 ? 28 : number))
const SILENCE = Uint8Array.of(0x5a, 1, 0, 0)
const REPORT = { lostPercent: 0, latePercent: 0, targetMs: 80, carrier: "message", redundancy: "none", takesShort: false } as const

class Side {
  readonly muted: boolean[] = []
  readonly played: (readonly Uint8Array[])[] = []
  readonly said: { number: number; packets: readonly Uint8Array[] }[] = []
  heardCount = 0
  readonly notes = new CallNotes({
    mute: (muted) => this.muted.push(muted),
    play: (packets) => this.played.push(packets),
    say: async (number, packets) => String(this.said.push({ number, packets })),
    sent: () => Promise.resolve(),
    heard: (count) => (this.heardCount += count),
    changed: () => undefined,
  })

  /** So many seconds in which so much is lost; null: in which nothing comes. */
  seconds(count: number, lostPercent: number | null): void {
    for (let second = 0; second < count; second++) {
      if (lostPercent !== null) this.notes.reported({ ...REPORT, lostPercent })
      this.notes.heard(lostPercent ?? 100, 0, 80)
      mock.timers.tick(1000)
    }
  }
}

const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 100; turn++) await Promise.resolve()
}

async function inNotes(work: (side: Side) => Promise<void>): Promise<void> {
  mock.timers.enable({ apis: ["setInterval"] })
  let nowMs = 0
  const clock = mock.method(performance, "now", () => nowMs)
  const side = new Side()
  const second = setInterval(() => (nowMs += 1000), 1000)
  side.notes.start()
  try {
    side.seconds(3, 0)
    side.seconds(PERCENT_SUM / PERCENT_BAD, 60)
    assert.ok(side.notes.areOn)
    await settled()
    assert.deepEqual(side.said.splice(0), [{ number: 0, packets: [] }], "it is said that speech was given up")
    await work(side)
  } finally {
    side.notes.stop()
    clearInterval(second)
    clock.mock.restore()
    mock.timers.reset()
  }
}

test("nothing is judged before the first frame", () => {
  mock.timers.enable({ apis: ["setInterval"] })
  const side = new Side()
  side.notes.start()
  side.seconds(30, null)
  assert.equal(side.notes.areOn, false)
  side.notes.stop()
  mock.timers.reset()
})

test("the microphone is heard while the button is held, and all of it is in the note", () =>
  inNotes(async (side) => {
    assert.deepEqual(side.muted, [true])
    assert.equal(side.notes.captured(SILENCE), SILENCE)
    side.notes.speak(true)
    assert.deepEqual(side.muted, [true, false])
    const said = Array.from({ length: 12 }, (_, number) => speech(number))
    for (const packet of said) assert.deepEqual(side.notes.captured(packet), noSound(6), "not heard twice")
    assert.equal(side.notes.view?.spokenMs, 1440)
    side.notes.speak(false)
    assert.deepEqual(side.muted, [true, false, true])
    const tail = [speech(90), SILENCE]
    tail.forEach((packet) => side.notes.captured(packet))
    await settled()
    assert.deepEqual(side.said, [{ number: 1, packets: [...said, ...tail] }])
    assert.equal(side.notes.captured(SILENCE), SILENCE)
  }))

test("who goes on is cut every three seconds and loses nothing", () =>
  inNotes(async (side) => {
    side.notes.speak(true)
    const said = Array.from({ length: 60 }, (_, number) => speech(number))
    said.forEach((packet) => side.notes.captured(packet))
    side.notes.speak(false)
    for (let at = 0; at < 12; at++) side.notes.captured(SILENCE)
    await settled()
    assert.deepEqual(side.said.map(({ number }) => number), [1, 2, 3])
    side.said.forEach(({ packets }) => assert.ok(noteSlots(packets) >= 50))
    assert.deepEqual(side.said.flatMap(({ packets }) => packets).slice(0, 60), said)
  }))

test("whatever the packets are, a note of them can be sent", () =>
  inNotes(async (side) => {
    const rich = new Uint8Array(128).fill(0x48)
    side.notes.speak(true)
    for (let at = 0; at < 400; at++) side.notes.captured(rich)
    side.notes.stop()
    await settled()
    assert.equal(side.said.flatMap(({ packets }) => packets).filter((packet) => packet === rich).length, 400)
    for (const { number, packets } of side.said) {
      assert.ok(noteSlots(packets) >= 50)
      mimi.encodeNote({ callId: new Uint8Array(16), number, packets })
    }
  }))

test("a short word is filled up to a second", () =>
  inNotes(async (side) => {
    side.notes.speak(true)
    side.notes.captured(speech(1))
    side.notes.speak(false)
    for (let at = 0; at < 12; at++) side.notes.captured(SILENCE)
    await settled()
    assert.deepEqual(side.said.map(({ packets }) => noteSlots(packets)), [54])
  }))

test("what was begun is said when the call ends", () =>
  inNotes(async (side) => {
    side.notes.speak(true)
    side.notes.captured(speech(1))
    side.notes.stop()
    await settled()
    assert.equal(side.said.length, 1)
    assert.deepEqual(side.said[0]!.packets[0], speech(1))
    assert.ok(noteSlots(side.said[0]!.packets) >= 50)
  }))

test("talking comes back as it was muted, and not before the note is over", () =>
  inNotes(async (side) => {
    side.notes.speak(true)
    side.seconds(GOOD_SECONDS + 1, 0)
    assert.equal(side.notes.areOn, false)
    assert.deepEqual(side.muted, [true, false])
    assert.equal(side.notes.view?.on, false)
    side.notes.speak(false)
    for (let at = 0; at < 12; at++) side.notes.captured(SILENCE)
    assert.deepEqual(side.muted, [true, false, true, false])
    assert.deepEqual(side.notes.captured(speech(3)), speech(3))
    side.notes.speak(true)
    assert.equal(side.notes.view?.speaking, false, "no button, no note")
    await settled()
    assert.equal(side.said.length, 1)
  }))

test("mute ends a note that is being said, whatever the button does", () =>
  inNotes(async (side) => {
    side.notes.speak(true)
    side.seconds(GOOD_SECONDS + 1, 0)
    assert.equal(side.notes.mute(true), true)
    assert.equal(side.notes.view?.speaking, false)
    for (let at = 0; at < 12; at++) side.notes.captured(SILENCE)
    assert.deepEqual(side.muted.at(-1), true)
  }))

test("where nothing passes, it is said that somebody is there", () =>
  inNotes(async (side) => {
    side.seconds(20, null)
    await settled()
    assert.deepEqual(side.said, [{ number: 1, packets: [] }, { number: 2, packets: [] }])
  }))

test("a note of the other side gives speech up here as well, and is played", () => {
  const side = new Side()
  const packets = Array.from({ length: 10 }, (_, number) => speech(number))
  side.notes.arrived(0, packets)
  assert.deepEqual([side.notes.areOn, side.notes.view?.on, side.muted, side.played], [true, true, [true], [packets]])
  side.notes.stop()
})

test("each note is played once [CANNOT-FORGE]", () =>
  inNotes(async (side) => {
    const packets = Array.from({ length: 10 }, (_, number) => speech(number))
    for (const number of [0, 0, 2, 1]) side.notes.arrived(number, packets)
    side.notes.arrived(3, [])
    assert.equal(side.played.length, 2)
  }))

test("it is told which notes were heard to their end, and no other player's", () =>
  inNotes(async (side) => {
    const packets = Array.from({ length: 10 }, (_, number) => speech(number))
    for (const number of [0, 1, 2]) {
      side.notes.arrived(number, packets)
      side.notes.played(number + 1)
    }
    assert.equal(side.heardCount, 0)
    side.notes.played(2)
    assert.equal(side.heardCount, 1)
    // Another page takes over, and has none of them.
    side.notes.playerChanged()
    side.notes.arrived(3, packets)
    side.notes.played(1)
    side.notes.played(0)
    assert.equal(side.heardCount, 2)
  }))

test("a note that is none is refused, wherever it is in a message [CANNOT-FORGE]", () => {
  const salt = new Uint8Array(16) as mimi.Salt
  const meaning = (packets: readonly Uint8Array[]): mimi.Meaning =>
    mimi.interpret(mimi.noteMessage(salt, { callId: new Uint8Array(16), number: 0, packets }))
  const good = Array.from({ length: 20 }, () => Uint8Array.of(0x58, 1))
  assert.equal(hasBadNote(meaning(good)), false)
  assert.equal(hasBadNote(meaning([])), false)
  const bad = [good.slice(5), [...good, ...good, ...good], [...good, Uint8Array.of(0x40, 1)], [...good, new Uint8Array(129).fill(0x58)]]
  for (const packets of bad) {
    assert.equal(hasBadNote(meaning(packets)), true)
    assert.equal(hasBadNote({ kind: "several", items: [meaning(packets)] }), true)
  }
})

test("what goes into frames meanwhile is as long as what was said", () => {
  for (const slots of [1, 3, 6]) assert.equal(packetSlots(noSound(slots)), slots)
})
