// The connections of one call: the message connection first, further ones as the plan wants them.
//
// All rules are in core/protocol: what goes on which lane (lanes), how much redundancy (lane-control), when to open and
// leave connections (lane-plan). Here are only the sockets and timers.
import { PROFILES, SLOT_MS } from "../core/audio/profiles.js"
import { NAME_BYTES, Rehearsed, rehearsal } from "../core/audio/rehearsal.js"
import { concat } from "../core/bytes.js"
import { type Acked, type BundleId, type Carried, type ClientFrame, encode, type Joined, type StreamId } from "../core/protocol/frames.js"
import { Controller, Level } from "../core/protocol/lane-control.js"
import { LanePlan } from "../core/protocol/lane-plan.js"
import { type LaneId, LaneReceiver, LaneSender, type Transmission } from "../core/protocol/lanes.js"
import { PADDED_SIZES_BYTES } from "../core/protocol/limits.js"
import { random } from "./buffers.js"
import type { Connection, MessageLane } from "./connection.js"
import { LaneSocket } from "./lane-socket.js"
import type { Way } from "./way.js"

const UNSENT_BYTES_MAX = 2_048
const PLAN_MS = 100
/** A handshake that takes longer is not waited for. */
const REHEARSAL_AFTER_MS = 1_500
/**
 * A second and a half of short packets shows whether there is room for them. More would only wear out connections that
 * are frozen by bytes, before anybody speaks.
 */
const REHEARSED_SHORT_FRAMES = 75
const TELL_MS = 1_000
/** WebSocket header and TLS record of a message. */
const MESSAGE_OVERHEAD_BYTES = 26

interface Socket {
  readonly unsentBytes: number
  write(frame: ClientFrame): void
  end(): void
}

/** Sends and receives the sealed frames of one call. */
export class Lanes implements MessageLane {
  /** Called once for each frame that arrives. */
  onBody: (body: Uint8Array) => void = () => undefined
  /** Called once a second. */
  onWay: (way: Way) => void = () => undefined
  private readonly sockets = new Map<LaneId, Socket>()
  private readonly dialling = new Set<LaneSocket>()
  private readonly sender = new LaneSender(new Controller(), (lane) => (this.sockets.get(lane)?.unsentBytes ?? Infinity) <= UNSENT_BYTES_MAX)
  private receiver = new LaneReceiver()
  private readonly plan = new LanePlan(performance.now())
  private main: LaneId | undefined
  private nextLane = 0
  private instance: number | undefined
  private planning: ReturnType<typeof setInterval> | undefined
  /** What the other end's rehearsal told of the way from there. */
  readonly rehearsed = new Rehearsed()
  /** This end's name in its rehearsal. */
  private readonly name = random(NAME_BYTES)
  /** Rehearsal's frames sent in the rhythm of short packets. */
  private rehearsedShort = 0
  private rehearsing: ReturnType<typeof setTimeout> | undefined
  private ticking: ReturnType<typeof setTimeout> | undefined
  private tickMs = 0
  private isSilent = false
  private lanesDied = 0
  private toldMs = -Infinity

  constructor(
    private readonly connection: Connection,
    private readonly stream: StreamId,
    private readonly bundle: BundleId,
  ) {}

  /** Keeps lanes open until stopped. */
  start(): void {
    this.sender.controller.allowShort()
    this.planning = setInterval(() => this.step(), PLAN_MS)
    this.connection.attach(this.stream, this)
  }

  stop(): void {
    this.connection.detach(this)
    clearInterval(this.planning)
    clearTimeout(this.rehearsing)
    const own = [...this.sockets].flatMap(([lane, socket]) => (lane === this.main ? [] : [socket]))
    this.sockets.clear()
    for (const socket of [...own, ...this.dialling]) socket.end()
    clearTimeout(this.ticking)
  }

  /** Whether less sound should be sent. */
  get isNarrow(): boolean {
    return this.sender.controller.isNarrow(performance.now())
  }

