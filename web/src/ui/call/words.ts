/** A call in words and as a sign: the same in its conversation, in the list of chats and on the call screen. */

import type { CallLine, VerdictView } from "../../worker/api.js"
import type { IconName } from "../kit/icons.js"
import { text } from "../text.js"
import { durationOf } from "../when.js"

/** Missed call; Outgoing call, 1:05 */
export function callWords({ outgoing, outcome, seconds }: CallLine): string {
  const line = text.calls.line(outgoing, outcome)
  return seconds > 0 ? text.calls.lasting(line, durationOf(seconds)) : line
}

/** Nobody talked, or not for as long as they wanted. */
export function wentWrong({ outcome }: CallLine): boolean {
  return outcome !== "answered" && outcome !== "answered_elsewhere"
}

export function callIcon(call: CallLine): IconName {
  return wentWrong(call) ? "missed" : call.outgoing ? "outgoing" : "incoming"
}

/** Whether a verdict tells of something that disturbs a call. What is found of the direct way does not: the call goes another. */
export function inTheWayOf({ verdict }: VerdictView): boolean {
  return verdict !== "clear" && !verdict.startsWith("direct_")
}
