/** The page: starts the engine's worker and shows what it says. */

import { mount } from "svelte"
import { systemClock } from "../state/clock.js"
import { connectEngine } from "../state/engine-client.js"
import { KEY, Preferences } from "../state/preferences.svelte.js"
import { Session } from "../state/session.svelte.js"
import App from "./App.svelte"
import { openDirectPeer } from "./call/direct-peer.js"
import { openSound, prepareSound } from "./call/sound.js"
import { callWords } from "./call/words.js"
import { notify } from "./platform/notices.js"
import { browserPlace } from "./platform/place.js"
import { browserStorage, whenKeptElsewhere } from "./platform/storage.js"
import "./kit/base.css"
import { text } from "./text.js"

const worker = new Worker(new URL("../worker/main.ts", import.meta.url), { type: "module", name: "engine" })
const preferences = new Preferences(browserStorage())

const session = new Session({
  engine: connectEngine(worker),
  clock: systemClock,
  place: browserPlace,
  preferences,
  openSound,
  prepareSound,
  ...("RTCPeerConnection" in globalThis ? { openDirect: openDirectPeer } : {}),
  onNotice({ conversation, title, text: said, call }) {
    if (!preferences.values.notify) return
    const shown = preferences.values.notifyText
    const words = call === null ? said : callWords(call)
    notify({ title: shown ? title : text.name, body: shown ? words : "", tag: conversation },
      () => session.go({ screen: "chat", id: conversation, info: false }))
  },
})

// What is chosen in one tab holds in all of them, and so in the one that has a call.
whenKeptElsewhere(KEY, (kept) => preferences.keptElsewhere(kept))

document.documentElement.lang = text.language
document.documentElement.dir = new URLSearchParams(location.search).get("dir") === "rtl" ? "rtl" : text.direction

mount(App, { target: document.getElementById("page")!, props: { session } })
void session.start()

if ("serviceWorker" in navigator && import.meta.env.PROD) {
  // Without it the page works all the same, online.
  void navigator.serviceWorker.register("sw.js").catch(() => undefined)
  // Also after a start that was cut short: it fetches what is missing.
  void navigator.serviceWorker.ready.then((registration) => registration.active?.postMessage("keep what calls need"))
}
