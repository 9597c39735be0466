/** Both ends of one call in one process, for tests: what is sent, and what is handed to playout. */

import { Rehearsed } from "../../src/core/audio/rehearsal.js"
import { PADDED_SIZES_BYTES } from "../../src/core/protocol/limits.js"
import type { ArrivedPacket, CapturedPacket, CaptureControl, ExpectedDelays } from "../../src/worker/audio-ports.js"
import { CallMedia } from "../../src/worker/call-media.js"
import type { Conversation } from "../../src/worker/conversation.js"
import { DIRECT_SIGNAL_KIND } from "../../src/worker/direct.js"

const CALL = "00".repeat(16)
export const BASE_KEY = new Uint8Array(32).fill(7)
export const FRAME_BODY_BYTES = PADDED_SIZES_BYTES[0] - 1

/** A packet of 20 ms, of 60, of 120. */
export const SHORT = Uint8Array.from({ length: 40 }, (_none, index) => (index === 0 ? 0x48 : index))
export const LONG = Uint8Array.from({ length: 110 }, (_none, index) => (index === 0 ? 0x58 : index))

/** What a test posts behind all else on a port, to know when that has come. */
const LAST = "last"

/** What a call says first, of silence. */
export const BEGUN_SLOTS = 3

/** One side of the call: its ports as the page holds them, and what leaves it. */
export class Side {
  readonly sent: Uint8Array[] = []
  /** Signalling of the direct channel, which has its own tests. */
  readonly signals: Uint8Array[] = []
  readonly arrived: ArrivedPacket[] = []
  readonly controls: CaptureControl[] = []
  /** What the rehearsal told, and what playout was told of it. */
  readonly rehearsed = new Rehearsed()
  readonly expectedMs: number[] = []
  readonly media: CallMedia
  /** As a snapshot has them: member and device. */
  readonly members = [0, 1].map((at) => [{ leaf: at }, { accountId: Uint8Array.of(at), deviceId: Uint8Array.of(at) }])
  /** How often an authentic frame was noted, at most once a second. */
  noted = 0
  isNarrow = false
  sendsShort = false
  capture = new MessageChannel()
  playout = new MessageChannel()

  constructor(leaf: number, peer: number) {
    const store = { rows: () => [{ callId: CALL, epoch: 1, conversation: 1, baseKey: BASE_KEY, expiresS: 1e12 }] }
    const snapshot = { ownLeaf: leaf, members: this.members }
    const conversation = { snapshot, context: { store } }
    const [isNarrow, sendsShort] = [(): boolean => this.isNarrow, (): boolean => this.sendsShort]
    const lanes = {
      rehearsed: this.rehearsed,
      hasRoom: true,
      send: (body: Uint8Array): boolean => (body[0] === DIRECT_SIGNAL_KIND ? this.signals : this.sent).push(body) > 0,
      get isNarrow(): boolean {
        return isNarrow()
      },
      get sendsShort(): boolean {
        return sendsShort()
      },
    }
    this.media = new CallMedia(conversation as unknown as Conversation, CALL, peer, lanes, () => this.noted++, () => undefined, {
      say: () => Promise.resolve(""), sent: () => Promise.resolve(), heard: () => undefined, changed: () => undefined,
    }, "hidden", () => undefined)
  }

  attach(): void {
    this.capture = new MessageChannel()
    this.playout = new MessageChannel()
    this.playout.port1.onmessage = ({ data }: MessageEvent<ArrivedPacket | ExpectedDelays | typeof LAST>) => {
      if (data === LAST) return
      if (data.kind === "expect") this.expectedMs.push(data.reachMs)
      else this.arrived.push(data)
    }
    this.capture.port1.onmessage = ({ data }: MessageEvent<CaptureControl | typeof LAST>) => data !== LAST && this.controls.push(data)
    this.media.attach(this.capture.port2, this.playout.port2, false)
  }

  /** Sends one packet after the other, and waits until each has left. */
  async says(...packets: [number, Uint8Array][]): Promise<void> {
    for (const [slot, packet] of packets) {
      const before = this.sent.length
      this.capture.port1.postMessage({ kind: "captured", slot, packet } satisfies CapturedPacket)
      await this.sends(before + 1)
    }
  }

  /** Waits until so much has been sent. */
  async sends(count: number): Promise<void> {
    while (this.sent.length < count) await new Promise((resolve) => setImmediate(resolve))
  }
}

export async function call<T>(work: (alice: Side, bob: Side) => Promise<T>): Promise<T> {
  const [alice, bob] = [new Side(0, 1), new Side(1, 0)]
  for (const side of [alice, bob]) {
    side.attach()
    await side.media.start()
    await side.sends(1)
    side.sent.length = 0
  }
  try {
    return await work(alice, bob)
  } finally {
    for (const side of [alice, bob]) {
      side.media.stop()
      for (const { port1 } of [side.capture, side.playout]) port1.close()
    }
  }
}

/** Resolves once everything that was posted before has been handled at the other end. */
export async function came(near: MessagePort, far: MessagePort): Promise<void> {
  const last = new Promise<void>((resolve) => far.addEventListener("message", ({ data }: MessageEvent) => {
    if (data === LAST) resolve()
  }))
  near.postMessage(LAST)
  await last
}
