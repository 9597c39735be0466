// What a call would meet on its own way to the server and back, from PINGs in its rhythm (docs/spec/verdicts.md section 4).
//
// Pure: times are milliseconds of one monotonic clock. Late answers and queues are told apart as for a call's own frames
// (docs/spec/lanes.md sections 3 and 5), but for both directions at once: a PING has come back or it has not.
import { resendAfterMs } from "./lane-control.js"
import { CLEAR_MS, DELAY_WINDOW_MS, MISS_SAMPLES_MIN, QUEUED_SAMPLES_MIN, SUSTAINED_MS } from "./lane-control-constants.js"

/** One PING on one connection. */
interface Sent {
  readonly connection: number
  readonly sentMs: number
  answeredMs: number
}

export interface RhythmOutcome {
  /** Share of the PINGs that were answered late; 0 of too few. */
  readonly missShare: number
  /** By how much even the fastest answers were slower than the fastest of all, for as long as a call takes to heed it. */
  readonly queueingMs: number
}

/** A queue is heeded when the fastest of one window after another shows it. */
const QUEUED_MS = DELAY_WINDOW_MS + SUSTAINED_MS

export class Rhythm {
  private readonly all: Sent[] = []

  /** A PING leaves; returns its place, for `answered`. */
  sent(connection: number, nowMs: number): number {
    return this.all.push({ connection, sentMs: nowMs, answeredMs: Infinity }) - 1
  }

  /** Its answer is here. */
  answered(place: number, nowMs: number): void {
    const sent = this.all[place]
    if (sent !== undefined) sent.answeredMs = Math.min(sent.answeredMs, nowMs)
  }

  /** What is known when nothing more is waited for: what has not come back is late. */
  outcome(): RhythmOutcome {
    const base = this.fastestMs(-Infinity, Infinity)
    const wasLate = new Set<number>()
    let [counted, late] = [0, 0]
    for (const { connection, sentMs, answeredMs } of this.all) {
      const around = this.fastestMs(sentMs - DELAY_WINDOW_MS / 2, sentMs + DELAY_WINDOW_MS / 2)
      // When even the fastest are slow, nothing is lost.
      if (around !== Infinity && around - base > CLEAR_MS) continue
      const isLate = answeredMs === Infinity || answeredMs - sentMs > resendAfterMs(around)
      const isBehind = isLate && wasLate.has(connection)
      if (isLate) wasLate.add(connection)
      else wasLate.delete(connection)
      if (isBehind) continue // it waits for the loss of the one before
      counted++
      if (isLate) late++
    }
    return { missShare: counted >= MISS_SAMPLES_MIN ? late / counted : 0, queueingMs: this.queueingMs(base) }
  }

  private queueingMs(base: number): number {
    const firstMs = this.all[0]?.sentMs ?? 0
    let most = 0
    for (const { sentMs } of this.all) {
      if (sentMs - firstMs < QUEUED_MS) continue
      const fastest = this.fastestMs(sentMs - QUEUED_MS, sentMs, QUEUED_SAMPLES_MIN)
      if (fastest !== Infinity) most = Math.max(most, fastest - base)
    }
    return most > CLEAR_MS ? Math.round(most) : 0
  }

  /** The smallest round trip of what was sent in that time; infinite where fewer than `least` came back. */
  private fastestMs(fromMs: number, toMs: number, least = 1): number {
    const trips = this.all
      .filter(({ sentMs, answeredMs }) => sentMs >= fromMs && sentMs <= toMs && answeredMs < Infinity)
      .map(({ sentMs, answeredMs }) => answeredMs - sentMs)
    return trips.length < least ? Infinity : Math.min(...trips)
  }
}
