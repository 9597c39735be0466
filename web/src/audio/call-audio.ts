/**
 * The sound of one call, as the page starts it. The page's thread wires worklets and worker together and touches no
 * sound; it goes on while the tab is hidden, since nothing in it runs on a timer.
 */

import { PROFILES, SLOT_MS } from "../core/audio/profiles.js"
import type { CaptureControl, PlayoutReport } from "../worker/audio-ports.js"
import { type AudioError, Unsupported } from "./errors.js"
import { CallGraph, openContext } from "./call-graph.js"
import { identity, present } from "./devices.js"
import type { CodecReport } from "./messages.js"
import { closeMicrophone, explain, openMicrophone } from "./microphone.js"

/** Where the built modules lie: one entry file each, of the page's own origin. */
export interface AudioFiles {
  readonly captureWorklet: string
  readonly playoutWorklet: string
  readonly codecWorker: string
}

export interface CallAudioOptions {
  /** Null for the default device. */
  readonly inputDeviceId: string | null
  readonly outputDeviceId: string | null
  readonly files: AudioFiles
  /** The browser's echo cancellation, noise suppression and gain; on unless said otherwise. */
  readonly processing?: boolean
  /** Rate of the audio context; the device's own unless said otherwise. */
  readonly sampleRateHz?: number
}

/** What a listener learns while the call goes on. */
export type CallAudioEvent =
  | { readonly kind: "input"; readonly label: string }
  /** The microphone went away and no other opened: silence is sent until `setInput` or a new device helps. */
  | { readonly kind: "input_lost"; readonly error: AudioError }
  /** Another program took the sound, or the browser waits for a click (`needsClick`); it resumes by itself. */
  | { readonly kind: "paused"; readonly needsClick: boolean }
  | { readonly kind: "running" }
  /** Somebody speaks into the muted microphone, or no longer does. */
  | { readonly kind: "muted_speaking"; readonly speaking: boolean }
  | { readonly kind: "failed"; readonly error: AudioError }

export interface CallAudioStats {
  /** Milliseconds from the request to the microphone's first frame, and to the peer's first sound; null before. */
  readonly firstCapturedMs: number | null
  readonly firstSoundMs: number | null
  /** Sound's way from the microphone into a packet: framing, resampling, the codec's look-ahead, the device. */
  readonly captureDelayMs: number
  /** From the earliest possible arrival of a packet to the loudspeaker: jitter buffer, resampling, the device. */
  readonly playoutDelayMs: number
  readonly report: PlayoutReport | null
  readonly codec: CodecReport | null
}

export interface CallAudio {
  /** For the engine worker: `CapturedPacket` comes out, `CaptureControl` goes in. */
  readonly capture: MessagePort
  /** For the engine worker: `ArrivedPacket` goes in, `PlayoutReport` comes out. */
  readonly playout: MessagePort
  /** Settles when the microphone is open; silence is sent before. Rejects with an `AudioError`: stop the call then. */
  readonly speaking: Promise<void>
  setMuted(muted: boolean): void
  /** Whether the loudspeaker plays the peer. */
  setPeerHeard(isHeard: boolean): void
  /** Throws an `AudioError`, and the old microphone stays. */
  setInput(deviceId: string | null): Promise<void>
  /** False where the browser leaves the choice of the loudspeaker to the system. Throws `Unsupported` for a device it refuses. */
  setOutput(deviceId: string | null): Promise<boolean>
  /** Of the last frame, 0 to 1. */
  level(): { readonly microphone: number; readonly peer: number }
  stats(): CallAudioStats
  /** Ends everything at once; safe to call again. */
  stop(): void
  /** For recordings and measurements: what enters the capture worklet, and what leaves the playout worklet. */
  readonly nodes: { readonly context: AudioContext; readonly microphone: AudioNode; readonly peer: AudioNode }
}

class RunningCall implements CallAudio {
  readonly capture: MessagePort
  readonly playout: MessagePort
  readonly speaking: Promise<void>
  readonly #graph: CallGraph
  readonly #processing: boolean
  readonly #notify: (event: CallAudioEvent) => void
  #stream: MediaStream | null = null
  #wanted: string | null
  /** Names the microphone in use; empty until the browser tells. */
  #identity = ""
  #wantedOutput: string | null
  #output: string | null = null
  #lost = false
  #stopped = false