  /** Whether something more may be tried beside the call. */
  get hasRoom(): boolean {
    return this.sender.controller.hasRoom(performance.now())
  }

  /**
   * Whether there is room for short packets, in both directions of this device's own way. They would wear out connections
   * that are frozen by bytes, faster than others may be opened.
   */
  get sendsShort(): boolean {
    return this.sender.controller.sendsShort && this.plan.freezeBytes === null
  }

  /** Sends a frame now or not at all; false when it was dropped. */
  send(body: Uint8Array): boolean {
    this.plan.isSounding = true
    const transmissions = this.sender.send(body, performance.now())
    this.transmit(transmissions)
    return transmissions.length > 0
  }

  /**
   * Sends what a call would, until it does: so loss, room and delays are known before the first word. It waits for the
   * spare, whose handshake would be taken for a full pipe, and with its first frame for an answer.
   */
  rehearse(ringsMs = performance.now()): void {
    if (this.plan.isSounding) return
    const now = performance.now()
    const hasLanes = this.sender.lanes.length > 1 || now - ringsMs >= REHEARSAL_AFTER_MS
    if (hasLanes && !this.sender.awaitsFirstAnswer) {
      const head = rehearsal(this.name, now, new Uint8Array(0), this.sendsShort)
      const noise = random(PADDED_SIZES_BYTES[0] - head.length)
      this.transmit(this.sender.send(concat(head, noise), now))
    }
    const isNew = this.rehearsedShort < REHEARSED_SHORT_FRAMES
    const isShort = isNew && !this.isNarrow && this.sendsShort && this.rehearsed.takesShort
    if (isShort) this.rehearsedShort++
    const { slots } = PROFILES[this.isNarrow ? "lean" : isShort ? "direct" : "ordinary"]
    this.rehearsing = setTimeout(() => this.rehearse(ringsMs), slots * SLOT_MS)
  }

  // -- the message connection's part -----------------------------------------------------------------------------

  mainOpened(): void {
    this.connection.join(this.bundle, this.stream)
    this.main ??= this.opened(this.connection)
  }

  mainLost(): void {
    if (this.main !== undefined) this.died(this.main, false)
  }

  mainReceived(frame: Joined | Carried | Acked): void {
    if (frame.type === "Joined") this.joined(frame)
    else if (this.main !== undefined) this.received(this.main, frame, encode(frame).length)
  }

  // -- lanes -----------------------------------------------------------------------------------------------------

  private step(): void {
    const now = performance.now()
    const stalled = this.sender.stalled(now)
    if (stalled.length > 0) this.sender.controller.stalled(now)
    const wasSilent = this.isSilent
    this.isSilent = this.sockets.size === 0 || this.sender.isSilent(now)
    const { dial, leave } = this.plan.step(this.sender.controller.lanesWanted, stalled, now, {
      silent: this.isSilent,
      stuck: this.sender.isStuck(now),
    })
    for (const lane of leave) {
      // The message connection is left only when nothing comes through it: messages may be under way on it.
      if (lane === this.main && !stalled.includes(lane)) continue
      const socket = this.sockets.get(lane)
      if (stalled.includes(lane)) this.died(lane, false)
      else this.closed(lane, false)
      socket?.end()
    }
    if (dial && this.instance !== undefined) this.dial(now)
    this.tellWay(now, this.isSilent && !wasSilent)
  }

  private dial(nowMs: number): void {
    this.plan.dialled(nowMs)
    this.sender.controller.excuse(nowMs)
    let lane: LaneId | undefined
    const socket = new LaneSocket(this.connection.origin, this.bundle, {
      joined: (frame) => {
        this.dialling.delete(socket)
        this.plan.dialEnded()
        if (!this.plan.isDialling) this.sender.controller.excuseEnds(performance.now())
        this.joined(frame)
        lane = this.opened(socket)
      },
      received: (frame, bytes) => lane !== undefined && this.received(lane, frame, bytes),
      ended: (isReset) => {
        if (lane !== undefined) return this.died(lane, isReset)
        this.dialling.delete(socket)
        if (isReset) this.plan.refused(performance.now())
        this.plan.dialEnded()
      },
    })
    this.dialling.add(socket)
  }

