/** Messages between the page, the worklets and the codec's worker of one call: wiring and numbers, never sound to the page. */

/** Page to codec worker, once. `samples` leads to the capture worklet, `engine` is what the engine worker gets. */
export interface CodecStart {
  readonly kind: "start"
  readonly samples: MessagePort
  readonly engine: MessagePort
  readonly rateHz: number
}

/** Page to a worklet, once: the port to its partner. */
export interface WorkletStart {
  readonly kind: "start"
  readonly port: MessagePort
}

/** Capture worklet to codec worker: one slot at the context's rate, transferred. */
export interface SampleSlot {
  readonly kind: "samples"
  readonly slot: number
  readonly samples: Float32Array
}

/** Codec worker or playout worklet to the page, once. */
export type Readiness =
  | { readonly kind: "ready"; readonly delayMs: number }
  | { readonly kind: "failed"; readonly message: string }

/** A worklet to the page, every `LEVEL_SLOTS` slots: what a meter shows, 0 to 1. */
export interface Level {
  readonly kind: "level"
  readonly level: number
}

/** Capture worklet to the page, while muted: somebody began to speak or ended. */
export interface Speaking {
  readonly kind: "speaking"
  readonly speaking: boolean
}

/** Codec worker to the page, about once a second. */
export interface CodecReport {
  readonly kind: "codec"
  readonly slots: number
  /** Packets. */
  readonly failed: number
  readonly complexity: number
  readonly packetSlots: number
}

export const LEVEL_SLOTS = 3

/** Names of the worklets' processors. */
export const CAPTURE_PROCESSOR = "ringthrough-capture"
export const PLAYOUT_PROCESSOR = "ringthrough-playout"
