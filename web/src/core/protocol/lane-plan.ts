// When a client opens further lanes and leaves old ones (docs/spec/lanes.md section 6).
//
// Few connections, opened seconds apart: many at once are a fingerprint, and some networks reset them. Pure: times are
// milliseconds of one monotonic clock. The same rules run in `ringthrough.protocol.lane_plan`; `vectors/lanes` holds the
// two together.
import * as given from "./lane-plan-constants.js"
import type { LaneId } from "./lanes.js"

interface Known {
  readonly openedMs: number
  bytesReceived: number
  /** Since when. */
  stalledMs: number | null
  /** Since it was stalled, another one answered at every moment. */
  isAlone: boolean
}

/** `silent`: no lane works; `stuck`: none is free. */
export interface Trouble {
  readonly silent: boolean
  readonly stuck: boolean
}

/** What to do now. */
export interface Steps {
  readonly dial: boolean
  readonly leave: readonly LaneId[]
}

/** One call's connections. The lane of the message connection is one of them, opened by others. */
export class LanePlan {
  /** After how many bytes this network freezes a connection; null where it has not. */
  freezeBytes: number | null = null
  /** How many connections this network seems to let live; null where it has not said. */
  lanesMax: number | null = null
  dials = 0
  private readonly lanes = new Map<LaneId, Known>()
  /** When those began that are under way. */
  private readonly dialsMs: number[] = []
  private dialledMs = -Infinity
  private earlyEnds = 0
  /** When a lane last was stalled or died by itself. */
  private troubleMs = -Infinity
  /** How long none is tried beyond `lanesMax`, and until when. */
  private countedMs = 0
  private countedUntilMs = -Infinity
  /** Of the last lane that may have been frozen. */
  private diedBytes: number | null = null
  /** The most that a lane had received which was frozen by rule. */
  private frozenBytesMax = 0
  /** The most that any lane has received. */
  private bytesMax = 0
  /** When stalled lanes were past hope. */
  private deathsMs: number[] = []
  /** When stalled lanes answered again while others did all along: losses let go of them, a rule never does. */
  private recoveriesMs: number[] = []
  /** Whether frames are sent, which a handshake would delay where the pipe is narrow. */
  isSounding = false

  constructor(readonly startedMs: number) {}

  /** A connection is being opened. */
  dialled(nowMs: number): void {
    this.dials++
    this.dialsMs.push(nowMs)
    this.dialledMs = nowMs
  }

  /** Whether one is under way. */
  get isDialling(): boolean {
    return this.dialsMs.length > 0
  }

  /** It is a lane now, or failed. */
  dialEnded(): void {
    this.dialsMs.pop() // most likely the last one: what hangs, hangs
  }

  /** A lane more. */
  opened(lane: LaneId, nowMs: number): void {
    this.lanes.set(lane, { openedMs: nowMs, bytesReceived: given.HANDSHAKE_BYTES, stalledMs: null, isAlone: true })
  }

  /** Bytes of a message from the server, with what carries them. */
  received(lane: LaneId, size: number): void {
    const known = this.lanes.get(lane)
    if (known === undefined) return
    known.bytesReceived += size
    this.bytesMax = Math.max(this.bytesMax, known.bytesReceived)
    if (this.isSpared(this.frozenBytesMax)) this.freezeBytes = null
  }

  /** A lane less; `reset` by the network, and not closed by one of the two ends. */
  closed(lane: LaneId, nowMs: number, reset: boolean): void {
    const known = this.lanes.get(lane)
    if (known === undefined) return
    this.lanes.delete(lane)
    const isEarly = reset && nowMs - known.openedMs < given.EARLY_END_MS
    if (!isEarly && !this.isWorn(known)) this.troubleMs = nowMs
    this.noteEnd(isEarly, nowMs)
  }

  /** An opening was reset by the network. */
  refused(nowMs: number): void {
    this.noteEnd(true, nowMs)
  }

  private noteEnd(isEarly: boolean, nowMs: number): void {
    const tells = isEarly && this.lanes.size > 0 && nowMs - this.troubleMs >= given.OUTAGE_MS
    this.earlyEnds = tells ? this.earlyEnds + 1 : 0
    const isKnown = this.lanesMax !== null && this.lanes.size >= this.lanesMax
    if (this.earlyEnds >= (isKnown ? 1 : given.EARLY_ENDS_MAX)) {
      this.lanesMax = this.lanes.size
      this.countedMs = Math.min(Math.max(2 * this.countedMs, given.COUNTED_MS_MIN), given.COUNTED_MS_MAX)
      this.countedUntilMs = nowMs + this.countedMs
    }
  }

