// The sound of one call on its way through this worker: sealed and sent, opened and handed to playout. Nothing queues.
import { concat } from "../core/bytes.js"
import { callKey, openFrame, sealFrame, SFrameError, SFrameReceiver, SFrameSender } from "../core/e2ee/sframe.js"
import type { BundleId } from "../core/protocol/frames.js"
import { BUNDLE_ID_BYTES, PADDED_SIZES_BYTES } from "../core/protocol/limits.js"
import type { ArrivedPacket, CapturedPacket, CaptureControl, PlayoutReport } from "./audio-ports.js"
import { random } from "./buffers.js"
import { callKeys } from "./call-keys.js"
import type { Conversation } from "./conversation.js"
import { Lanes } from "./lanes.js"
import type { Way } from "./way.js"

/** First byte of a signal that carries a sealed media frame (docs/spec/media.md). */
const KIND = Uint8Array.of(1)
const FRAME_BODY_BYTES = PADDED_SIZES_BYTES[0] - KIND.length
const HEARD_NOTE_MS = 1_000
/** How long frames of the epoch before are still opened after a commit (docs/spec/media.md). */
const OLD_KEY_MS = 10_000
/** Frames that may wait for the cipher; more means that this machine is too slow, and late sound is no use. */
const SEALING_MAX = 4

export class CallMedia {
  private readonly receiver = new SFrameReceiver()
  private sender: SFrameSender | undefined
  private key: Awaited<ReturnType<typeof callKey>> | undefined
  private epoch = -1
  private counterNext = 0
  private firstFrame: number | undefined
  private counterStart = 0
  private notedMs = -Infinity
  private sealing = 0
  private capture: MessagePort | undefined
  private playout: MessagePort | undefined
  private work: Promise<unknown> = Promise.resolve()
  private isOver = false
  private readonly lanes: Lanes

  constructor(
    private readonly conversation: Conversation,
    private readonly callId: string,
    private readonly peerLeaf: number,
    private readonly heard: () => void,
    private readonly reported: (report: PlayoutReport) => void,
    wayChanged: (way: Way) => void,
  ) {
    const bundle = random(BUNDLE_ID_BYTES) as BundleId
    const onBody = (body: Uint8Array): void => void this.arrived(body).catch(() => undefined)
    this.lanes = new Lanes(conversation.connection, conversation.stream, bundle, onBody, wayChanged)
  }

  /** Takes the keys of the call's epochs; again after each commit. */
  start(): Promise<void> {
    this.lanes.start()
    return this.takeNewKeys()
  }

  stop(): void {
    this.isOver = true
    this.lanes.stop()
    this.detach()
  }

  attach(capture: MessagePort, playout: MessagePort, muted: boolean): void {
    this.detach()
    this.capture = capture
    this.playout = playout
    capture.onmessage = ({ data }: MessageEvent<CapturedPacket>) => {
      if (data.kind === "captured") this.send(data)
    }
    playout.onmessage = ({ data }: MessageEvent<PlayoutReport>) => {
      if (data.kind === "report") this.reported(data)
    }
    this.mute(muted)
  }

  mute(muted: boolean): void {
    this.capture?.postMessage({ kind: "mute", muted } satisfies CaptureControl)
  }

  private detach(): void {
    this.capture?.close()
    this.playout?.close()
    this.capture = this.playout = undefined
  }

  private send({ frame, packet }: CapturedPacket): void {
    if (this.isOver || this.key === undefined || this.sealing >= SEALING_MAX) return
    // The counter is the frame's place in time, so what the capture skipped is skipped here.
    this.firstFrame ??= frame - this.counterStart
    const counter = Math.max(this.counterNext, frame - this.firstFrame)
    if (this.sender === undefined || counter !== this.counterNext) this.sender = new SFrameSender(this.key, counter)
    this.counterNext = counter + 1
    const { sender } = this
    this.sealing++
    // One after the other: a frame must not overtake the one before.
    this.work = this.work
      .then(() => sealFrame(sender, packet, FRAME_BODY_BYTES))
      .then((body) => this.isOver || this.lanes.send(concat(KIND, body)))
      .catch(() => undefined)
      .finally(() => this.sealing--)
  }

  async arrived(body: Uint8Array): Promise<void> {
    if (this.isOver || body[0] !== KIND[0]) return
    try {
      const { ctr, payload } = await openFrame(this.receiver, body.subarray(KIND.length))
      this.playout?.postMessage({ kind: "arrived", frame: Number(ctr), packet: payload } satisfies ArrivedPacket)
    } catch (error) {
      if (error instanceof SFrameError) return // forged, replayed, or of a key we do not have
      throw error
    }
    const now = performance.now()
    if (now - this.notedMs < HEARD_NOTE_MS) return
    this.notedMs = now
    this.heard()
  }

  /** Seals with the newest epoch's key, opens with any epoch's since the call began. */
  async takeNewKeys(): Promise<void> {
    for (const { epoch, baseKey } of callKeys(this.conversation.context.store, this.callId)) {
      if (epoch <= this.epoch) continue
      this.epoch = epoch
      for (const old of this.receiver.kids) setTimeout(() => this.receiver.forget(old), OLD_KEY_MS)
      this.receiver.addKey(await callKey(baseKey, this.peerLeaf, epoch))
      this.key = await callKey(baseKey, this.conversation.snapshot.ownLeaf, epoch)
      this.sender = undefined
    }
  }
}
