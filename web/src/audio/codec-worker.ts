/** Worker of one call: numbered slots of sound in, Opus packets out to the engine's worker. */

import type { CapturedPacket, CaptureControl } from "../worker/audio-ports.js"
import { type ProfileName, PROFILES, SAMPLE_RATE_HZ } from "../core/audio/profiles.js"
import type { CodecReport, CodecStart, Readiness, SampleSlot } from "./messages.js"
import { Effort, type Encoder, openEncoder, WARM_UP_PACKETS } from "./opus.js"
import { PacketMaker } from "./packet-maker.js"
import { Resampler } from "./resampler.js"
import { slotSamples } from "./sound.js"

const REPORT_SLOTS = 48

/** What the encoder and the ports do with each slot. */
class CodecLine {
  readonly #encoder: Encoder
  readonly #engine: MessagePort
  readonly #resampler: Resampler | null
  readonly #maker: PacketMaker
  readonly #effort = new Effort()
  #isTaken = false
  #slots = 0
  #failed = 0

  constructor(encoder: Encoder, engine: MessagePort, rateHz: number) {
    this.#encoder = encoder
    this.#engine = engine
    this.#resampler = rateHz === SAMPLE_RATE_HZ ? null : new Resampler(rateHz, SAMPLE_RATE_HZ)
    this.#maker = new PacketMaker(encoder, (slot, packet) => this.#captured(slot, packet))
    // Whole slots of silence leave it as it was, and its code ready: the first slot is not to come late.
    for (let slot = 0; slot < 3 * WARM_UP_PACKETS; slot++) this.#resampler?.push(new Float32Array(slotSamples(rateHz)))
  }

  get delayMs(): number {
    return this.#encoder.lookaheadMs + (this.#resampler?.delayMs ?? 0)
  }

  /** The engine names a profile when it takes the line. What was said before, such as while it rang, is coded for nobody. */
  setProfile(name: ProfileName): void {
    this.#isTaken = true
    this.#maker.setProfile(PROFILES[name])
  }

  take({ slot, samples }: SampleSlot): void {
    const began = performance.now()
    try {
      const sound = this.#resampler === null ? samples : this.#resampler.push(samples)
      if (!this.#isTaken) return
      this.#maker.push(slot, sound)
    } catch {
      // A packet lost here is a packet lost on the way: the far side conceals it, and the report says so.
      this.#failed++
    }
    if (this.#effort.spent(performance.now() - began, 1)) this.#encoder.setComplexity(this.#effort.complexity)
    if (++this.#slots % REPORT_SLOTS === 0) this.#report()
  }

  #captured(slot: number, packet: Uint8Array): void {
    const message: CapturedPacket = { kind: "captured", slot, packet }
    this.#engine.postMessage(message, [packet.buffer])
  }

  #report(): void {
    const report: CodecReport = {
      kind: "codec", slots: this.#slots, failed: this.#failed, complexity: this.#effort.complexity,
      packetSlots: this.#maker.profile.slots,
    }
    postMessage(report)
  }
}

async function start({ samples, engine, rateHz }: CodecStart): Promise<void> {
  const line = new CodecLine(await openEncoder(), engine, rateHz)
  samples.onmessage = (event: MessageEvent<SampleSlot>) => line.take(event.data)
  engine.onmessage = ({ data }: MessageEvent<CaptureControl>) => {
    if (data.kind === "mute") samples.postMessage(data)
    else if (data.kind === "profile" && data.profile in PROFILES) line.setProfile(data.profile)
  }
  say({ kind: "ready", delayMs: line.delayMs })
}

function say(readiness: Readiness): void {
  postMessage(readiness)
}

addEventListener("message", (event: MessageEvent<CodecStart>) => {
  start(event.data).catch((error: unknown) => say({ kind: "failed", message: String(error) }))
})
