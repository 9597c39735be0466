/** Opus (RFC 6716) for calls, on libopus in WebAssembly. Mono; one packet for each frame. */

import { Application, Bandwidth, createDecoder, createEncoder, Signal } from "libopus-wasm"
import { FRAME_MS, SPEECH_RATE_HZ, frameSamples } from "./sound.js"

/** What the encoder is told; the same as in `ringthrough.audio.opus`: the bitrate fills the padded frame. */
export const CALL_PROFILE = {
  bitrateBps: 16_000,
  /** From the best that the machine may keep up with, downwards. */
  complexities: [9, 5, 2],
  /** The longest packet that always fits into a sealed voice frame. libopus spends less on the frame that would pass it. */
  packetBytesMax: 133,
} as const

/** No packet of up to 60 ms is longer (RFC 6716 section 3.2: 1275 bytes for each 20 ms, and their lengths). */
const PACKET_BYTES_MAX = 1275 * 3 + 7

/** Share of real time that encoding may take before it is made simpler. */
const BUSY_SHARE = 0.25

/** Frames over which the time of encoding is averaged. */
const BUSY_FRAMES = 16

/** Steps down the complexities when encoding takes too long. Pure: the times are arguments. */
export class Effort {
  #step = 0
  #frames = 0
  #spentMs = 0

  get complexity(): number {
    return CALL_PROFILE.complexities[this.#step]!
  }

  /** Counts one frame that took `ms`; true when the complexity changed. */
  spent(ms: number): boolean {
    this.#spentMs += ms
    this.#frames++
    if (this.#frames < BUSY_FRAMES) return false
    const busy = this.#spentMs > BUSY_SHARE * FRAME_MS * this.#frames
    this.#spentMs = this.#frames = 0
    if (!busy || this.#step + 1 >= CALL_PROFILE.complexities.length) return false
    this.#step++
    return true
  }
}

/** One direction's encoder; keeps prediction state, so it is fed in order. */
export interface Encoder {
  /** The packet for exactly one frame at `SPEECH_RATE_HZ`. */
  encode(sound: Float32Array): Uint8Array
  setComplexity(complexity: number): void
  /** Delay the codec adds. */
  readonly lookaheadMs: number
  free(): void
}

/** Frames that run the codec's code before it is needed: the first, slow ones would set the call's delay. */
export const WARM_UP_FRAMES = 8

export async function openEncoder(): Promise<Encoder> {
  const trial = await createCallEncoder()
  const noise = new Float32Array(frameSamples(SPEECH_RATE_HZ))
  for (let index = 0; index < noise.length; index++) noise[index] = Math.sin(index * index) / 4
  for (let frame = 0; frame < WARM_UP_FRAMES; frame++) trial.encode(noise)
  trial.free()
  return createCallEncoder()
}

async function createCallEncoder(): Promise<Encoder> {
  const encoder = await createEncoder({
    sampleRate: SPEECH_RATE_HZ,
    channels: 1,
    application: Application.Voip,
    signal: Signal.Voice,
    maxBandwidth: Bandwidth.Wideband,
    bitrate: CALL_PROFILE.bitrateBps,
    complexity: CALL_PROFILE.complexities[0],
    frameSize: frameSamples(SPEECH_RATE_HZ),
    vbr: true,
    vbrConstraint: false,
    fec: false,
    dtx: false,
    packetLossPercent: 0,
  })
  const options = { maxPacketBytes: CALL_PROFILE.packetBytesMax }
  return {
    encode: (sound) => encoder.encodeFloat(sound, options),
    setComplexity: (complexity) => encoder.setComplexity(complexity),
    lookaheadMs: (encoder.getLookahead() / SPEECH_RATE_HZ) * 1000,
    free: () => encoder.free(),
  }
}

/** One direction's decoder. A call that throws leaves it usable for the next packet. */
export interface Decoder {
  /** The sound in `packet`, at most 120 ms. Throws on a corrupt packet. */
  decode(packet: Uint8Array): Float32Array
  /** An invented continuation for a lost frame; `samples` is a multiple of 2.5 ms and at most 120 ms. */
  conceal(samples: number): Float32Array
}

/** `rateHz` is one of Opus's own rates. */
export async function openDecoder(rateHz: number): Promise<Decoder> {
  const decoder = await createDecoder({ sampleRate: rateHz as 8000 | 12000 | 16000 | 24000 | 48000, channels: 1 })
  return {
    decode(packet) {
      // libopus reads an empty packet as "conceal", and a long one would make WebAssembly's memory grow.
      if (packet.length === 0 || packet.length > PACKET_BYTES_MAX) throw new RangeError("no packet of a call")
      return decoder.decodeFloat(packet)
    },
    conceal: (samples) => decoder.decodePacketLossFloat(samples),
  }
}
