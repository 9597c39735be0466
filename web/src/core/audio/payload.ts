/**
 * What the sealed part of a media frame carries: a report, copies of earlier packets, and the newest packet.
 *
 * The format is docs/spec/media.md section 5.1; `vectors/payload` holds both languages to it.
 */

import { concat } from "../bytes.js"
import { MalformedPayload } from "./errors.js"
import {
  DISTANCE_SLOTS_MAX, DISTANCES, HEAD_BYTES, PACKET_BYTES_MAX, type Redundancy, REPEAT_BYTES, REPEATS_MAX,
} from "./profiles.js"
import { decodeReport, encodeReport, type Report } from "./report.js"
import { packetSlots } from "./toc.js"

/** An earlier packet that began `distance` slots before the newest. */
export interface Repeat {
  readonly distance: number
  readonly packet: Uint8Array
}

/** One frame's content. `repeats` are in the order of time, so their distances fall. */
export interface Payload {
  readonly report: Report
  readonly packet: Uint8Array
  readonly repeats: readonly Repeat[]
}

/** The bytes. The caller holds to the rules; `PayloadPacker` does. */
export function encodePayload({ report, packet, repeats }: Payload): Uint8Array {
  const table = repeats.map((repeat) => Uint8Array.of(repeat.distance, repeat.packet.length))
  const packets = repeats.map((repeat) => repeat.packet)
  return concat(Uint8Array.of(repeats.length), encodeReport(report), ...table, ...packets, packet)
}

/** Reads a payload. Throws `MalformedPayload` and nothing else, whatever the bytes. */
export function decodePayload(data: Uint8Array): Payload {
  if (data.length <= HEAD_BYTES) throw new MalformedPayload(`${data.length} bytes`)
  const count = data[0]!
  if (count > REPEATS_MAX) throw new MalformedPayload(`head ${count}`)
  const report = decodeReport(data.subarray(1, HEAD_BYTES))
  let at = HEAD_BYTES + count * REPEAT_BYTES
  const table = data.subarray(HEAD_BYTES, at)
  const repeats: Repeat[] = []
  for (let entry = 0; entry + 1 < table.length; entry += REPEAT_BYTES) {
    const end = at + table[entry + 1]!
    repeats.push({ distance: table[entry]!, packet: data.slice(at, end) })
    at = end
  }
  const packet = data.slice(at)
  packetSlots(packet)
  checkOrder(repeats)
  return { report, packet, repeats }
}

/** Each ends before the next begins; a packet that is cut off is empty or leaves the newest empty. */
function checkOrder(repeats: readonly Repeat[]): void {
  let follows = 0
  for (const { distance, packet } of repeats.toReversed()) {
    if (distance - packetSlots(packet) < follows) throw new MalformedPayload(`a packet ${distance} slots back overlaps the next`)
    follows = distance
  }
}

const BACK_MAX = Math.max(...Object.values(DISTANCES).flat())

/** Puts each packet with copies of earlier ones into a payload; remembers as many as a copy may be back. */
export class PayloadPacker {
  readonly #earlier: { readonly slot: number; readonly packet: Uint8Array }[] = []

  /**
   * The payload of the frame whose counter is `slot`, later than any before. `packet` has at most `PACKET_BYTES_MAX`
   * bytes. Of the copies that `redundancy` names those that fit go in.
   */
  pack(slot: number, packet: Uint8Array, redundancy: Redundancy, report: Report): Uint8Array {
    let room = PACKET_BYTES_MAX - packet.length
    const repeats: Repeat[] = []
    for (const back of DISTANCES[redundancy]) {
      const earlier = this.#earlier.at(-back)
      if (earlier === undefined) continue
      const cost = REPEAT_BYTES + earlier.packet.length
      const distance = slot - earlier.slot
      if (cost > room || distance > DISTANCE_SLOTS_MAX) continue
      room -= cost
      repeats.push({ distance, packet: earlier.packet })
    }
    repeats.sort((a, b) => b.distance - a.distance)
    this.#earlier.push({ slot, packet })
    if (this.#earlier.length > BACK_MAX) this.#earlier.shift()
    return encodePayload({ report, packet, repeats })
  }
}
