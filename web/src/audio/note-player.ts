/** Voice notes in the order in which they came, one slot of sound at a time. One decoder: notes that follow on join. */

import { packetSlots } from "../core/audio/toc.js"
import { type Decoder, openDecoder } from "./opus.js"
import { slotSamples } from "./sound.js"

/** What the decoder refuses, or makes of another length, is silence: what follows stays in its place. */
function decoded(decoder: Decoder, packet: Uint8Array, samples: number): Float32Array {
  try {
    const sound = decoder.decode(packet)
    return sound.length === samples ? sound : new Float32Array(samples)
  } catch {
    return new Float32Array(samples)
  }
}

export class NotePlayer {
  readonly #slotSamples: number
  readonly #waiting: { readonly packet: Uint8Array; readonly isLast: boolean }[] = []
  #decoder: Decoder | null = null
  #sound = new Float32Array(0)
  #at = 0
  /** Notes that were not heard to their end yet. */
  waiting = 0
  #endsNote = false

  constructor(rateHz: number) {
    this.#slotSamples = slotSamples(rateHz)
  }

  /** Notes wait until it is there. */
  use(decoder: Decoder): void {
    this.#decoder = decoder
  }

  /** Takes a checked note. */
  push(packets: readonly Uint8Array[]): void {
    packets.forEach((packet, index) => this.#waiting.push({ packet, isLast: index === packets.length - 1 }))
    if (packets.length > 0) this.waiting++
  }

  get isEmpty(): boolean {
    return this.waiting === 0 || this.#decoder === null
  }

  /** The next slot of a note, null where none waits. */
  pull(): Float32Array | null {
    if (this.#decoder === null) return null
    if (this.#at === this.#sound.length) {
      if (this.#endsNote) this.waiting--
      this.#endsNote = false
      const next = this.#waiting.shift()
      if (next === undefined) return null
      this.#sound = decoded(this.#decoder, next.packet, packetSlots(next.packet) * this.#slotSamples) as Float32Array<ArrayBuffer>
      this.#at = 0
      this.#endsNote = next.isLast
    }
    const slot = this.#sound.subarray(this.#at, this.#at + this.#slotSamples)
    this.#at += this.#slotSamples
    return slot
  }
}

const RATE_HZ = 48_000

/** Plays one note by itself, from a click. Settles when it has ended, or `signal` ended it; nothing is left open then. */
export async function playNote(packets: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
  const context = new AudioContext({ latencyHint: "playback" })
  try {
    const decoder = await openDecoder(RATE_HZ)
    const sounds = packets.map((packet) => decoded(decoder, packet, packetSlots(packet) * slotSamples(RATE_HZ)))
    const buffer = context.createBuffer(1, sounds.reduce((sum, { length }) => sum + length, 0), RATE_HZ)
    let at = 0
    for (const sound of sounds) {
      buffer.getChannelData(0).set(sound, at)
      at += sound.length
    }
    await context.resume()
    const source = new AudioBufferSourceNode(context, { buffer })
    source.connect(context.destination)
    await new Promise<void>((resolve) => {
      source.onended = () => resolve()
      signal.addEventListener("abort", () => source.stop(), { once: true })
      source.start()
      if (signal.aborted) source.stop()
    })
  } finally {
    await context.close()
  }
}
