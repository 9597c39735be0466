// How a call goes to the server and back, in words and numbers for people.
import { Level } from "../core/protocol/lane-control.js"
import { type Direct, type Sample, UNDISTURBED, type Verdict, WORDS } from "../core/protocol/verdicts.js"
import type { DirectView, VerdictView, WayView } from "./api.js"

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
  /** To the server and back. */
  readonly roundTripMs: number
  /** In all, so far. */
  readonly lanesOpened: number
  /** Cut, or left because they answered nothing. */
  readonly lanesDied: number
  /** What was learnt of this network: after how many bytes it freezes a connection, how many it lets live. */
  readonly freezeBytes: number | null
  readonly lanesMax: number | null
}

const NAMES = { [Level.LEAN]: "lean", [Level.NORMAL]: "normal", [Level.BOOST]: "boost", [Level.HEAVY]: "heavy" } as const

export const viewOfWay = ({ level, lanes, queueingMs, missShare, roundTripMs, lanesOpened }: Way): WayView =>
  ({ level: NAMES[level], lanes, queueingMs, missShare, roundTripMs, lanesOpened })

/**
 * What a verdict is made from. A call never leaves a connection idle, so it finds none that was cut for that. What the
 * lanes measure is not in the way of a call that goes directly.
 */
export const sampleOf = (way: Way, direct: Direct, isDirect: boolean): Sample => {
  const { lanesOpened, lanesDied, freezeBytes, lanesMax } = way
  return { ...(isDirect ? { ...UNDISTURBED, lanesOpened, lanesDied, freezeBytes, lanesMax } : way), idleCuts: 0, direct }
}

export const viewOfVerdict = (verdict: Verdict): VerdictView => ({ verdict, ...WORDS[verdict] })

/** Which way and why, in one sentence. */
export function wordsForWay(way: Way | undefined, direct: DirectView | undefined): string {
  if (direct?.carries) return "Directly between the two devices."
  if (way?.isSilent) return "Nothing passes at the moment; other connections are tried."
  if (way?.isMessageConnection === false) return "Through a spare connection: the message connection was lost."
  return `Through the message connection${direct?.clause ?? "."}`
}