  /** Another instance: the server has been restarted and counts afresh. */
  private joined({ instance }: Joined): void {
    if (this.instance !== undefined && this.instance !== instance) this.receiver = new LaneReceiver()
    this.instance = instance
  }

  private opened(socket: Socket): LaneId {
    const lane = this.nextLane++ as LaneId
    const now = performance.now()
    this.sockets.set(lane, socket)
    this.sender.open(lane)
    this.plan.opened(lane, now)
    return lane
  }

  /** It was not we who wanted a lane less. */
  private died(lane: LaneId, isReset: boolean): void {
    if (this.sockets.has(lane)) this.lanesDied++
    this.closed(lane, isReset)
  }

  private closed(lane: LaneId, isReset: boolean): void {
    if (!this.sockets.delete(lane)) return
    if (lane === this.main) this.main = undefined
    const now = performance.now()
    this.plan.closed(lane, now, isReset)
    this.receiver.closed(lane)
    this.transmit(this.sender.close(lane, now))
    if (this.sockets.size > 0) return
    // Another may come before the next step.
    const isNews = !this.isSilent
    this.isSilent = true
    this.tellWay(now, isNews)
  }

  private received(lane: LaneId, frame: Carried | Acked, bytes: number): void {
    const now = performance.now()
    this.plan.received(lane, bytes + MESSAGE_OVERHEAD_BYTES)
    if (frame.type === "Acked") {
      const { seq, delayMs, level, narrow, sparing } = frame
      return this.sender.acked(lane, { seq, delayMs, level, isNarrow: narrow, isSparing: sparing }, now)
    }
    const [isNew, ack] = this.receiver.arrived(lane, frame.seq, frame.sentMs, now, this.sender.controller)
    if (ack !== null) {
      const { seq, delayMs, level, isNarrow, isSparing } = ack
      this.sockets.get(lane)?.write({ type: "Ack", seq, delayMs, level, narrow: isNarrow, sparing: isSparing })
    }
    if (isNew) this.take(frame.body)
  }

  /** A frame that came in whatever way. */
  take(body: Uint8Array): void {
    if (!this.rehearsed.arrived(body, performance.now())) this.onBody(body)
  }

  private tellWay(now: number, isNews = false): void {
    if (!isNews && now - this.toldMs < TELL_MS) return
    this.toldMs = now
    const { controller } = this.sender
    const isLean = controller.level === Level.LEAN || controller.levelBack === Level.LEAN
    this.onWay({
      level: isLean ? Level.LEAN : (Math.max(controller.level, controller.levelBack) as Level),
      isNarrow: isLean || controller.isNarrow(now),
      lanes: this.sockets.size,
      isMessageConnection: this.main !== undefined,
      isSilent: this.isSilent,
      queueingMs: Math.max(0, Math.round(controller.queueingMs(now) / 10) * 10),
      missShare: Math.round(controller.missShare(now) * 100) / 100,
      roundTripMs: Math.round(controller.roundTripMs),
      lanesOpened: this.nextLane,
      lanesDied: this.lanesDied,
      freezeBytes: this.plan.freezeBytes,
      lanesMax: this.plan.lanesMax,
    })
  }

  // -- sending ---------------------------------------------------------------------------------------------------

  private transmit(transmissions: readonly Transmission[]): void {
    for (const { lane, seq, sentMs, body } of transmissions) this.sockets.get(lane)?.write({ type: "Carry", seq, sentMs, body })
    const { dueMs } = this.sender
    if (dueMs === null || (this.ticking !== undefined && this.tickMs <= dueMs)) return
    clearTimeout(this.ticking)
    this.tickMs = dueMs
    this.ticking = setTimeout(() => this.tick(), Math.max(0, dueMs - performance.now()))
  }

  private tick(): void {
    this.ticking = undefined
    this.transmit(this.sender.tick(performance.now()))
  }
}
