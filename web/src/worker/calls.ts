// Calls on this device: the signalling machine joined to messages, timers and sound.
//
// All rules are in core/protocol/calls; here its actions are carried out.
import { fromHex, toHex } from "../core/bytes.js"
import * as mimi from "../core/e2ee/content/index.js"
import * as machine from "../core/protocol/calls.js"
import type { EndReason } from "../core/protocol/calls-table.js"
import type { BundleId } from "../core/protocol/frames.js"
import { BUNDLE_ID_BYTES } from "../core/protocol/limits.js"
import { Watch } from "../core/protocol/verdicts.js"
import type { CallHistoryEntry, CallPhase, CallView, EngineEvent, Quality, TracePoint } from "./api.js"
import type { PlayoutReport } from "./audio-ports.js"
import { random } from "./buffers.js"
import { forgetCallKeys } from "./call-keys.js"
import { finishCall, history, notesHeard, outcomeOf, putCall, wordsFor } from "./call-log.js"
import { CallMedia } from "./call-media.js"
import { HeardThere, qualityOf } from "./call-quality.js"
import type { Context } from "./context.js"
import type { Arrival, Conversation } from "./conversation.js"
import type { WhyOff } from "./direct.js"
import { EngineError } from "./errors.js"
import { FirstFrame } from "./first-frame.js"
import { ignoredPackets } from "./ignored.js"
import { Lanes } from "./lanes.js"
import { whyHideFrom } from "./people.js"
import type { CallRow } from "./store/rows.js"
import { endOf } from "./direct-ports.js"
import type { Views } from "./views.js"
import { sampleOf, viewOfVerdict, viewOfWay, type Way, wordsForWay } from "./way.js"

/** Seconds that a call's trace goes back. */
const TRACE_POINTS_MAX = 60
/** Frames opened at once while nobody has answered; the next of an honest peer is never far. */
const LOOKING_MAX = 4

interface Current {
  readonly conversation: Conversation
  readonly incoming: boolean
  readonly machine: machine.CallMachine
  /** As the page knows the call, and as it is named on the wire: another after two calls crossed. */
  readonly id: string
  wire: string
  peer: string
  phase: CallPhase
  muted: boolean
  answered: boolean
  sinceMs: number | null
  quality: Quality
  readonly heardThere: HeardThere
  lastReport: PlayoutReport | undefined
  way: Way | undefined
  watch: Watch
  trace: readonly TracePoint[]
  lostShare: number
  /** Open from the first ring on: sound can flow the moment somebody answers. */
  readonly lanes: Lanes
  media: CallMedia | undefined
  ports: readonly [MessagePort, MessagePort] | undefined
  whyNotDirect: WhyOff | null
  /** The page's half of a direct channel, or why there is none. */
  directPeer: MessagePort | "hidden" | "unable" | undefined
}

