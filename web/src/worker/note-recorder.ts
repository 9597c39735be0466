// Cuts what is said while a button is held into voice notes (docs/spec/media.md section 9.2). Pure.
import { NOTE_SLOTS_MAX, NOTE_SLOTS_MIN, PACKET_BYTES_MAX, PACKET_SLOTS_MAX } from "../core/audio/profiles.js"
import { packetSlots } from "../core/audio/toc.js"
import { NOTE_BYTES_MAX } from "../core/e2ee/content/limits.js"

/** What was spoken before the release may still be in the codec and on its way for so long. */
const TAIL_SLOTS = 12

/** A packet of so many slots without sound in it: one frame of nothing, or two (RFC 6716 section 3.2.1). */
export function noSound(slots: number): Uint8Array {
  if (slots === 6) return Uint8Array.of(WIDEBAND_60_MS | TWO_ALIKE)
  return Uint8Array.of(slots === 3 ? WIDEBAND_60_MS : WIDEBAND_20_MS)
}

const WIDEBAND_60_MS = 0x58
const WIDEBAND_20_MS = 0x48
const TWO_ALIKE = 1

export class NoteRecorder {
  private packets: Uint8Array[] = []
  private slots = 0
  private bytes = 0
  private tail = 0
  private isHeld = false
  /** Slots since the button was pressed. */
  heldSlots = 0

  /** Whether packets belong into a note: from the press to the end of the last note. */
  get isOn(): boolean {
    return this.isHeld || this.packets.length > 0 || this.tail > 0
  }

  /** Whether the microphone is heard. */
  get isSpeaking(): boolean {
    return this.isHeld
  }

  press(): void {
    this.isHeld = true
    this.heldSlots = 0
    this.tail = TAIL_SLOTS
  }

  release(): void {
    this.isHeld = false
  }

  /** Takes a captured packet, silence after the release; returns the note that it ends, if it ends one. */
  take(packet: Uint8Array): readonly Uint8Array[] | null {
    const slots = packetSlots(packet)
    this.packets.push(packet)
    this.slots += slots
    if (this.isHeld) this.heldSlots += slots
    else this.tail = Math.max(0, this.tail - slots)
    this.bytes += packet.length
    // When talking works again before the button is released, packets may be short and rich.
    const isFull = this.slots > NOTE_SLOTS_MAX - PACKET_SLOTS_MAX || this.bytes > NOTE_BYTES_MAX - PACKET_BYTES_MAX
    const isSaid = !this.isHeld && this.tail === 0 && this.slots >= NOTE_SLOTS_MIN
    return isFull || isSaid ? this.end() : null
  }

  /** The note that was begun, filled up; nothing is on then. */
  finish(): readonly Uint8Array[] | null {
    this.isHeld = false
    this.tail = 0
    if (this.packets.length === 0) return null
    for (; this.slots < NOTE_SLOTS_MIN; this.slots += PACKET_SLOTS_MAX) this.packets.push(noSound(PACKET_SLOTS_MAX))
    return this.end()
  }

  private end(): readonly Uint8Array[] {
    const { packets } = this
    this.packets = []
    this.slots = this.bytes = 0
    return packets
  }
}
