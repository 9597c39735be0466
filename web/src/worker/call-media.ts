// The sound of one call on its way through this worker: sealed and sent, opened and handed to playout. Nothing queues.
import { MalformedPayload } from "../core/audio/errors.js"
import { decodePayload, PayloadPacker } from "../core/audio/payload.js"
import { type Profile, type ProfileName, PROFILES, REDUNDANCIES, type Redundancy } from "../core/audio/profiles.js"
import { NO_REPORT, type Report } from "../core/audio/report.js"
import { packetSlots } from "../core/audio/toc.js"
import { concat, toHex } from "../core/bytes.js"
import { callKey, openFrame, sealFrame, SFrameError, SFrameReceiver, SFrameSender } from "../core/e2ee/sframe.js"
import { PADDED_SIZES_BYTES } from "../core/protocol/limits.js"
import type { ArrivedNote, ArrivedPacket, CapturedPacket, CaptureControl, ExpectedDelays, NotesWaiting, PlayoutReport, ReceiverState } from "./audio-ports.js"
import { callKeys } from "./call-keys.js"
import { CallNotes, type NotesOutside } from "./call-notes.js"
import type { Conversation } from "./conversation.js"
import { FirstSilence } from "./first-silence.js"
import { Direct, DIRECT_SIGNAL_KIND, type Heard, type WhyOff } from "./direct.js"
import type { Lanes } from "./lanes.js"

/** First byte of a signal that carries a sealed media frame (docs/spec/media.md). */
export const MEDIA_SIGNAL_KIND = 1
const KIND = Uint8Array.of(MEDIA_SIGNAL_KIND)
const FRAME_BODY_BYTES = PADDED_SIZES_BYTES[0] - KIND.length
const HEARD_NOTE_MS = 1_000
/** How long frames of the epoch before are still opened after a commit (docs/spec/media.md). */
const OLD_KEY_MS = 10_000
/** Frames that may wait for the cipher; more means that this machine is too slow, and late sound is no use. */
const SEALING_MAX = 4

function more(one: Redundancy, other: Redundancy): Redundancy {
  return REDUNDANCIES[Math.max(REDUNDANCIES.indexOf(one), REDUNDANCIES.indexOf(other))]!
}

export class CallMedia {
  /**
   * Frames of which nothing was played: how many, by the reason. `replayed` counts also copies of frames that came by
   * both ways.
   */
  readonly refusals = new Map<string, number>()
  private readonly receiver = new SFrameReceiver()
  private readonly packer = new PayloadPacker()
  private sender: SFrameSender | undefined
  private epoch = -1
  private counterNext = 0
  private firstSlot: number | undefined
  private chosen: ProfileName = "ordinary"
  private profile: Profile = PROFILES.ordinary
  private report: Report = NO_REPORT
  private notedMs = -Infinity
  private sealing = 0
  private capture: MessagePort | undefined
  private playout: MessagePort | undefined
  private work: Promise<unknown> = Promise.resolve()
  private isOver = false
  private readonly silence = new FirstSilence((packet) => this.sendPacket(this.counterNext, packet))
  /** The device that the call was begun with; its leaf may become another's. */
  private readonly peer: string | undefined
  /** What the other side said last of what it hears. */
  peerReport: Report
  /** What is said while frames can carry no speech. */
  readonly notes: CallNotes
  readonly direct: Direct