  /**
   * How many of the lanes wanted may be had. One more than were let live now and then: what looked like a limit may
   * have been an outage, or be gone.
   */
  private limit(wanted: number, nowMs: number): number {
    if (this.lanesMax === null) return wanted
    const lived = [...this.lanes.values()].filter((known) => nowMs - known.openedMs >= given.EARLY_END_MS).length
    if (lived > this.lanesMax) {
      this.lanesMax = null
      this.countedMs = 0
      return wanted
    }
    return Math.min(wanted, this.lanesMax + (nowMs >= this.countedUntilMs ? 1 : 0))
  }

  /** `wanted` lanes that work; `stalled` ones answer nothing. */
  step(wanted: number, stalled: readonly LaneId[], nowMs: number, { silent, stuck }: Trouble): Steps {
    const dead = this.noteStalled(stalled, nowMs, silent)
    if (silent || stalled.length > 0) this.troubleMs = nowMs
    const fit = [...this.lanes].filter(([lane, known]) => !stalled.includes(lane) && !this.isWorn(known)).map(([lane]) => lane)
    // What ails all lanes at once is the network; a new connection is the way out of it, if there is one.
    const count = Math.max(1, this.limit(wanted, nowMs))
    const hangsMs = this.isSounding ? given.DIAL_HANGS_MS : given.DIAL_HANGS_MS_RINGING
    const awaited = this.dialsMs.filter((beganMs) => nowMs - beganMs < hangsMs).length
    const short = count - awaited - (silent ? 0 : fit.length)
    const hurry = silent || stalled.length > 0 || this.freezeBytes !== null
    const beginMs = count <= given.SPARE_LANES && this.isSounding && !stuck && !hurry ? given.SPARE_MS : given.FIRST_DIAL_MS
    const isDue = nowMs - this.dialledMs >= given.DIAL_GAP_MS && nowMs - this.startedMs >= beginMs
    const hasRoom = silent || this.lanes.size + this.dialsMs.length < given.LANES_OPEN_MAX
    // While it rings, those that hang count as well: a pipe too narrow for two handshakes must not get four.
    const atOnce = this.isSounding ? awaited : this.dialsMs.length
    const dial = short > 0 && isDue && hasRoom && atOnce < given.DIALS_AT_ONCE
    const worn = [...this.lanes].filter(([lane, known]) => this.isWorn(known) && !dead.includes(lane)).map(([lane]) => lane)
    return { dial, leave: fit.length >= count ? [...dead, ...worn] : dead }
  }

  /** The lanes that are past hope. */
  private noteStalled(stalled: readonly LaneId[], nowMs: number, isSilent: boolean): LaneId[] {
    const dead: LaneId[] = []
    for (const [lane, known] of this.lanes) {
      if (!stalled.includes(lane)) {
        if (known.stalledMs !== null && known.isAlone) this.recoveriesMs.push(nowMs)
        known.stalledMs = null
        continue
      }
      if (known.stalledMs === null) {
        known.stalledMs = nowMs
        known.isAlone = true
      } else if (nowMs - known.stalledMs >= given.DEAD_MS) {
        dead.push(lane)
        this.deathsMs.push(nowMs)
        this.learnFreeze(known.bytesReceived, nowMs)
      }
      if (isSilent) known.isAlone = false
    }
    return dead
  }

  private learnFreeze(size: number, nowMs: number): void {
    const isRecent = (atMs: number): boolean => nowMs - atMs < given.STALLS_KEPT_MS
    this.deathsMs = this.deathsMs.filter(isRecent)
    this.recoveriesMs = this.recoveriesMs.filter(isRecent)
    if (size < given.FREEZE_BYTES_MIN || size > given.FREEZE_BYTES_MAX) return
    const before = this.diedBytes
    this.diedBytes = size
    if (before === null || Math.abs(size - before) > given.FREEZE_SPREAD * Math.max(size, before)) return
    // Where losses stall lanes, two of those that die are soon alike by chance.
    if (this.recoveriesMs.length >= this.deathsMs.length || this.isSpared(Math.max(size, before))) return
    this.frozenBytesMax = Math.max(size, before, this.frozenBytesMax)
    this.freezeBytes = Math.min(size, before, this.freezeBytes || size)
  }

  /** Whether a lane received more than a rule would let it that froze others after so many. */
  private isSpared(frozenBytes: number): boolean {
    return this.bytesMax > (1 + given.FREEZE_SPREAD) * frozenBytes
  }

  private isWorn({ bytesReceived }: Known): boolean {
    return this.freezeBytes !== null && bytesReceived > this.freezeBytes * given.WEAR_SHARE
  }
}
