/** Opus (RFC 6716) for calls, on libopus in WebAssembly. Mono; one packet for one or more slots. */

import { Application, createDecoder, createEncoder, EncoderCtl, Signal } from "libopus-wasm"
import { PROFILES, SAMPLE_RATE_HZ, SLOT_MS, SLOT_SAMPLES } from "../core/audio/profiles.js"

/** What the encoder may be told of its effort, from the best that the machine may keep up with, downwards. */
const COMPLEXITIES = [9, 5, 2] as const

/** No packet is longer (RFC 6716 section 3.2: 1275 bytes for each 20 ms, and their lengths). */
const PACKET_BYTES_MAX = 1275 * 6 + 7

/** Share of real time that encoding may take before it is made simpler. */
const BUSY_SHARE = 0.25

/** Slots over which the time of encoding is averaged. */
const BUSY_SLOTS = 48

/** Steps down the complexities when encoding takes too long. Pure: the times are arguments. */
export class Effort {
  #step = 0
  #slots = 0
  #spentMs = 0

  get complexity(): number {
    return COMPLEXITIES[this.#step]!
  }

  /** Counts a packet of so many slots that took `ms`; true when the complexity changed. */
  spent(ms: number, slots: number): boolean {
    this.#spentMs += ms
    this.#slots += slots
    if (this.#slots < BUSY_SLOTS) return false
    const busy = this.#spentMs > BUSY_SHARE * SLOT_MS * this.#slots
    this.#spentMs = this.#slots = 0
    if (!busy || this.#step + 1 >= COMPLEXITIES.length) return false
    this.#step++
    return true
  }
}

/** One direction's encoder; keeps prediction state, so it is fed in order. Length and rate may change with each packet. */
export interface Encoder {
  /** One packet of at most `bytesMax` for all of `sound`: one to three slots at `SAMPLE_RATE_HZ`. */
  encode(sound: Float32Array, bytesMax: number): Uint8Array
  /** From the next packet on. */
  setBitrate(bitrateBps: number): void
  /** By libopus's numbers; it waits for a moment of silence to change over. */
  setBandwidth(bandwidth: number): void
  setComplexity(complexity: number): void
  /** Delay the codec adds. */
  readonly lookaheadMs: number
  free(): void
}

/** Packets that run the codec's code before it is needed: the first, slow ones would set the call's delay. */
export const WARM_UP_PACKETS = 8

export async function openEncoder(): Promise<Encoder> {
  const { slots, packetBytesMax } = PROFILES.ordinary
  const trial = await createCallEncoder()
  const noise = new Float32Array(slots * SLOT_SAMPLES)
  for (let index = 0; index < noise.length; index++) noise[index] = Math.sin(index * index) / 4
  for (let packet = 0; packet < WARM_UP_PACKETS; packet++) trial.encode(noise, packetBytesMax)
  trial.free()
  return createCallEncoder()
}

async function createCallEncoder(): Promise<Encoder> {
  const encoder = await createEncoder({
    sampleRate: SAMPLE_RATE_HZ,
    channels: 1,
    application: Application.Voip,
    signal: Signal.Voice,
    bitrate: PROFILES.ordinary.bitrateBps,
    complexity: COMPLEXITIES[0],
    vbr: true,
    vbrConstraint: false,
    fec: false,
    dtx: false,
    packetLossPercent: 0,
  })
  const setBandwidth = (bandwidth: number) => encoder.encoderCtl(EncoderCtl.SetBandwidth, bandwidth)
  setBandwidth(PROFILES.ordinary.bandwidth)
  return {
    encode: (sound, bytesMax) => encoder.encodeFloat(sound, { frameSize: sound.length, maxPacketBytes: bytesMax }),
    setBitrate: (bitrateBps) => encoder.setBitrate(bitrateBps),
    setBandwidth,
    setComplexity: (complexity) => encoder.setComplexity(complexity),
    lookaheadMs: (encoder.getLookahead() / SAMPLE_RATE_HZ) * 1000,
    free: () => encoder.free(),
  }
}

/** One direction's decoder. A call that throws leaves it usable for the next packet. */
export interface Decoder {
  /** The sound in `packet`, at most 120 ms. Throws on a corrupt packet. */
  decode(packet: Uint8Array): Float32Array
  /** An invented continuation for lost sound; `samples` is a multiple of 2.5 ms and at most 120 ms. */
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
