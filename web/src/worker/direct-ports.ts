/**
 * Messages between the worker and the page's half of the direct channel (docs/spec/media.md section 8): WebRTC exists on
 * the main thread alone. What crosses is sealed, or a description that the two devices keep to themselves.
 */
import type { Description } from "../core/e2ee/direct.js"

export type DirectOrder =
  /** Make a channel and describe it. */
  | { readonly kind: "offer"; readonly attempt: number }
  /** Make a channel to the one described, and describe it. */
  | { readonly kind: "answer"; readonly attempt: number; readonly description: Description }
  /** The other side's answer to ours. */
  | { readonly kind: "accept"; readonly attempt: number; readonly description: Description }
  /** Send this; only where the channel itself could not be handed over. */
  | { readonly kind: "message"; readonly bytes: Uint8Array }
  | { readonly kind: "close" }
  /** The call is over. */
  | { readonly kind: "end" }

export type DirectNews =
  | { readonly kind: "described"; readonly attempt: number; readonly description: Description }
  /** The channel itself, where the browser lets a worker have it; it opens later. */
  | { readonly kind: "channel"; readonly attempt: number; readonly channel: RTCDataChannel }
  /** A path was found; keys are exchanged next. */
  | { readonly kind: "path"; readonly attempt: number }
  /** Some of the keys' exchange has come: nobody keeps it from beginning. */
  | { readonly kind: "keys"; readonly attempt: number }
  | { readonly kind: "open"; readonly attempt: number }
  | { readonly kind: "message"; readonly attempt: number; readonly bytes: Uint8Array }
  /** It failed, or ended. */
  | { readonly kind: "closed"; readonly attempt: number }
  /** This device is on another network, or on one again. */
  | { readonly kind: "network" }

/** Tells a page that its half is not wanted any more. */
export function endOf(port: MessagePort): void {
  port.onmessage = null
  port.postMessage({ kind: "end" } satisfies DirectOrder)
  port.close()
}