  constructor(
    private readonly conversation: Conversation,
    private readonly callId: string,
    readonly peerLeaf: number,
    private readonly lanes: Pick<Lanes, "send" | "hasRoom" | "isNarrow" | "sendsShort" | "rehearsed">,
    private readonly heard: () => void,
    private readonly reported: (report: PlayoutReport) => void,
    notes: Pick<NotesOutside, "say" | "sent" | "heard" | "changed">,
    whyNotDirect: WhyOff | null,
    directChanged: () => void,
  ) {
    this.peer = this.deviceAt(peerLeaf)
    this.peerReport = { ...NO_REPORT, takesShort: lanes.rehearsed.takesShort }
    this.notes = new CallNotes({
      ...notes,
      mute: (muted) => this.control({ kind: "mute", muted }),
      play: (packets) => this.playout?.postMessage({ kind: "note", packets } satisfies ArrivedNote),
    })
    this.direct = new Direct(conversation.snapshot.ownLeaf, peerLeaf, whyNotDirect, {
      hasRoom: () => this.lanes.hasRoom,
      onLanes: (body) => this.lanes.send(body),
      frameOnLanes: (sealed) => this.lanes.send(concat(KIND, sealed)),
      opened: (sealed) => this.open(sealed),
      changed: directChanged,
    })
  }

  /**
   * Takes the keys of the call's epochs, and sends at once: the other side is to know that somebody is here, however
   * long the sound takes to open. Rejects when the peer is not in the group.
   */
  async start(): Promise<void> {
    this.notes.start()
    if (!(await this.takeNewKeys())) throw new Error("the peer is no longer in the group")
    if (!this.isOver) this.silence.start(performance.now())
    if (this.capture !== undefined) this.silence.stop(performance.now())
  }

  stop(): void {
    this.isOver = true
    this.silence.end()
    this.notes.stop()
    this.direct.stop()
    this.detach()
  }

  attach(capture: MessagePort, playout: MessagePort, muted: boolean): void {
    this.detach()
    this.capture = capture
    this.playout = playout
    capture.onmessage = ({ data }: MessageEvent<CapturedPacket>) => {
      if (data.kind === "captured") this.send(data)
    }
    playout.onmessage = ({ data }: MessageEvent<PlayoutReport | ReceiverState | NotesWaiting>) => {
      if (data.kind === "report") this.reported(data)
      else if (data.kind === "receiver") this.heardState(data)
      else if (data.kind === "notes") this.notes.played(data.waiting)
    }
    this.notes.playerChanged()
    playout.postMessage({ kind: "expect", reachMs: this.lanes.rehearsed.reachMs } satisfies ExpectedDelays)
    this.mute(muted)
    this.silence.stop(performance.now())
    this.codeBy(this.profile.name)
  }

  mute(muted: boolean): void {
    this.control({ kind: "mute", muted: this.notes.mute(muted) })
  }

  /** Codes by another profile from the next packet on. */
  setProfile(name: ProfileName): void {
    this.chosen = name
    this.codeBy(name)
  }

  /**
   * A narrow way gets little sound, whatever was chosen (docs/spec/lanes.md section 4). What goes on the direct channel
   * alone is cut short, which spares delay; and on the lanes, while both ends have room for it.
   */
  private followWay(): void {
    const name = this.fitting()
    if (name !== this.profile.name) this.codeBy(name)
  }

  private fitting(): ProfileName {
    if (this.notes.areOn) return "lean"
    if (this.direct.view.carries) return "direct"
    if (this.lanes.isNarrow) return "lean"
    const isShort = this.lanes.sendsShort && this.peerReport.takesShort
    return this.chosen === "ordinary" && isShort ? "direct" : this.chosen
  }

  private codeBy(name: ProfileName): void {
    this.profile = PROFILES[name]
    this.control({ kind: "profile", profile: name })
  }

  private control(control: CaptureControl): void {
    this.capture?.postMessage(control)
  }

  private detach(): void {
    this.capture?.close()
    this.playout?.close()
    this.capture = this.playout = undefined
  }

  private send({ slot, packet: captured }: CapturedPacket): void {
    const packet = this.notes.captured(captured)
    this.followWay()
    // The counter is the packet's place in time, so what the capture skipped is skipped here. A second page that takes
    // over the call counts from 0 again and goes on behind.
    if (this.firstSlot === undefined || slot - this.firstSlot < this.counterNext) this.firstSlot = slot - this.counterNext
    this.sendPacket(slot - this.firstSlot, packet)
  }

