// What is in a call's way, from what the call itself measured (docs/spec/verdicts.md).
//
// Pure: times are milliseconds of one monotonic clock. The same rules run in `ringthrough.protocol.verdicts`;
// `vectors/verdicts` holds the two together.
import { BOOST_BELOW, Level, QUEUEING_MS } from "./lane-control-constants.js"
import { AFTER_BREAK_MS, BREAK_MS, Direct, DIRECT_VERDICTS, EVENT_MS, EXPLAINS, FAR_MS, NARROW_THERE_MS, RECENT_MS, Verdict, WARM_UP_MS, WORDS } from "./verdicts-table.js"

export { Direct, Verdict, WORDS }

/** What a call knows of its way at one moment. Counts and rules are those of the whole call. */
export interface Sample {
  /** Of the direction that needs more; LEAN when either is. */
  readonly level: Level
  /** Less sound should be sent, if only for a hop further on. */
  readonly isNarrow: boolean
  readonly missShare: number
  readonly queueingMs: number
  readonly roundTripMs: number
  /** No lane answers. */
  readonly isSilent: boolean
  readonly lanesOpened: number
  /** Lanes that were cut, or left because they answered nothing. */
  readonly lanesDied: number
  readonly freezeBytes: number | null
  readonly lanesMax: number | null
  /** Connections that were found dead after a pause in which nothing was sent on them. */
  readonly idleCuts: number
  readonly direct: Direct
}

/** A way on which nothing has happened. */
export const UNDISTURBED: Sample = {
  level: Level.NORMAL, isNarrow: false, missShare: 0, queueingMs: 0, roundTripMs: 0, isSilent: false, lanesOpened: 1,
  lanesDied: 0, freezeBytes: null, lanesMax: null, idleCuts: 0, direct: Direct.OFF,
}

/** Verdicts over one call. `note` takes a sample about once a second, and at each silence. */
export class Watch {
  private last = UNDISTURBED
  private readonly untilMs = new Map<Verdict, number>()
  /** How many lanes had been opened when the present silence began. */
  private silentSinceOpened: number | undefined
  private isMeasured = false
  private narrowSinceMs: number | undefined
  private lossySinceMs = 0
  /** Packets got lost before the present silence, too. */
  private wasLossy = false
  private brokenUntilMs = -Infinity

  constructor(private readonly startedMs: number) {}

  /** Take what is known now. */
  note(sample: Sample, nowMs: number): void {
    const { last } = this
    this.last = sample
    this.isMeasured = true
    const tell = (verdict: Verdict, forMs: number): unknown => this.untilMs.set(verdict, nowMs + forMs)
    const isQueued = sample.queueingMs >= QUEUEING_MS
    this.narrowSinceMs = sample.isNarrow ? this.narrowSinceMs ?? nowMs : undefined
    if (sample.level === Level.LEAN) tell(Verdict.NARROW, RECENT_MS)
    else if (this.narrowSinceMs !== undefined && nowMs - this.narrowSinceMs >= NARROW_THERE_MS) {
      tell(Verdict.NARROW_THERE, RECENT_MS)
    }
    const isLossyTold = nowMs < (this.untilMs.get(Verdict.LOSSY) ?? nowMs)
    const isLossy = sample.level > Level.NORMAL || (sample.missShare > BOOST_BELOW && !isQueued)
    if (isLossy && nowMs >= this.brokenUntilMs) {
      if (!isLossyTold) this.lossySinceMs = nowMs
      tell(Verdict.LOSSY, RECENT_MS)
    }
    if (sample.roundTripMs >= FAR_MS && !isQueued) tell(Verdict.FAR, RECENT_MS)
    if (sample.idleCuts > last.idleCuts) tell(Verdict.IDLE_CUT, EVENT_MS)
    if (last.direct === Direct.OPEN && sample.direct === Direct.BLOCKED) tell(Verdict.DIRECT_LOST, EVENT_MS)
    // It was left on purpose, and what says so came late.
    else if (sample.direct === Direct.OFF) this.untilMs.delete(Verdict.DIRECT_LOST)
    if (sample.isSilent) {
      if (this.silentSinceOpened === undefined) this.wasLossy = isLossyTold && nowMs - this.lossySinceMs > BREAK_MS
      this.silentSinceOpened ??= sample.lanesOpened
    } else if (this.silentSinceOpened !== undefined) {
      // Back on an old lane it was a pause; back on a new one the old connections were lost.
      if (sample.lanesOpened > this.silentSinceOpened) {
        tell(Verdict.RECONNECTED, EVENT_MS)
        this.untilMs.delete(Verdict.LANE_LOST)
        if (!this.wasLossy) {
          this.untilMs.delete(Verdict.LOSSY)
          this.brokenUntilMs = nowMs + AFTER_BREAK_MS
        }
      }
      this.silentSinceOpened = undefined
    } else if (sample.lanesDied > last.lanesDied && !this.untilMs.has(Verdict.RECONNECTED)) {
      tell(Verdict.LANE_LOST, EVENT_MS)
    }
  }

  /** All that hold, the one that matters most first; empty while too little is known. */
  verdicts(nowMs: number): readonly Verdict[] {
    for (const [verdict, untilMs] of this.untilMs) if (nowMs >= untilMs) this.untilMs.delete(verdict)
    const { last } = this
    const found = new Set(this.untilMs.keys())
    if (last.isSilent) found.add(Verdict.SILENT)
    if (last.freezeBytes !== null) found.add(Verdict.FROZEN)
    if (last.lanesMax !== null) found.add(Verdict.COUNTED)
    const direct = DIRECT_VERDICTS[last.direct]
    if (direct !== undefined && (last.direct === Direct.DEGRADED || !found.has(Verdict.DIRECT_LOST))) found.add(direct)
    for (const verdict of Object.values(Verdict)) {
      for (const explained of (found.has(verdict) && EXPLAINS[verdict]) || []) {
        found.delete(explained)
        this.untilMs.delete(explained)
      }
    }
    if (found.size === 0 && this.isMeasured && nowMs - this.startedMs >= WARM_UP_MS) found.add(Verdict.CLEAR)
    return Object.values(Verdict).filter((verdict) => found.has(verdict))
  }
}
