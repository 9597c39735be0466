/** Worker of one call: numbered sound frames in, Opus packets out to the engine's worker. */

import type { CapturedPacket, CaptureControl } from "../worker/audio-ports.js"
import type { CodecReport, CodecStart, Readiness, SampleFrame } from "./messages.js"
import { Effort, type Encoder, openEncoder, WARM_UP_FRAMES } from "./opus.js"
import { Resampler } from "./resampler.js"
import { frameSamples, SPEECH_RATE_HZ } from "./sound.js"

const REPORT_FRAMES = 16

/** What the encoder and the ports do with each frame. */
class CodecLine {
  readonly #encoder: Encoder
  readonly #engine: MessagePort
  readonly #resampler: Resampler | null
  readonly #effort = new Effort()
  #frames = 0
  #failed = 0

  constructor(encoder: Encoder, engine: MessagePort, rateHz: number) {
    this.#encoder = encoder
    this.#engine = engine
    this.#resampler = rateHz === SPEECH_RATE_HZ ? null : new Resampler(rateHz, SPEECH_RATE_HZ)
    // Whole frames of silence leave it as it was, and its code ready: the first frame is not to come late.
    for (let frame = 0; frame < WARM_UP_FRAMES; frame++) this.#resampler?.push(new Float32Array(frameSamples(rateHz)))
  }

  get delayMs(): number {
    return this.#encoder.lookaheadMs + (this.#resampler?.delayMs ?? 0)
  }

  take({ frame, samples }: SampleFrame): void {
    const began = performance.now()
    try {
      const speech = this.#resampler === null ? samples : this.#resampler.push(samples)
      const packet = this.#encoder.encode(speech)
      const message: CapturedPacket = { kind: "captured", frame, packet }
      this.#engine.postMessage(message, [packet.buffer])
    } catch {
      // A frame lost here is a frame lost on the way: the far side conceals it, and the report says so.
      this.#failed++
    }
    if (this.#effort.spent(performance.now() - began)) this.#encoder.setComplexity(this.#effort.complexity)
    if (++this.#frames % REPORT_FRAMES === 0) this.#report()
  }

  #report(): void {
    const report: CodecReport = {
      kind: "codec", frames: this.#frames, failed: this.#failed, complexity: this.#effort.complexity,
    }
    postMessage(report)
  }
}

async function start({ samples, engine, rateHz }: CodecStart): Promise<void> {
  const line = new CodecLine(await openEncoder(), engine, rateHz)
  samples.onmessage = (event: MessageEvent<SampleFrame>) => line.take(event.data)
  engine.onmessage = (event: MessageEvent<CaptureControl>) => {
    if (event.data.kind === "mute") samples.postMessage(event.data)
  }
  say({ kind: "ready", delayMs: line.delayMs })
}

function say(readiness: Readiness): void {
  postMessage(readiness)
}

addEventListener("message", (event: MessageEvent<CodecStart>) => {
  start(event.data).catch((error: unknown) => say({ kind: "failed", message: String(error) }))
})
