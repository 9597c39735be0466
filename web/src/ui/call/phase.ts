/** A call's state in words. */

import type { CallView } from "../../worker/api.js"
import { text } from "../text.js"
import { durationOf } from "../when.js"

export function phaseWords(call: CallView, nowMs: number): string {
  switch (call.phase) {
    case "calling": return text.call.calling
    case "ringing_there": return text.call.ringingThere
    case "ringing_here": return text.call.ringingHere
    case "connecting": return text.call.connecting
    case "in_call": return call.sinceMs === null ? text.call.inCall : durationOf((nowMs - call.sinceMs) / 1000)
    case "ended": return call.ended || text.call.ended
  }
}
