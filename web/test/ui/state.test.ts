/** The view models without a page: a scripted engine behind a real message port, and a clock that stands. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { decodeQR } from "qr/decode.js"
import type { CallView, MessageView } from "../../src/worker/api.js"
import type { RunningSound, SoundNews } from "../../src/state/call-sound.js"
import { connectEngine, type EngineClient } from "../../src/state/engine-client.js"
import { faultOf } from "../../src/state/faults.js"
import { Preferences, readPreferences } from "../../src/state/preferences.svelte.js"
import { addressIn, formatRoute, isHandle, parseRoute } from "../../src/state/route.js"
import { Session } from "../../src/state/session.svelte.js"
import { draw } from "../../src/ui/call/trace.js"
import { firstUnread, merged, shapeOf } from "../../src/state/timeline.js"
import { qrModules } from "../../src/ui/kit/qr.js"
import { FakeEngine, type Scene } from "./fake-engine.js"
import { ANA, ME } from "./people.js"
import { serveEngine } from "./serve-engine.js"
import { VirtualClock } from "./virtual-clock.js"

const NOW_S = 1_700_000_000

/** Lets ports and promises have their turns. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await new Promise((resolve) => setImmediate(resolve))
}

class Stage {
  readonly clock = new VirtualClock()
  readonly fake: FakeEngine
  readonly engine: EngineClient
  readonly session: Session
  readonly notices: string[] = []
  readonly sounds: { stopped: boolean; muted: boolean; heard: boolean }[] = []
  onSoundNews: (news: SoundNews) => void = () => undefined
  soundPrepared = false
  speaks: Promise<void> = Promise.resolve()
  soundFails: unknown = null
  directPeers = 0
  readonly #wire = new MessageChannel()
  readonly #peers: MessagePort[] = []

  constructor(scene: Scene = "full", hash = "") {
    this.fake = new FakeEngine(scene, NOW_S)
    const served = serveEngine(this.fake, this.#wire.port2)
    this.fake.listen((event) => served.emit(event))
    this.engine = connectEngine(this.#wire.port1)
    let place = hash
    this.session = new Session({
      engine: this.engine, clock: this.clock, preferences: new Preferences(null),
      place: { hash: () => place, go: (next) => { place = next }, onChange: () => undefined },
      openDirect: () => {
        const { port1, port2 } = new MessageChannel()
        this.directPeers++
        this.#peers.push(port1)
        return port2
      },
      openSound: (_devices, onNews) => {
        this.onSoundNews = onNews
        return this.#open()
      },
      prepareSound: (wanted) => { this.soundPrepared = wanted },
      onNotice: ({ title, text, call }) => this.notices.push(`${title}: ${call?.outcome ?? text}`),
    })
  }

  async #open(): Promise<RunningSound> {
    if (this.soundFails !== null) throw this.soundFails
    const sound = { stopped: false, muted: false, heard: true }
    this.sounds.push(sound)
    const ports = [new MessageChannel(), new MessageChannel()] as const
    return {
      capture: ports[0].port1, playout: ports[1].port1, speaking: this.speaks,
      setMuted: (muted) => { sound.muted = muted },
      setPeerHeard: (heard) => { sound.heard = heard },
      setInput: () => Promise.resolve(), setOutput: () => Promise.resolve(true),
      level: () => ({ microphone: 0, peer: 0 }),
      stop: () => { sound.stopped = true; for (const { port1, port2 } of ports) { port1.close(); port2.close() } },
    }
  }

  close(): void {
    for (const port of [this.#wire.port1, this.#wire.port2, ...this.#peers]) port.close()
  }
}

function staged(name: string, act: (stage: Stage) => Promise<void>, scene?: Scene, hash?: string): void {
  void test(name, async () => {
    const stage = new Stage(scene, hash)
    try {
      await stage.session.start()
      await settled()
      await act(stage)
    } finally {
      stage.close()
    }
  })
}

function message(order: number, some: Partial<MessageView> = {}): MessageView {
  return {
    id: order.toString(16).padStart(4, "0"), conversation: "aa", order, sender: ANA, timeS: NOW_S + order * 60, delivery: "received",
    edited: false, replyTo: null, reactions: [], body: { kind: "text", text: String(order) }, ...some,
  }
}
const orders = (messages: readonly MessageView[]): number[] => messages.map(({ order }) => order)

void test("a timeline keeps its order whatever comes when", () => {
  const base = [2, 4, 6].map((order) => message(order))
  assert.deepEqual(orders(merged(base, [message(7)])), [2, 4, 6, 7])
  assert.deepEqual(orders(merged(base, [message(1), message(0)])), [0, 1, 2, 4, 6])
  assert.deepEqual(orders(merged(base, [message(5), message(3)])), [2, 3, 4, 5, 6])
  assert.deepEqual(orders(merged(base, [], [base[1]!.id])), [2, 6])
  const moved = merged([...base, message(1e9, { id: "w" })], [message(7, { id: "w" })])
  assert.deepEqual(orders(moved), [2, 4, 6, 7])
  assert.equal(merged(base, []), base)
  assert.deepEqual(orders(merged(merged([], [message(9)]), base)), [2, 4, 6, 9])
})

void test("neighbours stand together for five minutes, one day, one person", () => {
  const list = [message(0), message(1), message(2, { sender: ME }), message(30, { sender: ME }), message(31, { body: { kind: "members", text: "" } })]
  assert.deepEqual(list.map((_, index) => shapeOf(list, index).startsGroup), [true, false, true, true, true])
  assert.deepEqual(list.map((_, index) => shapeOf(list, index).endsGroup), [false, true, true, true, true])
  assert.equal(firstUnread(list, 2), list[1]!.id)
  assert.equal(firstUnread(list, 0), null)
  const call = (order: number, some: Partial<Extract<MessageView["body"], { kind: "call" }>>): MessageView =>
    message(order, { body: { kind: "call", outgoing: false, outcome: "answered", seconds: 9, ...some } })
  assert.equal(firstUnread([...list, call(32, {})], 1), list[4]!.id, "a call that was answered is no news")
  assert.equal(firstUnread([...list, call(32, { outcome: "missed" })], 1), message(32).id)
})

void test("only what is an address is taken for one", () => {
  for (const typed of ["noor", "@noor", " @Noor ", "https://a.example/#/@noor", "https://a.example/x/#/%40noor".replace("%40", "@")]) {
    assert.equal(addressIn(typed), "@noor", typed)
  }
  assert.equal(addressIn("@noor@chat.example.org:8443"), "@noor@chat.example.org:8443")
  for (const typed of ["", "@", "a", "no or", "@<img>", "javascript:alert(1)", "https://a.example/#/@%", "@-a", `@${"a".repeat(33)}`]) {
    assert.equal(addressIn(typed), null, typed)
  }
  assert.ok(isHandle("a.b-c"))
  assert.ok(!isHandle("a@b"))
})

void test("routes come back as they went, and nonsense leads to the chats", () => {
  for (const hash of ["#/", "#/chat/0a", "#/chat/0a/info", "#/calls", "#/call", "#/settings", "#/settings/server", "#/settings/network", "#/@mira"]) {
    assert.equal(formatRoute(parseRoute(hash)), hash)
  }
  for (const hash of ["#/chat/<x>", "#/chat/", "#/@<b>", "#/nowhere"]) assert.deepEqual(parseRoute(hash), { screen: "chats" })
})

void test("kept preferences of any shape are read without harm", () => {
  const plain = readPreferences(null)
  for (const kept of ["", "null", "[]", "3", '{"theme":5,"textPercent":9000,"calm":"yes","inputDeviceId":{}}', "{"]) {
    assert.deepEqual(readPreferences(kept), plain, kept)
  }
  assert.equal(readPreferences('{"textPercent":200}').textPercent, 200)
})

void test("what no engine would throw becomes a plain fault", () => {
  for (const thrown of [new Error("x"), null, undefined, "x", { code: 1 }]) assert.equal(faultOf(thrown).code, "internal")
})

staged("a refused call carries the engine's words across the port", async ({ engine }) => {
  await assert.rejects(engine.conversationWith("@nobody"), { code: "unknown_handle", next: "Check the spelling." })
})

staged("a port that is asked for nonsense stays silent", async ({ fake, engine }) => {
  const wire = new MessageChannel()
  serveEngine(fake, wire.port2)
  const answers: unknown[] = []
  wire.port1.addEventListener("message", ({ data }) => answers.push(data))
  wire.port1.start()
  for (const bad of [null, 7, "call", {}, { kind: "call", id: 1, method: "constructor", args: [] }, { kind: "call", id: 1.5, method: "account", args: [] }]) {
    wire.port1.postMessage(bad)
  }
  await settled()
  assert.deepEqual(answers, [])
  assert.notEqual(await engine.account(), null)
  wire.port1.close()
  wire.port2.close()
})

staged("offline is said after a second and a half, and not for a short break", async ({ fake, session, clock }) => {
  fake.connection({ kind: "offline", reason: "no network" })
  await settled()
  clock.pass(1400)
  assert.equal(session.offline, null)
  fake.connection({ kind: "online" })
  await settled()
  clock.pass(5000)
  assert.equal(session.offline, null)
  fake.connection({ kind: "offline", reason: "no network" })
  await settled()
  clock.pass(1600)
  assert.deepEqual(session.offline, { reason: "no network" })
  fake.connection({ kind: "connecting" })
  await settled()
  assert.deepEqual(session.offline, { reason: "no network" })
  fake.connection({ kind: "online" })
  await settled()
  assert.equal(session.offline, null)
})

staged("typing is told at most every three seconds", async ({ fake, session, clock }) => {
  const talk = session.conversation(fake.idOf("@ana"))
  talk.draft = "hm"
  for (let key = 0; key < 7; key++) {
    talk.typed()
    clock.pass(1000)
  }
  await settled()
  assert.equal(fake.asked.filter((call) => call === "typing()").length, 3)
})

staged("a text that could not be sent comes back as the draft", async ({ fake, session, engine }) => {
  const talk = session.conversation(fake.idOf("@ana"))
  await talk.open(0)
  engine.sendText = () => Promise.reject({ code: "full", what: "No room.", next: "Delete something." })
  talk.reply(talk.messages[0]!)
  talk.draft = "precious"
  await talk.submit()
  assert.equal(talk.draft, "precious")
  assert.equal(talk.replyTo?.id, talk.messages[0]!.id)
  assert.equal(session.toasts[0]?.fault.what, "No room.")
})

staged("older pages come once each and in order", async ({ fake, session }) => {
  const talk = session.conversation(fake.idOf("@jun"))
  await talk.open(0)
  await Promise.all([talk.loadOlder(), talk.loadOlder()])
  assert.equal(talk.messages.length, 260)
  assert.deepEqual(orders(talk.messages), Array.from({ length: 260 }, (_, index) => 9740 + index))
}, "long")

staged("notices come when unread grows, and for nothing else", async ({ fake, notices }) => {
  fake.arrive("@ana", "hello")
  await settled()
  await fake.markRead(fake.idOf("@ana"))
  await settled()
  assert.deepEqual(notices, ["@ana: hello"])
  fake.say(fake.idOf("@ana"), ANA, { kind: "call", outgoing: false, outcome: "missed", seconds: 0 })
  await settled()
  assert.deepEqual(notices, ["@ana: hello", "@ana: missed"])
})

staged("nobody rings while the microphone is refused", async (stage) => {
  stage.soundFails = { code: "denied", what: "This page may not use the microphone.", next: "Allow it." }
  assert.equal(await stage.session.calls.place(stage.fake.idOf("@ana")), false)
  assert.ok(!stage.fake.asked.includes("placeCall()"))
  assert.equal(stage.session.toasts[0]?.fault.code, "denied")
})

staged("who hides the address has no direct peer made", async (stage) => {
  const { fake, session } = stage
  session.preferences.change({ hideAddress: true })
  await session.calls.place(fake.idOf("@ana"))
  assert.deepEqual([stage.directPeers, fake.asked.at(-1)], [0, "attachDirect(hidden)"])
  fake.call("@ana", { phase: "ended", ended: "They hung up." })
  await settled()
  session.preferences.change({ hideAddress: false })
  await session.calls.place(fake.idOf("@ana"))
  assert.deepEqual([stage.directPeers, fake.asked.at(-1)], [1, "attachDirect(port)"])
})

staged("who hides the address in the middle of a call hides it at once, in whichever tab", async (stage) => {
  const { fake, session } = stage
  const hidden = (): number => fake.asked.filter((asked) => asked === "attachDirect(hidden)").length
  session.preferences.change({ hideAddress: true })
  session.preferences.change({ hideAddress: false })
  assert.equal(hidden(), 0, "there is no call")
  await session.calls.place(fake.idOf("@ana"))
  fake.call("@ana", { phase: "in_call" })
  session.preferences.change({ ringSound: false })
  session.preferences.change({ hideAddress: true })
  session.preferences.change({ ringSound: true })
  await settled()
  assert.equal(hidden(), 1)
  fake.call("@ana", { phase: "ended", ended: "They hung up." })
  await settled()
  session.preferences.change({ hideAddress: false })
  await session.calls.place(fake.idOf("@ana"))
  session.preferences.keptElsewhere(JSON.stringify({ hideAddress: true, ringSound: "loud" }))
  await settled()
  assert.equal(hidden(), 2)
  assert.deepEqual([session.preferences.values.hideAddress, session.preferences.values.ringSound], [true, true])
})

staged("a call's sound begins with the answer and ends with the call", async ({ fake, session, sounds, clock }) => {
  fake.call("@tomas", {})
  await settled()
  assert.equal(session.calls.current?.phase, "ringing_here")
  assert.equal(sounds.length, 0)
  await session.calls.answer()
  assert.ok(fake.asked.includes("attachAudio()"))
  await session.calls.toggleMute()
  assert.deepEqual(sounds, [{ stopped: false, muted: true, heard: true }])
  fake.call("@tomas", { phase: "ended", ended: "They hung up." })
  await settled()
  assert.equal(sounds[0]!.stopped, true)
  assert.equal(session.calls.current?.ended, "They hung up.")
  clock.pass(12_001)
  assert.equal(session.calls.current, null)
})

void test("the last minute is drawn with the newest second at the end of the line, and what was lost as bars", () => {
  assert.deepEqual(draw([]), { line: "", lost: [], roundTripMs: 0 })
  const { line, lost, roundTripMs } = draw([
    { roundTripMs: 100, lostShare: 0 }, { roundTripMs: 200, lostShare: 0.019 }, { roundTripMs: 50, lostShare: 0.6 },
  ])
  assert.equal(line, "57.5,16.0 58.5,1.0 59.5,23.5")
  assert.deepEqual(lost, [{ x: 59, height: 32 }])
  assert.equal(roundTripMs, 100)
  const long = draw(Array.from({ length: 100 }, (_, second) => ({ roundTripMs: second * 10, lostShare: 0 })))
  assert.equal(long.line.split(" ").length, 60)
  assert.match(long.line, /59\.5,1\.0$/)
})

staged("a call on hold neither speaks nor is heard, and comes back as it was", async (stage) => {
  const { fake, session: { calls }, sounds } = stage
  await calls.place(fake.idOf("@ana"))
  await settled()
  for (const muted of [false, true]) {
    if (muted) await calls.toggleMute()
    await calls.toggleHold()
    assert.deepEqual(sounds[0], { stopped: false, muted: true, heard: false })
    assert.equal(fake.asked.at(-1), "mute(true)")
    await calls.toggleMute()
    assert.equal(sounds[0]!.muted, true)
    await calls.toggleHold()
    assert.deepEqual(sounds[0], { stopped: false, muted, heard: true })
    assert.equal(fake.asked.at(-1), `mute(${String(muted)})`)
  }
  stage.onSoundNews({ kind: "muted_speaking", speaking: true })
  assert.equal(calls.speaksMuted, true)
  assert.equal(calls.trouble, null)
  await calls.toggleHold()
  stage.onSoundNews({ kind: "muted_speaking", speaking: true })
  assert.equal(calls.speaksMuted, false)
  await calls.hangUp()
  assert.equal(calls.held, false)
})

staged("by voice notes the button decides who is heard, not mute and not hold", async ({ fake, session: { calls }, sounds }) => {
  const speaks = (): string[] => fake.asked.filter((call) => call.startsWith("speak"))
  const notes = { on: true, speaking: false, spokenMs: 0, unsent: 0, playing: 0 }
  await calls.place(fake.idOf("@ana"))
  fake.call("@ana", { phase: "in_call" })
  await settled()
  await calls.speak(true)
  assert.deepEqual(speaks(), [], "while talking works there is no button")
  fake.call("@ana", { notes })
  await settled()
  await calls.toggleMute()
  assert.equal(fake.asked.includes("mute(true)"), false)
  await calls.speak(true)
  await calls.toggleHold()
  assert.deepEqual(speaks(), ["speak(true)", "speak(false)"])
  await calls.speak(true)
  assert.equal(speaks().length, 2, "on hold nobody speaks")
  await calls.toggleHold()
  assert.equal(sounds[0]!.muted, true, "the microphone waits for the button")
  fake.call("@ana", { notes: { ...notes, on: false } })
  await settled()
  assert.equal(calls.mayMute, true)
})

staged("sound is prepared while a call rings, and let go when it is taken elsewhere", async (stage) => {
  stage.fake.call("@tomas", {})
  await settled()
  assert.equal(stage.soundPrepared, true)
  stage.fake.call("@tomas", { phase: "ended", ended: "Answered elsewhere." })
  await settled()
  assert.equal(stage.soundPrepared, false)
})

staged("an answered call is heard before the microphone opens", async (stage) => {
  const { fake, session } = stage
  let open: () => void = () => undefined
  stage.speaks = new Promise((resolve) => { open = resolve })
  fake.call("@tomas", {})
  await settled()
  const answered = session.calls.answer()
  await settled()
  assert.ok(fake.asked.includes("attachAudio()"))
  open()
  await answered
  assert.equal(stage.sounds[0]!.stopped, false)
})

staged("a call answered without a microphone is hung up, and says why", async (stage) => {
  const { fake, session } = stage
  stage.speaks = Promise.reject({ code: "denied", what: "This page may not use the microphone.", next: "Allow it." })
  stage.speaks.catch(() => undefined)
  fake.call("@tomas", {})
  await settled()
  await session.calls.answer()
  assert.equal(stage.sounds[0]!.stopped, true)
  assert.ok(fake.asked.includes("hangUp()"))
  assert.equal(session.toasts[0]?.fault.code, "denied")
})

staged("a second call never takes the place of one that goes on", async ({ fake, session }) => {
  await session.calls.place(fake.idOf("@ana"))
  await settled()
  const first = session.calls.current as CallView
  session.calls.absorb({ ...first, id: "ff", phase: "ringing_here" })
  assert.equal(session.calls.current?.id, first.id)
  assert.equal(await session.calls.place(fake.idOf("@tomas")), false)
})

staged("a deleted account leaves nothing to see", async ({ session, engine }) => {
  await engine.deleteAccount()
  await settled()
  assert.equal(session.phase, "new")
  assert.equal(session.conversations.length, 0)
})

staged("a link followed before the account waits for it", async ({ session }) => {
  assert.equal(session.invitedBy, "@mira")
  await session.createAccount("noor")
  assert.deepEqual(session.route, { screen: "chats" })
  await session.openWith("@mira", "Hello!")
  assert.equal(session.route.screen, "chat")
}, "new", "#/@mira")

staged("toasts go by themselves and say nothing twice", async ({ session, clock }) => {
  const fault = { code: "x", what: "It failed.", next: "Try again." }
  session.report(fault)
  session.report(fault)
  assert.equal(session.toasts.length, 1)
  clock.pass(9001)
  assert.equal(session.toasts.length, 0)
})

test("a code that is drawn can be read: links of any length, and sixty digits", () => {
  for (const content of ["https://chat.example/#/@noor", `https://${"long.".repeat(30)}example/#/@${"x".repeat(32)}`, "48291".repeat(12)]) {
    const modules = qrModules(content)
    const scale = 4
    const side = modules.length * scale
    const data = new Uint8Array(side * side * 4).fill(255)
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        const isDark = modules[Math.floor(y / scale)]![Math.floor(x / scale)]!
        if (isDark) data.fill(0, (y * side + x) * 4, (y * side + x) * 4 + 3)
      }
    }
    assert.equal(decodeQR({ width: side, height: side, data }), content)
  }
})
