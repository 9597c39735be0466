/** The nodes, the worker and the ports of one call, and the numbers they report. */

import type { CaptureControl, PlayoutReport } from "../worker/audio-ports.js"
import type { AudioFiles } from "./call-audio.js"
import { type AudioError, Unsupported } from "./errors.js"
import {
  CAPTURE_PROCESSOR, PLAYOUT_PROCESSOR,
  type CodecReport, type CodecStart, type Level, type Readiness, type Speaking, type WorkletStart,
} from "./messages.js"
import { slotSamples } from "./sound.js"

/** The codec loads from the page's own origin; what takes longer will not come. */
const READY_MS_MAX = 15_000

/** Used where the device's own rate has no whole slots. */
const COMMON_RATE_HZ = 48_000

/** Throws `Unsupported`. */
export function openContext(sampleRateHz: number | undefined): AudioContext {
  if (typeof AudioContext === "undefined" || typeof AudioWorkletNode === "undefined") {
    throw new Unsupported("it has no audio worklets")
  }
  const context = new AudioContext({ latencyHint: "interactive", ...(sampleRateHz && { sampleRate: sampleRateHz }) })
  try {
    slotSamples(context.sampleRate)
    return context
  } catch (error) {
    void context.close()
    if (sampleRateHz !== undefined) throw new Unsupported(`no calls at ${sampleRateHz} Hz`, { cause: error })
    return openContext(COMMON_RATE_HZ)
  }
}

/** Waits until a part says that it is ready; what it says later goes to `rest`. Returns the delay it adds. */
function ready(part: MessagePort | Worker, rest: (message: unknown) => void): Promise<number> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Unsupported("the codec did not load")), READY_MS_MAX)
    const settle = (outcome: () => void): void => {
      clearTimeout(timer)
      outcome()
    }
    part.onmessage = (event: MessageEvent<Readiness | { kind: "other" }>) => {
      const message = event.data
      if (message.kind === "ready") settle(() => resolve(message.delayMs))
      else if (message.kind === "failed") settle(() => reject(new Unsupported(message.message)))
      else rest(message)
    }
    if (part instanceof Worker) {
      part.onerror = (event) => settle(() => reject(new Unsupported(event.message || "the codec's worker did not start")))
    }
  })
}

export class CallGraph {
  readonly capture: MessagePort
  readonly playout: MessagePort
  readonly context: AudioContext
  /** What enters the capture worklet. */
  readonly microphone: GainNode
  readonly peer: AudioWorkletNode
  readonly levels = { microphone: 0, peer: 0 }
  delays = { codecMs: 0, playoutMs: 0 }
  report: PlayoutReport | null = null
  codec: CodecReport | null = null
  firstCapturedMs: number | null = null
  firstSoundMs: number | null = null
  onFailure: (error: AudioError) => void = () => undefined
  onSpeaking: (speaking: boolean) => void = () => undefined
  readonly #captureNode: AudioWorkletNode
  /** The peer's loudness. Silence is made behind the worklet: one that is cut off would not keep up. */
  readonly #heard: GainNode
  readonly #worker: Worker
  #beganMs = 0
  #source: MediaStreamAudioSourceNode | null = null

  /** Throws `Unsupported`; nothing is left open then. */
  static async open(files: AudioFiles, context: AudioContext): Promise<CallGraph> {
    let graph: CallGraph | null = null
    try {
      await Promise.all([context.audioWorklet.addModule(files.captureWorklet), context.audioWorklet.addModule(files.playoutWorklet)])
      graph = new CallGraph(context, new Worker(files.codecWorker, { type: "module" }))
      await graph.#start()
      return graph
    } catch (error) {
      if (graph !== null) graph.close()
      else void context.close()
      throw error instanceof Unsupported ? error : new Unsupported("its audio worklets did not load", { cause: error })
    }
  }

  private constructor(context: AudioContext, worker: Worker) {
    this.context = context
    this.#worker = worker
    this.microphone = new GainNode(context)
    this.#captureNode = new AudioWorkletNode(context, CAPTURE_PROCESSOR, {
      channelCount: 1, channelCountMode: "explicit", outputChannelCount: [1],
    })
    this.peer = new AudioWorkletNode(context, PLAYOUT_PROCESSOR, { numberOfInputs: 0, outputChannelCount: [1] })
    this.#heard = new GainNode(context)
    const capture = new MessageChannel()
    const playout = new MessageChannel()
    this.capture = capture.port1
    this.playout = playout.port1
    this.#engineEnds = [capture.port2, playout.port2]
  }

  readonly #engineEnds: readonly [MessagePort, MessagePort]

  readonly #samples = new MessageChannel()

  async #start(): Promise<void> {
    const [captureEnd, playoutEnd] = this.#engineEnds
    const codecReady = ready(this.#worker, (message) => this.#fromCodec(message as CodecReport))
    const playoutReady = ready(this.peer.port, (message) => this.#fromPlayout(message as Level | PlayoutReport))
    this.#watch()
    const codecStart: CodecStart = {
      kind: "start", samples: this.#samples.port2, engine: captureEnd, rateHz: this.context.sampleRate,
    }
    this.#worker.postMessage(codecStart, [this.#samples.port2, captureEnd])
    const playoutStart: WorkletStart = { kind: "start", port: playoutEnd }
    this.peer.port.postMessage(playoutStart, [playoutEnd])
    const [codecMs, playoutMs] = await Promise.all([codecReady, playoutReady])
    this.delays = { codecMs, playoutMs }
    this.#worker.onerror = () => this.onFailure(new Unsupported("the codec's worker stopped"))
  }

  /** Sound flows from here on: the peer's, and silence until there is a microphone. `beganMs` is when it was asked for. */
  begin(beganMs: number): void {
    this.#beganMs = beganMs
    const { port1 } = this.#samples
    const captureStart: WorkletStart = { kind: "start", port: port1 }
    this.#captureNode.port.postMessage(captureStart, [port1])
    this.microphone.connect(this.#captureNode).connect(this.context.destination)
    this.peer.connect(this.#heard).connect(this.context.destination)
  }

  #watch(): void {
    this.#captureNode.port.onmessage = (event: MessageEvent<Level | Speaking>) => {
      if (event.data.kind === "speaking") return this.onSpeaking(event.data.speaking)
      if (this.#source !== null) this.firstCapturedMs ??= performance.now() - this.#beganMs
      this.levels.microphone = event.data.level
    }
    const fail = (): void => this.onFailure(new Unsupported("its audio worklet stopped"))
    this.#captureNode.onprocessorerror = fail
    this.peer.onprocessorerror = fail
  }

  #fromCodec(message: CodecReport): void {
    if (message.kind === "codec") this.codec = message
  }

  #fromPlayout(message: Level | PlayoutReport): void {
    if (message.kind === "level") {
      this.levels.peer = message.level
    } else {
      this.report = message
      if (message.firstSoundMs !== null) this.firstSoundMs ??= performance.now() - this.#beganMs
    }
  }

  listenTo(stream: MediaStream): void {
    this.#source?.disconnect()
    this.#source = new MediaStreamAudioSourceNode(this.context, { mediaStream: stream })
    this.#source.connect(this.microphone)
  }

  mute(control: CaptureControl): void {
    this.#captureNode.port.postMessage(control)
  }

  setPeerHeard(isHeard: boolean): void {
    this.#heard.gain.value = isHeard ? 1 : 0
  }

  close(): void {
    this.#source?.disconnect()
    this.#worker.terminate()
    this.capture.close()
    this.playout.close()
    if (this.context.state !== "closed") void this.context.close()
  }
}
