// Voice notes of one call in this worker: when they are on, what is said into them, and what is played of them. The rule
// is core/protocol/notes, what a note is core/audio/note; here they meet capture, playout and the conversation.
import { SLOT_MS } from "../core/audio/profiles.js"
import type { Report } from "../core/audio/report.js"
import { packetSlots } from "../core/audio/toc.js"
import { type Heard, Mode, Notes } from "../core/protocol/notes.js"
import type { NotesView } from "./api.js"
import { NoteRecorder, noSound } from "./note-recorder.js"

const SECOND_MS = 1_000
/** How long the page says that talking works again. */
const BACK_SHOWN_MS = 10_000

export interface NotesOutside {
  /** Whether capture sends silence. */
  mute(muted: boolean): void
  play(packets: readonly Uint8Array[]): void
  /** Puts a note into the outbox; without packets it only says that we are here. The message's id comes back. */
  say(number: number, packets: readonly Uint8Array[]): Promise<string>
  /** Waits until the log has it. */
  sent(message: string): Promise<void>
  /** So many more notes of the peer were played to their end. */
  heard(count: number): void
  changed(): unknown
}

export class CallNotes {
  private readonly rule = new Notes()
  private readonly recorder = new NoteRecorder()
  private here: Heard = { percent: 0, targetMs: 0 }
  private there: Heard | null = null
  /** A frame came since the call began. */
  private hasBegun = false
  private timer: ReturnType<typeof setInterval> | undefined
  private isMuted = false
  private nextNumber = 0
  private nextHeard = 0
  private unsent = 0
  private playing = 0
  private backUntilMs = -Infinity
  private saying: Promise<unknown> = Promise.resolve()

  constructor(private readonly outside: NotesOutside) {}

  start(): void {
    this.timer = setInterval(() => this.second(performance.now()), SECOND_MS)
  }

  /** What was begun is said to its end. */
  stop(): void {
    clearInterval(this.timer)
    const begun = this.recorder.finish()
    if (begun !== null) this.say(begun)
  }

  /** Whether what is said goes into notes. */
  get areOn(): boolean {
    return this.rule.mode === Mode.NOTES
  }

  /** Null while the call has carried speech for long enough. */
  get view(): NotesView | null {
    const isBack = performance.now() < this.backUntilMs
    if (!this.areOn && !this.recorder.isOn && !isBack && this.unsent === 0 && this.playing === 0) return null
    const { isSpeaking, heldSlots } = this.recorder
    return { on: this.areOn, speaking: isSpeaking, spokenMs: isSpeaking ? heldSlots * SLOT_MS : 0, unsent: this.unsent, playing: this.playing }
  }

  /** What the person chose for speech; while notes are on, the button decides. Returns what capture does. */
  mute(muted: boolean): boolean {
    this.isMuted = muted
    if (muted) this.recorder.release()
    return this.isSilent
  }

  private get isSilent(): boolean {
    if (this.recorder.isOn) return !this.recorder.isSpeaking
    return this.areOn || this.isMuted
  }

  /** The button is pressed, or released. */
  speak(speaking: boolean): void {
    if (speaking === this.recorder.isSpeaking || (speaking && !this.areOn)) return
    if (speaking) this.recorder.press()
    else this.recorder.release()
    this.outside.mute(this.isSilent)
    this.outside.changed()
  }

  /** Capture has a packet. Returns what goes into the frame in its place: what a note holds is not heard twice. */
  captured(packet: Uint8Array): Uint8Array {
    if (!this.recorder.isOn) return packet
    const said = this.recorder.take(packet)
    if (said !== null) this.say(said)
    if (!this.recorder.isOn) this.outside.mute(this.isSilent)
    this.outside.changed()
    return noSound(packetSlots(packet))
  }

  /** A frame was opened, with this report in it. */
  reported({ lostPercent, latePercent, targetMs }: Report): void {
    this.hasBegun = true
    this.there = { percent: lostPercent + latePercent, targetMs }
  }

  /** What playout hears, as the next frames report it. */
  heard(lostPercent: number, latePercent: number, targetMs: number): void {
    this.here = { percent: lostPercent + latePercent, targetMs }
  }

  /** A checked note of the peer's device in this call; each is played once, and followed. */
  arrived(number: number, packets: readonly Uint8Array[]): void {
    if (number < this.nextHeard) return
    this.nextHeard = number + 1
    const nowMs = performance.now()
    if (this.rule.noted(nowMs)) this.modeChanged(nowMs)
    if (packets.length > 0) this.outside.play(packets)
  }

  /** So many notes wait at the loudspeaker, the one that is heard among them. */
  played(waiting: number): void {
    if (waiting < this.playing) this.outside.heard(this.playing - waiting)
    this.playing = waiting
    this.outside.changed()
  }

  /** Another loudspeaker is in use, and has no note yet. */
  playerChanged(): void {
    this.playing = 0
  }

  private second(nowMs: number): void {
    if (!this.hasBegun) return
    const { there } = this
    this.there = null
    if (this.rule.second(this.here, there, nowMs)) this.modeChanged(nowMs)
    if (this.rule.isPresenceDue(nowMs)) this.say([])
  }

  private modeChanged(nowMs: number): void {
    this.backUntilMs = this.areOn ? -Infinity : nowMs + BACK_SHOWN_MS
    if (!this.recorder.isOn) this.outside.mute(this.isSilent)
    this.outside.changed()
  }

  private say(packets: readonly Uint8Array[]): void {
    this.rule.said(performance.now())
    const number = this.nextNumber++
    const counts = packets.length > 0 ? 1 : 0
    this.unsent += counts
    const said = this.saying.then(() => this.outside.say(number, packets))
    this.saying = said.catch(() => undefined)
    said
      .then((message) => this.outside.sent(message))
      .catch(() => undefined)
      .finally(() => {
        this.unsent -= counts
        this.outside.changed()
      })
  }
}

