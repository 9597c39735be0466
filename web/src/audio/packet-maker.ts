/** From numbered slots of sound to packets, at the length and rate of the profile in force. */

import { type Profile, PROFILES, SLOT_SAMPLES } from "../core/audio/profiles.js"
import { joined, packetSlots } from "../core/audio/toc.js"
import type { Encoder } from "./opus.js"

/**
 * The longest single Opus frame. A packet of twice that is two frames, coded one after the other: the second may use
 * what the first leaves over, which libopus itself does not allow. The first gets half, so that both sound alike.
 */
const CODED_SLOTS_MAX = 3

/** Takes one packet and the slot in which it begins. */
export type TakePacket = (slot: number, packet: Uint8Array) => void

/**
 * Groups slots and codes them. One encoder for all profiles: libopus takes another length and rate at any packet, and
 * its prediction goes on, so a change is not heard. Slots that were left out amid a packet are silence in it.
 */
export class PacketMaker {
  readonly #encoder: Encoder
  readonly #take: TakePacket
  #profile: Profile = PROFILES.ordinary
  #next: Profile = PROFILES.ordinary
  /** The slot in which the packet being filled began, null between two packets. */
  #begun: number | null = null
  #filling = new Float32Array(0)
  /** Slots of it that are filled. */
  #filled = 0
  /** The first of two frames, while the second is spoken. */
  #first: Uint8Array | null = null

  constructor(encoder: Encoder, take: TakePacket) {
    this.#encoder = encoder
    this.#take = take
  }

  /** Of the packet being filled. */
  get profile(): Profile {
    return this.#profile
  }

  /** Changes from the next packet on. */
  setProfile(profile: Profile): void {
    this.#next = profile
    if (this.#begun === null) this.#change()
  }

  /** Takes the sound of `slot`, later than any before: `SLOT_SAMPLES` at `SAMPLE_RATE_HZ`. */
  push(slot: number, sound: Float32Array): void {
    while (this.#begun !== null && this.#begun + this.#filled < slot) this.#add(null)
    this.#begun ??= slot
    this.#add(sound)
  }

  #add(sound: Float32Array | null): void {
    const { slots } = this.#profile
    const coded = Math.min(slots, CODED_SLOTS_MAX)
    const place = this.#filled % coded
    if (place === 0) this.#filling = new Float32Array(coded * SLOT_SAMPLES)
    if (sound !== null) this.#filling.set(sound, place * SLOT_SAMPLES)
    this.#filled++
    if (place + 1 < coded) return
    try {
      this.#code(this.#filled === slots)
    } finally {
      if (this.#filled === slots) this.#end()
    }
  }

  #code(isLast: boolean): void {
    const bytesMax = this.#profile.packetBytesMax
    if (!isLast) {
      this.#first = this.#encoder.encode(this.#filling, Math.floor(bytesMax / 2))
      return
    }
    const first = this.#first
    const second = this.#encoder.encode(this.#filling, bytesMax - (first?.length ?? 0))
    const whole = first === null ? second : joined(first, second)
    const begun = this.#begun!
    if (whole !== null) return this.#take(begun, whole)
    this.#take(begun, first!)
    this.#take(begun + packetSlots(first!), second)
  }

  #end(): void {
    this.#begun = this.#first = null
    this.#filled = 0
    this.#change()
  }

  #change(): void {
    if (this.#profile === this.#next) return
    this.#profile = this.#next
    this.#encoder.setBitrate(this.#profile.bitrateBps)
    this.#encoder.setBandwidth(this.#profile.bandwidth)
  }
}
