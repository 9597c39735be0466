/** Voice notes of a call: packets of speech that are sent whole, 1 to 3 s at a time (docs/spec/media.md section 9). */

import { MalformedNote, MalformedPayload } from "./errors.js"
import { NOTE_SLOTS_MAX, NOTE_SLOTS_MIN, PACKET_BYTES_MAX, SLOT_MS } from "./profiles.js"
import { packetSlots } from "./toc.js"

/** The slots of sound in a note. Throws `MalformedNote` for a packet that is none of a call, and for less than 1 s or more than 3. */
export function noteSlots(packets: readonly Uint8Array[]): number {
  let slots = 0
  for (const packet of packets) {
    if (packet.length > PACKET_BYTES_MAX) throw new MalformedNote(`a packet of ${packet.length} bytes`)
    slots += slotsOf(packet)
  }
  if (slots < NOTE_SLOTS_MIN || slots > NOTE_SLOTS_MAX) throw new MalformedNote(`a note of ${slots * SLOT_MS} ms`)
  return slots
}

function slotsOf(packet: Uint8Array): number {
  try {
    return packetSlots(packet)
  } catch (error) {
    throw error instanceof MalformedPayload ? new MalformedNote(error.message, { cause: error }) : error
  }
}
