/** Audio worklet: microphone samples at the context's rate into numbered frames for the codec's worker. */

import type { CaptureControl } from "../worker/audio-ports.js"
import { AudioClock } from "./clock.js"
import { FrameCutter } from "./frame-cutter.js"
import { CAPTURE_PROCESSOR, type Level, type SampleFrame, type WorkletStart } from "./messages.js"
import { frameSamples, rms } from "./sound.js"

class CaptureProcessor extends AudioWorkletProcessor {
  readonly #cutter = new FrameCutter(frameSamples(sampleRate), (frame, samples) => this.#post(frame, samples))
  #clock: AudioClock | null = null
  #codec: MessagePort | null = null
  #muted = false

  constructor() {
    super()
    this.port.onmessage = (event: MessageEvent<WorkletStart | CaptureControl>) => {
      if (event.data.kind === "mute") this.#muted = event.data.muted
      else this.#connect(event.data.port)
    }
  }

  #connect(codec: MessagePort): void {
    codec.onmessage = (event: MessageEvent<CaptureControl>) => {
      this.#muted = event.data.muted
    }
    this.#codec = codec
  }

  process(inputs: Float32Array[][], outputs: Float32Array[][]): boolean {
    // The silent output only keeps the node in the graph, and says how long a block is.
    const length = outputs[0]?.[0]?.length
    if (this.#codec === null || length === undefined) return true
    const audioMs = (currentFrame / sampleRate) * 1000
    this.#clock ??= new AudioClock(audioMs, Date.now())
    this.#clock.tick(audioMs, Date.now())
    const lost = Math.round((this.#clock.lostMs * sampleRate) / 1000)
    // Without an input (no microphone just now) silence is sent: the call, and its shape on the wire, go on.
    const block = this.#muted ? undefined : inputs[0]?.[0]
    this.#cutter.push(block ?? null, length, currentFrame + lost)
    return true
  }

  #post(frame: number, samples: Float32Array): void {
    const level: Level = { kind: "level", level: rms(samples) }
    const message: SampleFrame = { kind: "samples", frame, samples }
    this.#codec?.postMessage(message, [samples.buffer])
    this.port.postMessage(level)
  }
}

registerProcessor(CAPTURE_PROCESSOR, CaptureProcessor)
