// What a call says before its sound has opened: silence in the rhythm of the ordinary profile, as a muted device sends it.
import { PROFILES, SLOT_MS } from "../core/audio/profiles.js"

/** Opus frames of 20 ms that are nothing but the flag for silence (RFC 6716 section 4.3), one to three in a packet. */
const SILENT_FRAME = [0xff, 0xfe]
const SILENT_PACKETS = [
  Uint8Array.of(0xf8, ...SILENT_FRAME),
  Uint8Array.of(0xf9, ...SILENT_FRAME, ...SILENT_FRAME),
  Uint8Array.of(0xfb, 3, ...SILENT_FRAME, ...SILENT_FRAME, ...SILENT_FRAME),
]
const { slots: PACKET_SLOTS } = PROFILES.ordinary

/**
 * The first packet leaves at once and stands for what came before; so what is captured from some moment on, and leaves a
 * packet's length later, follows it without a gap.
 */
export class FirstSilence {
  private timer: ReturnType<typeof setInterval> | undefined
  private beganMs: number | undefined
  /** Slots said since it began. */
  private said = 0

  constructor(private readonly send: (packet: Uint8Array) => void) {}

  start(nowMs: number): void {
    this.beganMs = nowMs
    this.send(SILENT_PACKETS[PACKET_SLOTS - 1]!)
    this.timer = setInterval(() => this.say(PACKET_SLOTS), PACKET_SLOTS * SLOT_MS)
  }

  /** Sound is captured from now on; the silence ends here. */
  stop(nowMs: number): void {
    if (this.beganMs === undefined || this.timer === undefined) return
    this.end()
    this.say(Math.min(Math.round((nowMs - this.beganMs) / SLOT_MS) - this.said, PACKET_SLOTS))
  }

  end(): void {
    clearInterval(this.timer)
    this.timer = undefined
  }

  private say(slots: number): void {
    const packet = SILENT_PACKETS[slots - 1]
    if (packet === undefined) return
    this.said += slots
    this.send(packet)
  }
}
