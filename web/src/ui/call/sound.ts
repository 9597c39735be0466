/** The sound of a call, from the audio layer: loaded only when the first call rings or is placed. */

import captureWorklet from "../../audio/capture-worklet.ts?worker&url"
import codecWorker from "../../audio/codec-worker.ts?worker&url"
import playoutWorklet from "../../audio/playout-worklet.ts?worker&url"
import type { AudioFiles, PreparedCallAudio } from "../../audio/call-audio.js"
import type { OpenSound, PrepareSound } from "../../state/call-sound.js"

const absolute = (file: string): string => new URL(file, document.baseURI).href

const files = (): AudioFiles => ({
  captureWorklet: absolute(captureWorklet), playoutWorklet: absolute(playoutWorklet), codecWorker: absolute(codecWorker),
})

type CallAudioModule = typeof import("../../audio/call-audio.js")

let loaded: CallAudioModule | null = null
const load = async (): Promise<CallAudioModule> => (loaded ??= await import("../../audio/call-audio.js"))

/** What was begun for the call that rings, and what it has become. */
let preparing: Promise<PreparedCallAudio | null> | null = null
let prepared: PreparedCallAudio | null = null

export const prepareSound: PrepareSound = (wanted) => {
  if (wanted) {
    preparing ??= prepare()
  } else {
    void preparing?.then((begun) => begun?.release())
    preparing = prepared = null
  }
}

function prepare(): Promise<PreparedCallAudio | null> {
  const begun = load().then(({ prepareCallAudio }) => prepareCallAudio({ files: files() }), () => null)
  void begun.then((ready) => {
    if (preparing === begun) prepared = ready
  })
  return begun
}

/** In the very turn of the click, where all is loaded: the page draws the call next, and the microphone waits for nobody. */
export const openSound: OpenSound = async (devices, onNews) => {
  const [begun, ready] = [preparing, prepared]
  preparing = prepared = null
  const { startCallAudio } = loaded ?? (await load())
  return startCallAudio(
    {
      inputDeviceId: devices.input,
      outputDeviceId: devices.output,
      files: files(),
    },
    (event) => {
      switch (event.kind) {
        case "input_lost":
        case "failed":
          onNews({ kind: "trouble", what: event.error.what, next: event.error.next })
          break
        case "paused":
          onNews({ kind: "paused", needsClick: event.needsClick })
          break
        case "running":
          onNews({ kind: "running" })
          break
        case "muted_speaking":
          onNews(event)
          break
        case "input":
          break
      }
    },
    ready ?? (await begun),
  )
}
