/**
 * The page before a scripted engine. `?scene=full|new|bare|long`, `?dir=rtl`. Calls cross a real message port, as they
 * do to the worker. `window.fake` is the engine and `window.fakeNowMs` the fixed time, for the tests' hands.
 */

import { mount } from "svelte"
import { systemClock } from "../../src/state/clock.js"
import type { OpenSound, SoundNews } from "../../src/state/call-sound.js"
import { connectEngine } from "../../src/state/engine-client.js"
import { Preferences } from "../../src/state/preferences.svelte.js"
import { Session } from "../../src/state/session.svelte.js"
import App from "../../src/ui/App.svelte"
import { browserPlace } from "../../src/ui/platform/place.js"
import { browserStorage } from "../../src/ui/platform/storage.js"
import "../../src/ui/kit/base.css"
import { text } from "../../src/ui/text.js"
import { FakeEngine, type Scene } from "./fake-engine.js"
import { serveEngine } from "./serve-engine.js"

const asked = new URLSearchParams(location.search)
/** A Tuesday afternoon, so that pictures stay the same. */
const nowMs = new Date(2026, 10, 24, 16, 24).getTime()
const startedMs = Date.now()
const clock = { ...systemClock, nowMs: () => nowMs + Date.now() - startedMs }

const engine = new FakeEngine((asked.get("scene") ?? "full") as Scene, Math.floor(nowMs / 1000))
const wire = new MessageChannel()
const served = serveEngine(engine, wire.port2)
engine.listen((event) => served.emit(event))

/** What the sound of a call has to say, for the tests' hands. */
let sayOfSound: (news: SoundNews) => void = () => undefined

const silentSound: OpenSound = (_devices, onNews) => {
  sayOfSound = onNews
  const [capture, playout] = [new MessageChannel(), new MessageChannel()]
  return Promise.resolve({
    capture: capture.port1,
    playout: playout.port1,
    speaking: Promise.resolve(),
    setMuted: () => undefined,
    setPeerHeard: () => undefined,
    setInput: async (id) => void engine.asked.push(`setInput(${String(id)})`),
    setOutput: async (id) => engine.asked.push(`setOutput(${String(id)})`) > 0,
    level: () => ({ microphone: 0.1, peer: 0.2 }),
    stop: () => undefined,
  })
}

const session = new Session({
  engine: connectEngine(wire.port1), clock, place: browserPlace, preferences: new Preferences(browserStorage()),
  openSound: silentSound, prepareSound: () => undefined, onNotice: () => undefined,
})
Object.assign(window, { sayOfSound: (news: SoundNews) => sayOfSound(news), fake: engine, fakeNowMs: nowMs, session })
document.documentElement.lang = text.language
document.documentElement.dir = asked.get("dir") === "rtl" ? "rtl" : text.direction
mount(App, { target: document.getElementById("page")!, props: { session } })
void session.start()
