/** Audio worklet: microphone samples at the context's rate into numbered slots for the codec's worker. */

import type { CaptureControl } from "../worker/audio-ports.js"
import { AudioClock } from "./clock.js"
import { FrameCutter } from "./frame-cutter.js"
import { CAPTURE_PROCESSOR, type Level, LEVEL_SLOTS, type SampleSlot, type Speaking, type WorkletStart } from "./messages.js"
import { rms, slotSamples } from "./sound.js"
import { SpeakingHint } from "./speaking.js"

class CaptureProcessor extends AudioWorkletProcessor {
  readonly #cutter = new FrameCutter(slotSamples(sampleRate), (slot, samples) => this.#post(slot, samples))
  #clock: AudioClock | null = null
  #codec: MessagePort | null = null
  readonly #hint = new SpeakingHint()
  #muted = false
  /** Of the slot being overheard. */
  #energy = 0
  #overheard = 0

  constructor() {
    super()
    this.port.onmessage = (event: MessageEvent<WorkletStart | CaptureControl>) => {
      if (event.data.kind === "mute") this.#mute(event.data.muted)
      else if (event.data.kind === "start") this.#connect(event.data.port)
    }
  }

  #connect(codec: MessagePort): void {
    codec.onmessage = (event: MessageEvent<CaptureControl>) => {
      if (event.data.kind === "mute") this.#mute(event.data.muted)
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
    const heard = inputs[0]?.[0]
    // Without an input (no microphone just now) silence is sent: the call, and its shape on the wire, go on.
    const block = this.#muted ? undefined : heard
    this.#cutter.push(block ?? null, length, currentFrame + lost)
    if (this.#muted && heard !== undefined) this.#overhear(heard)
    return true
  }

  #mute(muted: boolean): void {
    if (this.#hint.speaking) this.#say({ kind: "speaking", speaking: false })
    this.#hint.reset()
    this.#muted = muted
  }

  /** What is said while muted goes no further than its level. */
  #overhear(block: Float32Array): void {
    this.#energy += rms(block) ** 2 * block.length
    this.#overheard += block.length
    if (this.#overheard < slotSamples(sampleRate)) return
    if (this.#hint.push(Math.sqrt(this.#energy / this.#overheard))) {
      this.#say({ kind: "speaking", speaking: this.#hint.speaking })
    }
    this.#energy = this.#overheard = 0
  }

  #say(message: Level | Speaking): void {
    this.port.postMessage(message)
  }

  #post(slot: number, samples: Float32Array): void {
    const level = rms(samples)
    if (slot % LEVEL_SLOTS === 0) this.#say({ kind: "level", level })
    const message: SampleSlot = { kind: "samples", slot, samples }
    this.#codec?.postMessage(message, [samples.buffer])
  }
}

registerProcessor(CAPTURE_PROCESSOR, CaptureProcessor)
