/**
 * Stands where engines, server and network are: takes captured packets and hands them on, with a fate for each number.
 * A worker, because its timers run on while the tab is hidden.
 */

import type { ArrivedPacket, CapturedPacket, CaptureControl, PlayoutReport, ReceiverState } from "../../../src/worker/audio-ports.js"

export interface Fate {
  /** Share of packets lost, and share of them in bursts of three. */
  readonly loss: number
  /** Extra delay of the slowest packets; each gets a share of it. */
  readonly jitterMs: number
  /** Share of packets that come twice. */
  readonly copies: number
  /** Every so many packets one is garbage; 0 for never. */
  readonly garbageEvery: number
}

/** A share between 0 and 1 that depends on the number alone: the same fate in each run. */
function share(frame: number, salt: number): number {
  let state = Math.imul(frame + 1, 2654435761) ^ Math.imul(salt, 40503)
  state = Math.imul(state ^ (state >>> 15), 2246822519)
  state = Math.imul(state ^ (state >>> 13), 3266489917)
  return ((state ^ (state >>> 16)) >>> 0) / 2 ** 32
}

const counts = { captured: 0, lost: 0, bytesMax: 0, bytes: 0, slots: [] as number[], stalls: 0 }

/** A timer that comes so late, with nothing else to do here, tells that the machine stood still. */
const STALL_MS = 40

function watchMachine(): void {
  let last = performance.now()
  setInterval(() => {
    const now = performance.now()
    if (now - last > STALL_MS) counts.stalls++
    last = now
  }, 10)
}
let report: PlayoutReport | null = null
let receiver: ReceiverState | null = null

function carry(capture: MessagePort, playout: MessagePort, fate: Fate): void {
  const deliver = (message: ArrivedPacket, delayMs: number): void => {
    if (delayMs > 0) setTimeout(() => playout.postMessage(message), delayMs)
    else playout.postMessage(message)
  }
  capture.onmessage = (event: MessageEvent<CapturedPacket>) => {
    const { slot, packet } = event.data
    // Fates go by packets: those of 60 ms begin in each third slot.
    const frame = counts.captured
    counts.captured++
    counts.bytes += packet.length
    counts.bytesMax = Math.max(counts.bytesMax, packet.length)
    counts.slots.push(slot)
    if (share(frame, 1) < fate.loss) {
      counts.lost++
      return
    }
    const garbage = fate.garbageEvery > 0 && frame % fate.garbageEvery === fate.garbageEvery - 1
    const sent = garbage ? packet.map((_byte, index) => Math.floor(share(frame, index) * 256)) : packet
    deliver({ kind: "arrived", slot, packet: sent, repeated: false }, share(frame, 2) * fate.jitterMs)
    if (share(frame, 3) < fate.copies) deliver({ kind: "arrived", slot, packet: sent, repeated: false }, share(frame, 4) * 200)
  }
  playout.onmessage = ({ data }: MessageEvent<PlayoutReport | ReceiverState>) => {
    if (data.kind === "report") report = data
    else receiver = data
  }
}

type Order =
  | { kind: "carry"; capture: MessagePort; playout: MessagePort; fate: Fate }
  | CaptureControl
  | { kind: "nonsense" }
  | { kind: "counts" }

let ports: { capture: MessagePort; playout: MessagePort } | null = null

addEventListener("message", ({ data }: MessageEvent<Order>) => {
  if (data.kind === "carry") {
    ports = data
    watchMachine()
    carry(data.capture, data.playout, data.fate)
    data.capture.postMessage({ kind: "profile", profile: "ordinary" } satisfies CaptureControl)
  } else if (data.kind === "mute" || data.kind === "profile") {
    ports?.capture.postMessage(data)
  } else if (data.kind === "nonsense") {
    for (const wrong of [{}, { kind: "arrived" }, { kind: "arrived", slot: "1", packet: "x" }, { kind: "other", slot: 1 }]) {
      ports?.playout.postMessage(wrong)
    }
    for (const slot of [-1, NaN, 0.5, 2 ** 60]) {
      ports?.playout.postMessage({ kind: "arrived", slot, packet: Uint8Array.of(0x48, 0, 0), repeated: false })
    }
    for (const wrong of [{}, { kind: "unmute" }, { kind: "profile", profile: "none" }]) ports?.capture.postMessage(wrong)
  } else {
    postMessage({ counts, report, receiver })
  }
})
