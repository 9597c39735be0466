/** A page with a call to itself: microphone, codec, a network, playout; both ends recorded on one audio clock. */

import { type CallAudio, type CallAudioEvent, type PreparedCallAudio, prepareCallAudio, startCallAudio } from "../../../src/audio/call-audio.js"
import type { Fate } from "./network-worker.js"

const FILES = {
  captureWorklet: "/capture-worklet.js",
  playoutWorklet: "/playout-worklet.js",
  codecWorker: "/codec-worker.js",
}

/** One recording: blocks with their place on the audio clock. */
class Recording {
  readonly #blocks: { at: number; samples: Float32Array }[] = []

  constructor(from: AudioNode) {
    const tap = new AudioWorkletNode(from.context, "tap", { channelCount: 1, channelCountMode: "explicit", outputChannelCount: [1] })
    tap.port.onmessage = (event: MessageEvent<{ at: number; samples: Float32Array }>) => this.#blocks.push(event.data)
    const silent = new GainNode(from.context, { gain: 0 })
    from.connect(tap).connect(silent).connect(from.context.destination)
  }

  /** Place of the first sample, and 16-bit samples from there as base64; what is missing is zero. */
  take(): { start: number; pcm: string } {
    const first = this.#blocks[0]
    const last = this.#blocks.at(-1)
    if (first === undefined || last === undefined) return { start: 0, pcm: "" }
    const whole = new Int16Array(last.at + last.samples.length - first.at)
    for (const { at, samples } of this.#blocks) {
      samples.forEach((sample, index) => {
        whole[at - first.at + index] = Math.max(-32768, Math.min(32767, Math.round(sample * 32768)))
      })
    }
    const bytes = new Uint8Array(whole.buffer)
    let text = ""
    for (let start = 0; start < bytes.length; start += 8192) text += String.fromCharCode(...bytes.subarray(start, start + 8192))
    return { start: first.at, pcm: btoa(text) }
  }
}

let call: CallAudio | null = null
let prepared: PreparedCallAudio | null = null
let network: Worker | null = null
let said: Recording | null = null
let heard: Recording | null = null
const events: CallAudioEvent[] = []

interface StartOptions {
  readonly processing?: boolean
  readonly sampleRateHz?: number
  /** Of the speaker, from the first packets on. */
  readonly profile?: string
  /** The engine takes the sound only after so long, as when it rings there. */
  readonly ringMs?: number
}

const harness = {
  events,

  async start(fate: Fate, { profile, ringMs, ...options }: StartOptions): Promise<{ rateHz: number }> {
    network = new Worker("/network-worker.js", { type: "module" })
    call = await startCallAudio(
      { inputDeviceId: null, outputDeviceId: null, files: FILES, ...options },
      (event) => events.push(event),
      prepared,
    )
    await call.speaking
    const { context, microphone, peer } = call.nodes
    await context.audioWorklet.addModule("/tap-worklet.js")
    said = new Recording(microphone)
    heard = new Recording(peer)
    if (ringMs !== undefined) await new Promise((resolve) => setTimeout(resolve, ringMs))
    const { capture, playout } = call
    network.postMessage({ kind: "carry", capture, playout, fate }, [capture, playout])
    if (profile !== undefined) network.postMessage({ kind: "profile", profile })
    return { rateHz: context.sampleRate }
  },

  /** As while it rings in a tab that nobody has clicked yet; the state of the context once all is loaded. */
  async prepare(): Promise<string> {
    prepared = prepareCallAudio({ files: FILES })
    void prepared.context?.suspend()
    return (await prepared.graph).context.state
  },

  /** Why it did not start, as a person would read it. */
  async failure(files: Partial<typeof FILES>): Promise<{ name: string; code: string; what: string; next: string }> {
    let started: CallAudio | null = null
    try {
      started = await startCallAudio({ inputDeviceId: null, outputDeviceId: null, files: { ...FILES, ...files } })
      await started.speaking
      return { name: "none", code: "", what: "", next: "" }
    } catch (error) {
      const { name, code, what, next } = error as { name: string; code: string; what: string; next: string }
      return { name, code, what, next }
    } finally {
      started?.stop()
    }
  },

  counts(): Promise<unknown> {
    return new Promise((resolve) => {
      network!.onmessage = (event) => resolve(event.data)
      network!.postMessage({ kind: "counts" })
    })
  },

  nonsense: () => network!.postMessage({ kind: "nonsense" }),
  muteByEngine: (muted: boolean) => network!.postMessage({ kind: "mute", muted }),
  setProfile: (profile: string) => network!.postMessage({ kind: "profile", profile }),
  mute: (muted: boolean) => call!.setMuted(muted),
  level: () => call!.level(),
  stats: () => call!.stats(),
  state: () => call!.nodes.context.state,
  suspend: () => call!.nodes.context.suspend(),
  setOutput: (id: string | null) => call!.setOutput(id),
  setInput: (id: string | null) => call!.setInput(id),
  said: () => said!.take(),
  heard: () => heard!.take(),
  stop: () => call!.stop(),
  /** As when the microphone is unplugged: its track ends and tells so. */
  unplug(): void {
    const source = liveTracks.at(-1)!
    source.stop()
    source.dispatchEvent(new Event("ended"))
  },
  liveTracks: () => liveTracks.filter((track) => track.readyState === "live").length,
}

const liveTracks: MediaStreamTrack[] = []
const devices = navigator.mediaDevices
const original = devices.getUserMedia.bind(devices)
devices.getUserMedia = async (constraints) => {
  const stream = await original(constraints)
  liveTracks.push(...stream.getTracks())
  return stream
}

declare global {
  interface Window {
    harness: typeof harness
  }
}
window.harness = harness
