/** Audio worklet: microphone samples at the context's rate into numbered slots for the codec's worker. */

import type { CaptureControl } from "../worker/audio-ports.js"
import { AudioClock } from "./clock.js"
import { FrameCutter } from "./frame-cutter.js"
import { CAPTURE_PROCESSOR, type Level, LEVEL_SLOTS, type SampleSlot, type WorkletStart } from "./messages.js"
import { rms, slotSamples } from "./sound.js"

class CaptureProcessor extends AudioWorkletProcessor {
  readonly #cutter = new FrameCutter(slotSamples(sampleRate), (slot, samples) => this.#post(slot, samples))
  #clock: AudioClock | null = null
  #codec: MessagePort | null = null
  #muted = false

  constructor() {
    super()
    this.port.onmessage = (event: MessageEvent<WorkletStart | CaptureControl>) => {
      if (event.data.kind === "mute") this.#muted = event.data.muted
      else if (event.data.kind === "start") this.#connect(event.data.port)
    }
  }

  #connect(codec: MessagePort): void {
    codec.onmessage = (event: MessageEvent<CaptureControl>) => {
      if (event.data.kind === "mute") this.#muted = event.data.muted
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

  #say(level: Level): void {
    this.port.postMessage(level)
  }

  #post(slot: number, samples: Float32Array): void {
    const level = rms(samples)
    if (slot % LEVEL_SLOTS === 0) this.#say({ kind: "level", level })
    const message: SampleSlot = { kind: "samples", slot, samples }
    this.#codec?.postMessage(message, [samples.buffer])
  }
}

registerProcessor(CAPTURE_PROCESSOR, CaptureProcessor)
