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

let preparing: Promise<PreparedCallAudio | null> | null = null

export const prepareSound: PrepareSound = (wanted) => {
  if (wanted) {
    preparing ??= import("../../audio/call-audio.js").then(({ prepareCallAudio }) => prepareCallAudio({ files: files() }), () => null)
  } else {
    void preparing?.then((prepared) => prepared?.release())
    preparing = null
  }
}

export const openSound: OpenSound = async (devices, onNews) => {
  const begun = preparing
  preparing = null
  const { startCallAudio } = await import("../../audio/call-audio.js")
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
    await begun,
  )
}