  private sendPacket(counter: number, packet: Uint8Array): void {
    const { sender } = this
    if (this.isOver || sender === undefined || this.sealing >= SEALING_MAX) return
    this.counterNext = counter + packetSlots(packet)
    // Copies of silence would only make playout wait for them, and hide how well the way does.
    const copies = this.notes.areOn ? "none" : more(this.profile.redundancy, this.peerReport.redundancy)
    const report = { ...this.report, takesShort: this.lanes.sendsShort }
    const payload = this.packer.pack(counter, packet, copies, report)
    this.sealing++
    // One after the other: a frame must not overtake the one before.
    this.work = this.work
      .then(() => sender.skipTo(counter))
      .then(() => sealFrame(sender, payload, FRAME_BODY_BYTES))
      .then((body) => this.isOver || this.direct.send(body))
      .catch(() => undefined)
      .finally(() => this.sealing--)
  }

  /** A body came on the lanes. */
  async arrived(body: Uint8Array): Promise<void> {
    if (this.isOver) return
    const sealed = body.subarray(KIND.length)
    if (body[0] === DIRECT_SIGNAL_KIND) return this.direct.signal(sealed)
    if (body[0] !== KIND[0]) return
    const now = performance.now()
    if ((await this.open(sealed)) !== "refused") this.direct.cameByLanes(sealed, now)
  }

  private async open(sealed: Uint8Array): Promise<Heard> {
    if (this.isOver) return "refused"
    try {
      const { ctr, payload } = await openFrame(this.receiver, sealed)
      const { report, packet, repeats } = decodePayload(payload)
      this.peerReport = report
      this.notes.reported(report)
      this.play(ctr, packet, false)
      for (const repeat of repeats) this.play(ctr - repeat.distance, repeat.packet, true)
    } catch (error) {
      // Forged, of a key we do not have, or a copy that came the other way; or authentic and malformed.
      if (!(error instanceof SFrameError || error instanceof MalformedPayload)) throw error
      this.refusals.set(error.reason, (this.refusals.get(error.reason) ?? 0) + 1)
      return error.reason === "replayed" ? "copy" : "refused"
    }
    this.direct.peerIsHere()
    const now = performance.now()
    if (now - this.notedMs < HEARD_NOTE_MS) return "new"
    this.notedMs = now
    this.heard()
    return "new"
  }

  private heardState({ lostPercent, latePercent, targetMs, redundancy }: ReceiverState): void {
    this.notes.heard(lostPercent, latePercent, targetMs)
    this.report = { ...this.report, lostPercent, latePercent, targetMs, redundancy }
  }

  private play(slot: number, packet: Uint8Array, repeated: boolean): void {
    this.playout?.postMessage({ kind: "arrived", slot, packet, repeated } satisfies ArrivedPacket)
  }

  /**
   * Seals with the newest epoch's key, opens with any epoch's since the call began. False, and nothing is taken, when
   * the peer's place in the group is empty or somebody else's (CANNOT-FORGE).
   */
  async takeNewKeys(): Promise<boolean> {
    if (this.deviceAt(this.peerLeaf) !== this.peer) return false
    for (const { epoch, baseKey } of callKeys(this.conversation.context.store, this.callId)) {
      if (epoch <= this.epoch) continue
      this.epoch = epoch
      for (const old of this.receiver.kids) setTimeout(() => this.receiver.forget(old), OLD_KEY_MS)
      await this.direct.takeKey(baseKey, epoch, OLD_KEY_MS)
      this.receiver.addKey(await callKey(baseKey, this.peerLeaf, epoch))
      this.sender = new SFrameSender(await callKey(baseKey, this.conversation.snapshot.ownLeaf, epoch), this.counterNext)
    }
    return true
  }

  private deviceAt(leaf: number): string | undefined {
    const found = this.conversation.snapshot.members.find(([member]) => member.leaf === leaf)?.[1]
    return found && toHex(concat(found.accountId, found.deviceId))
  }
}
