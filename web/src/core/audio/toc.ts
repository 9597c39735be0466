/** How long an Opus packet is, from its first bytes (RFC 6716 section 3.1): no decoder needed. */

import { concat } from "../bytes.js"
import { MalformedPayload } from "./errors.js"
import { PACKET_SLOTS_MAX, SLOT_MS } from "./profiles.js"

const SILK_MS = [10, 20, 40, 60] as const
const HYBRID_MS = [10, 20] as const
const CELT_MS = [2.5, 5, 10, 20] as const

/** The longest frame whose length takes one byte (RFC 6716 section 3.2.1). */
const SHORT_LENGTH_MAX = 251

/**
 * The slots of sound in `packet`, 1 to 6.
 *
 * Throws `MalformedPayload` for an empty packet, one that is no whole number of slots, and one longer than Opus has.
 */
export function packetSlots(packet: Uint8Array): number {
  const toc = packet[0]
  if (toc === undefined) throw new MalformedPayload("an empty packet")
  const durationMs = frameMs(toc >> 3) * frames(packet, toc & 3)
  const slots = durationMs / SLOT_MS
  if (!Number.isInteger(slots) || slots < 1 || slots > PACKET_SLOTS_MAX) {
    throw new MalformedPayload(`a packet of ${durationMs} ms`)
  }
  return slots
}

function frameMs(config: number): number {
  if (config < 12) return SILK_MS[config & 3]!
  return config < 16 ? HYBRID_MS[config & 1]! : CELT_MS[config & 3]!
}

function frames(packet: Uint8Array, code: number): number {
  if (code < 3) return code === 0 ? 1 : 2
  const count = packet[1]
  if (count === undefined) throw new MalformedPayload("a packet without its number of frames")
  return count & 0x3f
}

/**
 * Two packets of one frame as one of two frames (RFC 6716 section 3.2.4), null where they differ in kind. It is as long
 * as the two together.
 */
export function joined(first: Uint8Array, second: Uint8Array): Uint8Array | null {
  const toc = first[0]!
  const isAlike = toc === second[0] && (toc & 3) === 0
  if (!isAlike || first.length - 1 > SHORT_LENGTH_MAX) return null
  return concat(Uint8Array.of(toc | 2, first.length - 1), first.subarray(1), second.subarray(1))
}