/** At most one call at a time. */
export class Calls {
  private current: Current | undefined
  private timer: ReturnType<typeof setTimeout> | undefined
  private outgoing: Promise<unknown> = Promise.resolve()
  private logging: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly context: Context,
    private readonly views: Views,
    private readonly conversation: (id: number) => Conversation | undefined,
    private readonly emit: (event: EngineEvent) => void,
    private readonly waitingOrder: () => number,
  ) {}

  /** Takes up what a reload or another tab left: a call that rings goes on ringing, one under way is hung up. */
  async restore(): Promise<void> {
    for (const row of this.context.store.rows("call")) {
      if (row.outcome !== null) continue
      const conversation = this.conversation(row.conversation)
      const isFresh = row.offerExpiresMs > this.context.nowMs()
      if (conversation !== undefined && !row.outgoing && row.answeredS === 0 && isFresh && this.current === undefined) {
        this.ringAgain(conversation, row)
        continue
      }
      if (conversation !== undefined && (row.outgoing || row.answeredS > 0)) {
        this.sendSoon(conversation, { callId: fromHex(row.id) as machine.CallId, kind: "hangup", reason: "failed", toLeaf: null })
      }
      const outcome = row.answeredS > 0 ? "answered" : row.outgoing ? "unanswered" : "missed"
      await this.context.store.transaction((tx) => finishCall(tx, row.id, outcome, this.context.nowS(), toHex(this.context.own.accountId)))
    }
  }

  private ringAgain(conversation: Conversation, row: CallRow): void {
    const leaf = conversation.snapshot.members.find(
      ([, { accountId, deviceId }]) => toHex(accountId) === row.peer && toHex(deviceId) === row.device,
    )?.[0].leaf
    if (leaf === undefined) return
    this.current = this.fresh(conversation, row.id, row.peer, true)
    this.step((m, now) =>
      m.remote({ ...this.eventOf(conversation, leaf, row.id), kind: "offer", sentMs: row.offerExpiresMs - machine.OFFER_LIFETIME_MS }, now),
    )
  }

  stop(): void {
    clearTimeout(this.timer)
    this.current?.media?.stop()
    this.current?.lanes.stop()
    this.current = undefined
  }

  get isBusy(): boolean {
    return this.current !== undefined
  }

  history(): CallHistoryEntry[] {
    return history(this.context.store, (id) => this.views.idOf(id), (id) => this.views.addressOf(id))
  }

  // -- what the person does --------------------------------------------------------------------------------------

  /** Why a call in this conversation must not show our address to the other side, or null. Asked before it is placed. */
  whyNotDirect(conversation: Conversation): WhyOff | null {
    const own = toHex(this.context.own.accountId)
    const others = new Set(conversation.snapshot.members.map(([, { accountId }]) => toHex(accountId)).filter((id) => id !== own))
    if (others.size !== 1) return "group"
    const [other] = [...others].map((id) => this.context.people.row(id))
    return whyHideFrom(other)
  }

  async place(conversation: Conversation, whyNotDirect: WhyOff | null): Promise<string> {
    if (this.current !== undefined) throw new EngineError("busy", "There is a call already.", "Hang it up first.")
    const callId = random(machine.CALL_ID_BYTES)
    const id = toHex(callId)
    const own = toHex(this.context.own.accountId)
    const other = conversation.snapshot.members.find(([, { accountId }]) => toHex(accountId) !== own)?.[1]
    if (other === undefined) throw new EngineError("nobody", "Nobody else is in the conversation.", "Add somebody first.")
    const peer = toHex(other.accountId)
    const current = this.fresh(conversation, id, peer, false)
    current.whyNotDirect = whyNotDirect
    this.current = current
    this.awaitSound(current, new FirstFrame(conversation, id))
    current.lanes.start()
    current.lanes.rehearse()
    await this.context.store.transaction((tx) =>
      putCall(tx, {
        id, conversation: conversation.id, peer, device: "", outgoing: true, timeS: this.context.nowS(), offerExpiresMs: 0,
        answeredS: 0, outcome: null, seconds: 0,
      }),
    )
    this.step((m, now) => m.place(callId as machine.CallId, conversation.stream as unknown as machine.ConversationId, now))
    this.show(current)
    return id
  }

  answer(id: string): void {
    this.require(id)
    this.step((m, now) => m.answer(now))
  }

  decline(id: string): void {
    this.require(id)
    this.step((m, now) => m.decline(now))
  }

  hangUp(id: string): void {
    if (this.current?.id === id) this.step((m, now) => m.hangUp(now))
  }

  mute(id: string, muted: boolean): void {
    const current = this.require(id)
    current.muted = muted
    current.media?.mute(muted)
    this.show(current)
  }

  speak(id: string, speaking: boolean): void {
    this.require(id).media?.notes.speak(speaking)
  }

  attach(id: string, capture: MessagePort, playout: MessagePort): void {
    const current = this.require(id)
    current.ports = [capture, playout]
    current.media?.attach(capture, playout, current.muted)
  }

  attachDirect(id: string, peer: MessagePort | "hidden" | "unable"): void {
    const current = this.require(id)
    if (current.media === undefined) this.releaseDirect(current)
    current.directPeer = peer
    current.media?.direct.attach(peer)
  }

  private require(id: string): Current {
    if (this.current?.id !== id) throw new EngineError("no_call", "This call is over.", "Call again.")
    return this.current
  }

  // -- what others send ------------------------------------------------------------------------------------------

  arrived(conversation: Conversation, { said, leaf }: Arrival, body: mimi.CallBody): void {
    const callId = toHex(body.callId)
    const base = this.eventOf(conversation, leaf, callId)
    const event: machine.CallEvent = {
      ...base,
      kind: body.kind,
      own: said.sender === toHex(this.context.own.accountId),
      // The offer's own date is authenticated; the server's time for the record is not.
      sentMs: body.kind === "offer" ? Number(body.expiresMs) - machine.OFFER_LIFETIME_MS : 0,
      reason: body.kind === "hangup" ? body.reason : "hung_up",
      toLeaf: body.kind === "hangup" && body.toLeaf !== null ? (body.toLeaf as machine.LeafIndex) : null,
    }
    if (this.current === undefined) {
      if (event.kind !== "offer" || event.own) return this.finishUnheard(event)
      if (conversation.row.status !== "active") return this.finish(callId, "missed") // strangers do not ring
      this.current = this.fresh(conversation, callId, said.sender, true)
    } else if (event.kind === "offer" && !event.own && callId !== this.current.wire) {
      // A second caller is told "busy" by the machine, and we that they called.
      const { answered, machine: m } = this.current
      const answerToCome = m.isCaller && !m.isConfirmed && leaf === m.peer
      const crosses = this.current.conversation === conversation && (!answered || answerToCome)
      if (!crosses) this.finish(callId, "missed")
    }
    this.step((m, now) => m.remote(event, now))
  }

  /** The end of a call that does not ring here any more, such as one read from the log after a pause. */
  private finishUnheard({ kind, callId }: machine.CallEvent): void {
    if (kind === "hangup" || kind === "answer" || kind === "decline") {
      const row = this.context.store.get("call", toHex(callId))
      if (row?.outcome === null && !row.outgoing) this.finish(row.id, kind === "hangup" ? "missed" : "answered_elsewhere")
    }
  }

  /** Only the peer's device is heard in a call (CANNOT-FORGE); every other note waits in the conversation. */
  noteArrived(conversation: Conversation, { leaf }: Arrival, note: mimi.Note): void {
    const { current } = this
    if (current?.conversation !== conversation || current.media?.peerLeaf !== leaf || toHex(note.callId) !== current.wire) return
    current.media.notes.arrived(note.number, note.packets)
    this.heard(current)
  }

  private async sayNote({ conversation, wire }: Current, number: number, packets: readonly Uint8Array[]): Promise<string> {
    const message = mimi.noteMessage(random(16) as mimi.Salt, { callId: fromHex(wire), number, packets })
    return (await conversation.say(message, packets.length === 0 ? 0 : this.waitingOrder())).id
  }

  signal(conversation: Conversation, body: Uint8Array): void {
    const { current } = this
    if (current?.conversation === conversation) current.lanes.take(body)
  }

  private eventOf(conversation: Conversation, leaf: number, callId: string): machine.CallEvent {
    return {
      kind: "ringing",
      callId: fromHex(callId) as machine.CallId,
      conversation: conversation.stream as unknown as machine.ConversationId,
      leaf: leaf as machine.LeafIndex,
      own: false,
      sentMs: 0,
      reason: "hung_up",
      toLeaf: null,
    }
  }

  // -- the machine -----------------------------------------------------------------------------------------------

  private fresh(conversation: Conversation, id: string, peer: string, incoming: boolean): Current {
    const lanes = new Lanes(conversation.connection, conversation.stream, random(BUNDLE_ID_BYTES) as BundleId)
    return {
      conversation, incoming, lanes, machine: new machine.CallMachine(conversation.snapshot.ownLeaf as machine.LeafIndex), id, wire: id, peer,
      phase: incoming ? "ringing_here" : "calling", muted: false, answered: false, sinceMs: null, quality: "unknown",
      heardThere: new HeardThere(), lastReport: undefined, way: undefined, watch: new Watch(performance.now()), trace: [], lostShare: 0, media: undefined, ports: undefined,
      whyNotDirect: this.whyNotDirect(conversation), directPeer: undefined,
    }
  }

  private step(input: (m: machine.CallMachine, nowMs: number) => readonly machine.Action[]): void {
    const { current } = this
    if (current === undefined) return
    const actions = input(current.machine, this.nowMs(current))
    // A frame takes one trip; a message is signed and stored on its way, and waits until the frame has left.
    const first = actions.filter(({ action }) => action === "start_audio")
    for (const action of [...first, ...actions.filter((one) => !first.includes(one))]) this.carryOut(action, current)
    if (this.current !== current) return
    if (current.machine.state === "idle") this.current = undefined
    this.setTimer(current)
  }

  private carryOut(action: machine.Action, current: Current): void {
    switch (action.action) {
      case "send": {
        const stream = toHex(action.conversation as unknown as Uint8Array)
        const row = this.context.store.rows("conversation").find((known) => toHex(known.stream) === stream)
        const conversation = (row && this.conversation(row.id)) ?? current.conversation
        return this.sendSoon(conversation, action)
      }
      case "ring":
        current.lanes.start()
        current.lanes.rehearse()
        current.phase = "ringing_here"
        return this.show(current)
      case "show_ringing":
        current.phase = "ringing_there"
        return this.show(current)
      case "start_audio":
        return this.startAudio(current, toHex(action.callId), action.peer)
      case "stop_audio":
        return current.media?.stop()
      case "ended":
        return this.end(current, action.reason)
      default:
        return undefined
    }
  }

  /** While we call, whoever sends sound has answered. */
  private awaitSound(current: Current, first: FirstFrame): void {
    let looking = 0
    const look = async (body: Uint8Array): Promise<void> => {
      const leaf = await first.author(body)
      if (leaf === undefined || this.current !== current) return
      if (current.media === undefined) this.step((m, now) => m.frameOpened(leaf as machine.LeafIndex, now))
      if (current.media !== undefined) current.lanes.onBody(body)
    }
    current.lanes.onBody = (body) => {
      if (looking >= LOOKING_MAX) return
      looking++
      look(body).catch(() => undefined).finally(() => looking--)
    }
  }

  private startAudio(current: Current, id: string, peerLeaf: number): void {
    if (id !== current.wire) this.crossed(current, id)
    current.answered = true
    current.phase = "connecting"
    // What has happened while it rang counts too.
    current.whyNotDirect ??= this.whyNotDirect(current.conversation)
    const media = new CallMedia(
      current.conversation, id, peerLeaf, current.lanes, () => this.heard(current), (report) => this.reported(current, report), {
        say: (number, packets) => this.sayNote(current, number, packets), sent: (id) => current.conversation.sent(id),
        heard: (count) => this.log((tx) => notesHeard(tx, current.wire, count)),
        changed: () => this.current === current && this.show(current),
      },
      current.whyNotDirect, () => this.directChanged(current),
    )
    current.media = media
    const started = media.start()
    started.catch(() => this.step((m, now) => m.fail(now)))
    this.outgoing = this.outgoing.then(() => started).catch(() => undefined)
    // A frame may be here before its key is.
    current.lanes.onBody = (body) => void started.then(() => media.arrived(body)).catch(() => undefined)
    current.lanes.onWay = (way) => this.wayChanged(current, way)
    current.watch = new Watch(performance.now())
    const watch = async (): Promise<void> => {
      while (this.current === current) {
        await current.conversation.progress.next(this.context.signal)
        // Who was added holds the keys of the signalling too, and could ask for this device's address.
        if (current.whyNotDirect !== "group" && this.whyNotDirect(current.conversation) === "group") {
          current.whyNotDirect = "group"
          media.direct.forbid("group")
        }
        if (!(await media.takeNewKeys())) return this.step((m, now) => m.fail(now))
      }
    }
    watch().catch(() => undefined)
    if (current.ports !== undefined) media.attach(...current.ports, current.muted)
    if (current.directPeer !== undefined) media.direct.attach(current.directPeer)
    this.log((tx) => tx.patch("call", id, { answeredS: this.context.nowS() }))
    this.show(current)
  }

  /** Both called at once: the one call stands for both. */
  private crossed(current: Current, id: string): void {
    const before = current.wire
    current.wire = id
    this.log((tx) => {
      forgetCallKeys(tx, before)
      tx.drop("call", before)
    })
  }

  private heard(current: Current): void {
    if (current.sinceMs === null) {
      current.sinceMs = Date.now()
      current.phase = "in_call"
      this.show(current)
    }
    this.step((m, now) => m.audioHeard(now))
  }

  private reported(current: Current, report: PlayoutReport): void {
    const { lastReport } = current
    current.lastReport = report
    const played = report.playedSlots - (lastReport?.playedSlots ?? 0)
    const lost = report.concealedSlots - (lastReport?.concealedSlots ?? 0)
    if (played + lost === 0) return
    const share = lost / (played + lost)
    current.lostShare = share
    const quality = qualityOf(share)
    if (quality === current.quality) return
    current.quality = quality
    this.show(current)
  }

  private wayChanged(current: Current, way: Way): void {
    current.way = way
    this.watchWay(current)
    if (current.phase === "in_call" && current.media !== undefined) current.heardThere.second(current.media.peerReport)
    const point = { roundTripMs: way.roundTripMs, lostShare: current.lostShare }
    current.trace = [...current.trace, point].slice(-TRACE_POINTS_MAX)
    this.show(current)
  }

  private directChanged(current: Current): void {
    this.watchWay(current)
    this.show(current)
  }

  private watchWay({ way, watch, media }: Current): void {
    if (way === undefined || media === undefined) return
    watch.note(sampleOf(way, media.direct.found, media.direct.view.carries), performance.now())
  }

  private end(current: Current, reason: EndReason): void {
    clearTimeout(this.timer)
    current.media?.stop()
    current.lanes.stop()
    current.ports?.forEach((port) => port.close())
    if (current.media === undefined) this.releaseDirect(current)
    if (this.current === current) this.current = undefined
    current.phase = "ended"
    this.emit({ kind: "call", call: { ...this.viewOf(current), ended: wordsFor(reason, current.incoming) } })
    this.finish(current.wire, outcomeOf(reason, current.answered, !current.incoming))
  }

  /** Lets the page's half go that no media have taken. */
  private releaseDirect({ directPeer }: Current): void {
    if (directPeer instanceof MessagePort) endOf(directPeer)
  }

  private finish(id: string, outcome: ReturnType<typeof outcomeOf>): void {
    this.log((tx) => finishCall(tx, id, outcome, this.context.nowS(), toHex(this.context.own.accountId)))
  }

  private log(work: Parameters<Context["store"]["transaction"]>[0]): void {
    this.logging = this.logging.then(() => this.context.store.transaction(work)).catch(() => undefined)
  }

  private sendSoon(conversation: Conversation, send: Pick<machine.Send, "callId" | "kind" | "reason" | "toLeaf">): void {
    const message = (): mimi.MimiContent => mimi.callMessage(random(16) as mimi.Salt, this.bodyOf(conversation, send))
    this.outgoing = this.outgoing.then(() => conversation.say(message(), 0)).catch(() => undefined)
  }

  /** The body of an event; an offer is dated by the server's clock. */
  private bodyOf(conversation: Conversation, { kind, callId, reason, toLeaf }: Pick<machine.Send, "callId" | "kind" | "reason" | "toLeaf">): mimi.CallBody {
    switch (kind) {
      case "offer": {
        const createdMs = Math.round(this.context.nowMs(conversation.connection.origin))
        return { kind, callId, createdMs, expiresMs: createdMs + machine.OFFER_LIFETIME_MS, media: [mimi.MEDIA_DEFAULT] }
      }
      case "answer":
        return { kind, callId, mediaIndex: 0 }
      case "hangup":
        return { kind, callId, reason: reason ?? "hung_up", toLeaf: toLeaf ?? null }
      default:
        return { kind, callId }
    }
  }

  private setTimer(current: Current): void {
    clearTimeout(this.timer)
    const { deadlineMs } = current.machine
    if (deadlineMs === null || deadlineMs === undefined) return
    this.timer = setTimeout(() => this.step((m, now) => m.tick(now)), Math.max(1, deadlineMs - this.nowMs(current)) + 1)
  }

  private nowMs(current: Current): number {
    return Math.round(this.context.nowMs(current.conversation.connection.origin))
  }

  private show(current: Current): void {
    this.emit({ kind: "call", call: this.viewOf(current) })
  }

  /** The call as it stands, for a page that has just opened. */
  view(): CallView | undefined {
    return this.current && this.viewOf(this.current)
  }

  private viewOf(current: Current): CallView {
    const { id, conversation, peer, incoming, phase, muted, sinceMs, quality, heardThere, way, watch, trace, media } = current
    return {
      id, conversation: this.views.idOf(conversation.id), peer: this.views.person(peer), incoming, phase, muted, sinceMs,
      carrier: wordsForWay(way, media?.direct.view), quality, qualityThere: heardThere.quality, way: way === undefined ? null : viewOfWay(way), direct: media?.direct.view ?? null,
      verdicts: watch.verdicts(performance.now()).map(viewOfVerdict), trace, ended: "",
      ignored: media === undefined ? 0 : ignoredPackets(media.refusals, media.direct.view.framesDirect),
      notes: current.phase === "in_call" ? (current.media?.notes.view ?? null) : null,
    }
  }
}
