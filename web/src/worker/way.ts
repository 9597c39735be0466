// How a call goes to the server and back, in words and numbers for people.
import { Level } from "../core/protocol/lane-control.js"
import type { WayView } from "./api.js"

/** What the lanes tell of themselves. */
export interface Way {
  /** Of the direction that needs more; lean when either is. */
  readonly level: Level
  /** Less sound should be sent: either direction is lean, or a hop further on. */
  readonly isNarrow: boolean
  readonly lanes: number
  readonly isMessageConnection: boolean
  /** Nothing passes on any lane. */
  readonly isSilent: boolean
  readonly queueingMs: number
  readonly missShare: number
}

const NAMES = { [Level.LEAN]: "lean", [Level.NORMAL]: "normal", [Level.BOOST]: "boost", [Level.HEAVY]: "heavy" } as const

export const viewOfWay = ({ level, lanes, queueingMs, missShare }: Way): WayView => ({ level: NAMES[level], lanes, queueingMs, missShare })

/** One sentence: the worst first. */
export function wordsForWay(way: Way | undefined): string {
  if (way === undefined) return "Through the message connection."
  if (way.isSilent) return "Nothing passes at the moment; other connections are tried."
  if (way.level === Level.LEAN) return "The connection is narrow: sound is kept small."
  if (way.level === Level.BOOST) return "Packets get lost: everything is sent twice."
  if (way.level === Level.HEAVY) return "Many packets get lost: everything is sent three times."
  if (way.isNarrow) return "The other side's connection is narrow: sound is kept small."
  if (!way.isMessageConnection) return "Through a spare connection: the message connection was lost."
  return "Through the message connection."
}
