/** Audio worklet: the peer's packets through jitter buffer and decoder into sound, on the audio clock. */

import { SLOT_MS } from "../core/audio/profiles.js"
import type { ArrivedNote, ArrivedPacket, ExpectedDelays, NotesWaiting, PlayoutReport, ReceiverState } from "../worker/audio-ports.js"
import { AudioClock } from "./clock.js"
import { type Level, LEVEL_SLOTS, PLAYOUT_PROCESSOR, type Readiness, type WorkletStart } from "./messages.js"
import { NotePlayer } from "./note-player.js"
import { openDecoder } from "./opus.js"
import { Playout } from "./playout.js"
import { Resampler } from "./resampler.js"
import { OPUS_RATES_HZ, rms, slotSamples } from "./sound.js"

const REPORT_MS = 1000

/** How often the engine learns what the next frames report to the sender. */
const RECEIVER_SLOTS = 12

const CODEC_RATE_HZ = OPUS_RATES_HZ.includes(sampleRate) ? sampleRate : 48_000

class PlayoutProcessor extends AudioWorkletProcessor {
  readonly #clock = new AudioClock((currentFrame / sampleRate) * 1000, Date.now())
  readonly #resampler = CODEC_RATE_HZ === sampleRate ? null : new Resampler(CODEC_RATE_HZ, sampleRate)
  readonly #beganMs = Date.now()
  #playout: Playout | null = null
  readonly #notes = new NotePlayer(CODEC_RATE_HZ)
  #hasNotes = false
  #notesTold = 0
  #engine: MessagePort | null = null
  readonly #slotSamples = slotSamples(CODEC_RATE_HZ)
  #sound: Float32Array = new Float32Array(0)
  #read = 0
  #reportedMs = 0
  #firstSoundMs: number | null = null

  constructor() {
    super()
    this.port.onmessage = (event: MessageEvent<WorkletStart>) => this.#connect(event.data.port)
    openDecoder(CODEC_RATE_HZ).then(
      (decoder) => {
        this.#playout = new Playout(decoder, CODEC_RATE_HZ)
        this.#say({ kind: "ready", delayMs: this.#resampler?.delayMs ?? 0 })
      },
      (error: unknown) => this.#say({ kind: "failed", message: String(error) }),
    )
  }

  #say(message: Readiness | Level): void {
    this.port.postMessage(message)
  }

  #connect(engine: MessagePort): void {
    engine.onmessage = (event: MessageEvent<ArrivedPacket | ArrivedNote | ExpectedDelays>) => {
      if (event.data.kind === "note") return this.#takeNote(event.data)
      if (event.data.kind === "expect") return this.#expect(event.data)
      const { kind, slot, packet, repeated } = event.data
      if (kind !== "arrived" || !(packet instanceof Uint8Array)) return
      this.#playout?.push(slot, packet, this.#clock.at(Date.now()), repeated === true)
    }
    this.#engine = engine
  }

  #expect({ reachMs }: ExpectedDelays): void {
    if (Number.isFinite(reachMs)) this.#playout?.jitter.expect(reachMs)
  }

  /** The second decoder loads with the first note, which waits for it. */
  #takeNote({ packets }: ArrivedNote): void {
    if (!this.#hasNotes) openDecoder(CODEC_RATE_HZ).then((decoder) => this.#notes.use(decoder), (error: unknown) => this.#say({ kind: "failed", message: String(error) }))
    this.#hasNotes = true
    this.#notes.push(packets)
    this.#tellNotes()
  }

  #tellNotes(): void {
    if (this.#notesTold === this.#notes.waiting) return
    this.#notesTold = this.#notes.waiting
    this.#engine?.postMessage({ kind: "notes", waiting: this.#notesTold } satisfies NotesWaiting)
  }

  process(_inputs: Float32Array[][], outputs: Float32Array[][]): boolean {
    const output = outputs[0]?.[0]
    if (output === undefined) return true
    const nowMs = this.#clock.tick((currentFrame / sampleRate) * 1000, Date.now())
    const playout = this.#playout
    if (playout !== null) {
      this.#fill(playout, output, nowMs)
      this.#report(playout, nowMs)
    }
    return true
  }

  /** Fills `output`; a slot ends where it ends, also in the middle of the block. */
  #fill(playout: Playout, output: Float32Array, nowMs: number): void {
    let written = 0
    while (written < output.length) {
      if (this.#read === this.#sound.length) {
        const atMs = nowMs + (written * 1000) / sampleRate
        if (playout.idle(atMs) && this.#notes.isEmpty) return
        this.#pull(playout, atMs)
      }
      const count = Math.min(output.length - written, this.#sound.length - this.#read)
      output.set(this.#sound.subarray(this.#read, this.#read + count), written)
      this.#read += count
      written += count
    }
  }

  #pull(playout: Playout, atMs: number): void {
    const sound = this.#beside(playout.idle(atMs) ? null : playout.pull(atMs))
    this.#sound = this.#resampler === null ? sound : this.#resampler.push(sound)
    this.#read = 0
    if (playout.stats.pulled % LEVEL_SLOTS === 0) this.#say({ kind: "level", level: rms(sound) })
    if (playout.stats.pulled % RECEIVER_SLOTS === 0) this.#tellSender(playout)
  }

  /** What is heard in the slot in which frames bring `sound`: a note beside it, while one is played. */
  #beside(sound: Float32Array | null): Float32Array {
    const note = this.#notes.pull()
    this.#tellNotes()
    if (note === null) return sound ?? new Float32Array(this.#slotSamples)
    // The frames' slot may be shorter; the note's is whole.
    return note.map((sample, index) => sample + (sound?.[index] ?? 0))
  }

  #tellSender({ jitter, wish }: Playout): void {
    const { lost, late } = jitter.percent()
    const targetMs = jitter.stats.received > 0 ? jitter.stats.targetMs : 0
    const state: ReceiverState = { kind: "receiver", lostPercent: lost, latePercent: late, targetMs, redundancy: wish }
    this.#engine?.postMessage(state)
  }

  #report(playout: Playout, nowMs: number): void {
    const { stats } = playout.jitter
    const first = this.#firstSoundMs === null && stats.played > 0
    if (first) this.#firstSoundMs = Date.now() - this.#beganMs
    if (!first && nowMs - this.#reportedMs < REPORT_MS) return
    this.#reportedMs = nowMs
    const report: PlayoutReport = {
      kind: "report",
      playedSlots: playout.played,
      concealedSlots: playout.concealed,
      lateSlots: stats.late,
      lostShare: playout.lostShare,
      longestConcealedMs: stats.longestConcealed * SLOT_MS,
      delayMs: stats.delayMs,
      firstSoundMs: this.#firstSoundMs,
    }
    this.#engine?.postMessage(report)
    this.port.postMessage(report)
  }
}

registerProcessor(PLAYOUT_PROCESSOR, PlayoutProcessor)