  constructor(
    graph: CallGraph,
    microphone: Promise<MediaStream>,
    options: CallAudioOptions,
    notify: (event: CallAudioEvent) => void,
  ) {
    this.#graph = graph
    this.#processing = options.processing ?? true
    this.#notify = notify
    this.#wanted = options.inputDeviceId
    this.#wantedOutput = options.outputDeviceId
    this.capture = graph.capture
    this.playout = graph.playout
    graph.onFailure = (error) => notify({ kind: "failed", error })
    graph.onSpeaking = (speaking) => notify({ kind: "muted_speaking", speaking })
    this.#watchContext()
    navigator.mediaDevices.addEventListener("devicechange", this.#onDevices)
    this.speaking = microphone.then((stream) => {
      if (this.#stopped || this.#stream !== null) closeMicrophone(stream)
      else this.#take(stream)
    })
    this.speaking.catch(() => undefined)
  }

  get nodes(): CallAudio["nodes"] {
    return { context: this.#graph.context, microphone: this.#graph.microphone, peer: this.#graph.peer }
  }

  setMuted(muted: boolean): void {
    const control: CaptureControl = { kind: "mute", muted }
    this.#graph.mute(control)
  }

  setPeerHeard(isHeard: boolean): void {
    this.#graph.setPeerHeard(isHeard)
  }

  async setInput(deviceId: string | null): Promise<void> {
    const stream = await openMicrophone(deviceId, this.#processing)
    if (this.#stopped) return closeMicrophone(stream)
    this.#wanted = deviceId
    if (this.#stream !== null) closeMicrophone(this.#stream)
    this.#take(stream)
  }

  async setOutput(deviceId: string | null): Promise<boolean> {
    if (!(await this.#playOn(deviceId))) return false
    this.#wantedOutput = deviceId
    return true
  }

  async #playOn(deviceId: string | null): Promise<boolean> {
    const context = this.#graph.context as AudioContext & { setSinkId?: (id: string) => Promise<void> }
    if (context.setSinkId === undefined) return false
    try {
      await context.setSinkId(deviceId ?? "")
      this.#output = deviceId
      return true
    } catch (error) {
      throw new Unsupported("this loudspeaker could not be opened", { cause: error })
    }
  }

  level(): { microphone: number; peer: number } {
    return { ...this.#graph.levels }
  }

  stats(): CallAudioStats {
    const { context, delays, report, codec, firstCapturedMs, firstSoundMs } = this.#graph
    const track = this.#stream?.getAudioTracks()[0]
    const settings: (MediaTrackSettings & { latency?: number }) | undefined = track?.getSettings()
    const deviceMs = (context.baseLatency + ((context as { outputLatency?: number }).outputLatency ?? 0)) * 1000
    return {
      firstCapturedMs,
      firstSoundMs,
      captureDelayMs: (codec?.packetSlots ?? PROFILES.ordinary.slots) * SLOT_MS + delays.codecMs + (settings?.latency ?? 0) * 1000,
      playoutDelayMs: (report?.delayMs ?? 0) + delays.playoutMs + deviceMs,
      report,
      codec,
    }
  }

  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    navigator.mediaDevices.removeEventListener("devicechange", this.#onDevices)
    for (const type of RESUMING) removeEventListener(type, this.#resume)
    document.removeEventListener("visibilitychange", this.#resume)
    this.#graph.context.onstatechange = null
    if (this.#stream !== null) closeMicrophone(this.#stream)
    this.#graph.close()
  }

  // -- microphone --------------------------------------------------------------------------------------------------

  #take(stream: MediaStream): void {
    this.#stream = stream
    this.#lost = false
    this.#graph.listenTo(stream)
    const track = stream.getAudioTracks()[0]
    if (track === undefined) return
    track.onended = () => void this.#replace()
    this.#notify({ kind: "input", label: track.label })
    this.#identity = ""
    void devicesNow().then((devices) => {
      if (this.#stream === stream) this.#identity = identity(devices, "audioinput", this.#wanted)
    })
  }

  /** The microphone is gone: take the default one, or wait for the next that is plugged in. */
  async #replace(): Promise<void> {
    if (this.#stopped) return
    this.#lost = true
    try {
      const stream = await openMicrophone(this.#wanted, this.#processing)
      if (this.#stopped || !this.#lost) closeMicrophone(stream)
      else this.#take(stream)
    } catch (error) {
      if (!this.#stopped) this.#notify({ kind: "input_lost", error: error as AudioError })
    }
  }

  readonly #onDevices = (): void => {
    if (this.#lost) void this.#replace()
    else void this.#follow()
    this.#resume()
  }

  /** A headset was put on or off: sound moves to what is chosen now, and stays where it is when that does not open. */
  async #follow(): Promise<void> {
    const devices = await devicesNow()
    if (this.#stopped) return
    const output = present(devices, "audiooutput", this.#wantedOutput)
    if (output !== this.#output) await this.#playOn(output).catch(() => false)
    const now = identity(devices, "audioinput", this.#wanted)
    if (this.#stopped || this.#lost || this.#stream === null || this.#identity === "" || now === "" || now === this.#identity) return
    await this.setInput(this.#wanted).catch(() => undefined)
  }

  // -- interruptions -----------------------------------------------------------------------------------------------

  #watchContext(): void {
    const { context } = this.#graph
    let paused = false
    const tell = (): void => {
      const now = context.state !== "running"
      if (now !== paused) this.#notify(now ? { kind: "paused", needsClick: context.state === "suspended" } : { kind: "running" })
      paused = now
    }
    // One that was made ready while it rang has only now been told to run.
    setTimeout(() => this.#stopped || tell(), RESUMED_MS_MAX)
    context.onstatechange = () => {
      tell()
      this.#resume()
    }
    for (const type of RESUMING) addEventListener(type, this.#resume)
    document.addEventListener("visibilitychange", this.#resume)
  }

  readonly #resume = (): void => {
    const { context } = this.#graph
    if (!this.#stopped && context.state !== "running" && context.state !== "closed") context.resume().catch(() => undefined)
  }
}

async function devicesNow(): Promise<readonly MediaDeviceInfo[]> {
  return navigator.mediaDevices.enumerateDevices().catch(() => [])
}

/** A context that has not started by then waits for a click. */
const RESUMED_MS_MAX = 500

const RESUMING = ["pointerdown", "keydown", "focus", "pageshow"] as const

/** Context, worklets and codec, loaded and silent. */
export interface PreparedCallAudio {
  readonly context: AudioContext | null
  readonly graph: Promise<CallGraph>
  release(): void
}

/** Loads what needs neither click nor microphone, for a call that rings. What fails here fails again, or not, at the start. */
export function prepareCallAudio({ files, sampleRateHz }: Pick<CallAudioOptions, "files" | "sampleRateHz">): PreparedCallAudio {
  let context: AudioContext | null = null
  let graph: Promise<CallGraph>
  try {
    context = openContext(sampleRateHz)
    graph = CallGraph.open(files, context)
  } catch (error) {
    graph = Promise.reject(error as AudioError)
  }
  graph.catch(() => undefined)
  return { context, graph, release: () => void graph.then((opened) => opened.close(), () => undefined) }
}

/**
 * Opens loudspeaker, codec and microphone, and does not wait for the last (`CallAudio.speaking`). Call it from a click
 * (answer, place call): browsers then let sound start.
 *
 * Throws an `AudioError` (`Denied`, `NoMicrophone`, `MicrophoneBusy`, `Unsupported`); nothing is left open then.
 */
export async function startCallAudio(
  options: CallAudioOptions,
  notify: (event: CallAudioEvent) => void = () => undefined,
  prepared: PreparedCallAudio | null = null,
): Promise<CallAudio> {
  const beganMs = performance.now()
  const microphone = openMicrophone(options.inputDeviceId, options.processing ?? true)
  microphone.catch(() => undefined)
  try {
    const graph = await running(prepared ?? prepareCallAudio(options)).catch((error: unknown) => {
      // A preparation of long ago may have failed for reasons that are gone.
      if (prepared === null) throw error
      return running(prepareCallAudio(options))
    })
    graph.begin(beganMs)
    const call = new RunningCall(graph, microphone, options, notify)
    if (options.outputDeviceId !== null) await call.setOutput(options.outputDeviceId).catch(() => false)
    return call
  } catch (error) {
    // What is wrong with the microphone is the person's to mend, and comes first.
    closeMicrophone(await microphone)
    throw error instanceof Error && "next" in error ? error : explain(error)
  }
}

function running({ context, graph }: PreparedCallAudio): Promise<CallGraph> {
  // Not awaited: without a click it stays pending, and the call starts sounding at the next one.
  context?.resume().catch(() => undefined)
  return graph
}
