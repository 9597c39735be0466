// The direct channel of one call: when it is tried, what the devices say to each other about it, and what goes on it.
//
// All rules are in core/protocol/carriers; WebRTC is in the page (ui/call/direct-peer). Keys stay here.
import { bigEndian, concat, fromBigEndian } from "../core/bytes.js"
import { decodeDirect, directBaseKey, type Description, type DirectMessage, encodeDirect } from "../core/e2ee/direct.js"
import { E2eeError } from "../core/e2ee/errors.js"
import { callKey, decodeHeader, HEADER_BYTES_MAX, LENGTH_BYTES, openFrame, sealFrame, SFrameReceiver, SFrameSender, TAG_BYTES } from "../core/e2ee/sframe.js"
import { Arrivals, Attempts, Carriers, Step, Way } from "../core/protocol/carriers.js"
import { paddedSize } from "../core/protocol/limits.js"
import { Direct as Found } from "../core/protocol/verdicts.js"
import type { DirectView } from "./api.js"
import { type DirectNews, type DirectOrder, endOf } from "./direct-ports.js"

/** First byte of a body on the lanes that carries signalling of the direct channel. */
export const DIRECT_SIGNAL_KIND = 3
const [FRAME, ANSWER] = [1, 2]
const SEQ_BYTES = 4
const ANSWER_BYTES = 1 + SEQ_BYTES + 2
const STEP_MS = 100
/** An end of the channel is told so much later: a refusal may explain it. */
const REFUSAL_MS = 1_000
/** When a refusal that nobody asked for is said again: nobody would miss it. */
const REFUSED_AGAIN_MS = [1_000, 3_000, 7_000]

/** What became of a frame that came. */
export type Heard = "new" | "copy" | "refused"

export interface DirectOutside {
  /** Whether something more may be tried beside the call. */
  hasRoom(): boolean
  /** Sends a body on the lanes. */
  onLanes(body: Uint8Array): void
  /** Opens a sealed frame that came on the channel, and plays it. */
  opened(sealed: Uint8Array): Promise<Heard>
  /** Sends a sealed frame on the lanes. */
  frameOnLanes(sealed: Uint8Array): void
  changed(): void
}

export type WhyOff = "hidden" | "stranger" | "changed" | "group" | "unable"
export type Reason = WhyOff | "waiting" | "refused" | "unanswered" | "trying" | "compared" | "open" | "worse" | "narrow" | "room" | "lost" | "bad" | "keys" | "failed"

interface Told {
  readonly state: DirectView["state"]
  /** What it says of direct UDP between the two; what people or a browser decide says nothing of the network. */
  readonly found: Found
  /** Behind "Through the message connection". */
  readonly clause: string
  readonly why: string
}

const TOLD: Readonly<Record<Reason, Told>> = {
  waiting: { state: "off", found: Found.OFF, clause: ".", why: "None has been tried yet." },
  hidden: { state: "off", found: Found.OFF, clause: ", because you hide your address.", why: "None is made: you hide your address in calls." },
  stranger: {
    state: "off", found: Found.OFF, clause: ", because you had not accepted this person before: your address stays hidden.",
    why: "None is made: strangers do not learn your address.",
  },
  changed: {
    state: "off", found: Found.OFF, clause: ", because this person's key has changed: your address stays hidden.",
    why: "None is made until you have compared the safety number again.",
  },
  group: { state: "off", found: Found.OFF, clause: ", as all calls in groups.", why: "None is made in groups." },
  unable: { state: "off", found: Found.OFF, clause: ": this browser makes no direct connection.", why: "This browser makes none." },
  refused: { state: "blocked", found: Found.OFF, clause: ": the other side does not connect directly.", why: "The other side does not connect directly." },
  unanswered: {
    state: "off", found: Found.OFF, clause: ": the other side has not answered whether it connects directly.",
    why: "The other side has not answered; it is asked again.",
  },
  trying: { state: "trying", found: Found.TRYING, clause: "; a direct one is being tried.", why: "One is being tried." },
  compared: { state: "open", found: Found.OPEN, clause: " and directly, while the two are compared.", why: "It is open, and compared with the message connection." },
  open: { state: "open", found: Found.OPEN, clause: " and directly, while the two are compared.", why: "It is open." },
  narrow: {
    state: "off", found: Found.OFF, clause: ": there is no room at the moment to try a direct one.",
    why: "The way is narrow, or was so lately; one is tried when there is room.",
  },
  room: {
    state: "open", found: Found.OPEN, clause: ": there is no room at the moment for two ways at once.",
    why: "It is open; the two are compared when there is room.",
  },
  worse: {
    state: "open", found: Found.DEGRADED, clause: ": direct UDP passes here, but badly.",
    why: "It is open, but worse than the message connection; it is compared again from time to time.",
  },
  lost: { state: "blocked", found: Found.BLOCKED, clause: ": direct UDP passed, and then fell silent.", why: "It was lost; it is tried again." },
  bad: {
    state: "blocked", found: Found.DEGRADED, clause: ": direct UDP passes here, but badly.",
    why: "It passes too badly to carry a call; it is tried again.",
  },
  keys: {
    state: "blocked", found: Found.KEYS_BLOCKED, clause: ": direct UDP passes here, but the exchange of its keys does not.",
    why: "Its path opened, but its keys (DTLS) did not pass; it is tried again.",
  },
  failed: { state: "blocked", found: Found.BLOCKED, clause: ": direct UDP does not pass here.", why: "It does not pass between the two networks; it is tried again." },
}

export class Direct {
  private readonly carriers = new Carriers()
  private readonly arrivals = new Arrivals()
  private readonly attempts: Attempts
  private readonly receiver = new SFrameReceiver()
  private sender: SFrameSender | undefined
  private counterNext = 0
  private work: Promise<unknown> = Promise.resolve()
  private port: MessagePort | undefined
  private channel: RTCDataChannel | undefined
  private attempt = 0
  private early: DirectMessage | undefined
  /** The peer's newest offer, until there is room for an attempt. */
  private offered: Extract<DirectOrder, { kind: "answer" }> | undefined
  private isPeerHere = false
  private isTrying = false
  /** Both have described their ends: only then does it say something of the network that no channel opens. */
  private isDescribed = false
  private isChannelOpen = false
  /** ICE has found a path in this attempt. */
  private hasPath = false
  /** Some of the keys' exchange has come on it. */
  private hasHeardKeys = false
  private isOver = false
  private stepping: ReturnType<typeof setInterval> | undefined
  private explaining: ReturnType<typeof setTimeout> | undefined
  private refusing: readonly ReturnType<typeof setTimeout>[] = []
  private ticking: ReturnType<typeof setTimeout> | undefined
  private reason: Reason = "waiting"
  private told = ""

  /** `forbidden` says why no channel may be made. The device with the lower leaf index offers. */
  constructor(
    private readonly ownLeaf: number,
    private readonly peerLeaf: number,
    private forbidden: WhyOff | null,
    private readonly outside: DirectOutside,
  ) {
    this.attempts = new Attempts(this.offers)
    if (forbidden !== null) this.reason = forbidden
  }

  private get offers(): boolean {
    return this.ownLeaf < this.peerLeaf
  }

  /** What is known of direct UDP between the two. */
  get found(): Found {
    return TOLD[this.reason].found
  }

  get view(): DirectView {
    const { framesDirect, framesLanes, way } = this.carriers
    const { state, clause, why } = TOLD[this.reason]
    return { state, clause, why, carries: way === Way.DIRECT, framesDirect, framesLanes }
  }

  /**
   * The page's half, or why there is none. Nothing is gathered where it is forbidden; where it is from now on, the
   * channel is left at once, and there is none in this call any more.
   */
  attach(port: MessagePort | "hidden" | "unable"): void {
    if (typeof port === "string") return this.forbid(port)
    if (this.forbidden !== null) {
      endOf(port)
      return this.forbid(this.forbidden)
    }
    if (this.port !== undefined || this.isOver) return
    this.port = port
    port.onmessage = ({ data }: MessageEvent<DirectNews>) => this.learned(data)
    this.stepping = setInterval(() => this.step(), STEP_MS)
    if (this.isPeerHere) this.attempts.wanted(performance.now())
    const { early } = this
    if (early !== undefined) this.obey(early)
  }

  /** Leaves the channel, and refuses any other in this call. */
  forbid(why: WhyOff): void {
    clearTimeout(this.explaining)
    this.forbidden ??= why
    this.release()
    this.show(this.forbidden)
    const { early } = this
    this.early = undefined
    if (early !== undefined) this.obey(early)
    else if (this.isPeerHere) this.refuseUnasked()
  }

  /** Lets the page's half go, and the channel before. */
  private release(): void {
    if (this.port === undefined) return
    clearInterval(this.stepping)
    this.offered = undefined
    if (this.isTrying || this.isChannelOpen) this.endChannel()
    this.attempts.refused()
    endOf(this.port)
    this.port = undefined
  }

  /** A frame of the peer was opened: it is in the call, and hears us. */
  peerIsHere(): void {
    if (this.isPeerHere) return
    this.isPeerHere = true
    if (this.forbidden !== null) return this.refuseUnasked()
    this.attempts.wanted(performance.now())
  }

  private refuseUnasked(): void {
    // Until the other side has offered it need not be told: its offer is answered.
    if (!this.offers && this.attempt === 0) return
    const refuse = (): void => this.say({ kind: "refuse", attempt: this.attempt, description: null })
    refuse()
    this.refusing.forEach(clearTimeout)
    this.refusing = REFUSED_AGAIN_MS.map((ms) => setTimeout(refuse, ms))
  }

  /** Takes the call's base key of another epoch; the counter goes on. */
  async takeKey(baseKey: Uint8Array, epoch: number, oldKeyMs: number): Promise<void> {
    const direct = await directBaseKey(baseKey)
    for (const old of this.receiver.kids) setTimeout(() => this.receiver.forget(old), oldKeyMs)
    this.receiver.addKey(await callKey(direct, this.peerLeaf, epoch))
    this.counterNext = this.sender?.counterNext ?? this.counterNext
    this.sender = new SFrameSender(await callKey(direct, this.ownLeaf, epoch), this.counterNext)
  }

  stop(): void {
    this.isOver = true
    clearInterval(this.stepping)
    clearTimeout(this.ticking)
    clearTimeout(this.explaining)
    this.refusing.forEach(clearTimeout)
    this.channel?.close()
    if (this.port !== undefined) endOf(this.port)
    this.port = this.channel = undefined
  }

  // -- frames ----------------------------------------------------------------------------------------------------

  /** Sends a sealed frame whichever way is the better now. */
  send(sealed: Uint8Array): void {
    const now = performance.now()
    this.tick()
    const { seq, lanes } = this.carriers.send(sealed, now)
    if (seq !== null) this.write(concat(Uint8Array.of(FRAME), bigEndian(seq, SEQ_BYTES), sealed))
    if (lanes) this.outside.frameOnLanes(sealed)
    this.arm()
  }

  /** A sealed frame that could be opened came on the lanes, at `nowMs`. */
  cameByLanes(sealed: Uint8Array, nowMs: number): void {
    if (!this.isChannelOpen) return
    this.arrivals.byLanes(Number(decodeHeader(sealed).ctr), nowMs)
  }

  private async received(message: Uint8Array): Promise<void> {
    const now = performance.now()
    const seq = message.subarray(1, 1 + SEQ_BYTES)
    if (message[0] === ANSWER && message.length === ANSWER_BYTES) {
      return this.carriers.acked(Number(fromBigEndian(seq)), Number(fromBigEndian(message.subarray(1 + SEQ_BYTES))), now)
    }
    if (message[0] !== FRAME || message.length <= 1 + SEQ_BYTES) return
    const sealed = message.slice(1 + SEQ_BYTES)
    const behindMs = this.arrivals.byDirect(Number(decodeHeader(sealed).ctr), now)
    if ((await this.outside.opened(sealed)) === "refused") return
    this.write(concat(Uint8Array.of(ANSWER), seq, bigEndian(behindMs, 2)))
  }

  private write(message: Uint8Array): void {
    if (this.channel === undefined) return this.order({ kind: "message", bytes: message })
    if (this.channel.readyState === "open") this.channel.send(message as Uint8Array<ArrayBuffer>)
  }

  private tick(): void {
    if (!this.isChannelOpen) return
    if (!this.outside.hasRoom()) this.carriers.makeRoom(performance.now())
    for (const sealed of this.carriers.tick(performance.now())) this.outside.frameOnLanes(sealed)
    if (this.carriers.isLost) return this.channelEnded()
    const { way, isWorse } = this.carriers
    if (way === Way.DIRECT) this.show("open")
    else if (way === Way.LANES && isWorse) this.show("worse")
    // While both ways are compared, or there is no room for that, what was found before still stands.
    else if (this.found !== Found.DEGRADED) this.show(way === Way.LANES ? "room" : this.reason === "room" ? "compared" : this.reason)
  }

  private arm(): void {
    const { dueMs } = this.carriers
    if (dueMs === null || this.ticking !== undefined || this.isOver) return
    this.ticking = setTimeout(() => {
      this.ticking = undefined
      this.tick()
      this.arm()
    }, Math.max(1, dueMs - performance.now()))
  }

  // -- the channel -----------------------------------------------------------------------------------------------

  private step(): void {
    this.tick()
    const step = this.attempts.step(performance.now())
    if (step === Step.GIVE_UP) return this.channelEnded()
    const { offered } = this
    if (offered === undefined && step !== Step.BEGIN) return
    if (!this.outside.hasRoom()) {
      if (!this.isChannelOpen && this.found === Found.OFF) this.show("narrow")
      return
    }
    this.offered = undefined
    if (offered !== undefined) this.begin(offered)
    else this.begin({ kind: "offer", attempt: this.attempt + 1 })
  }

  private begin(order: { readonly kind: "offer"; readonly attempt: number } | Extract<DirectOrder, { kind: "answer" }>): void {
    // Words that flicker help nobody: what was found stands until another attempt finds more.
    const isNews = this.isChannelOpen || TOLD[this.reason].found === Found.OFF
    if (this.isChannelOpen) this.endChannel()
    this.channel = undefined
    this.attempt = order.attempt
    this.isTrying = true
    this.hasPath = this.hasHeardKeys = false
    this.isDescribed = order.kind === "answer"
    clearTimeout(this.explaining)
    this.attempts.began(performance.now())
    this.show(isNews ? "trying" : this.reason)
    this.order(order)
  }

  private channelEnded(): void {
    const halfway = this.hasHeardKeys ? "bad" : "keys"
    const reason = this.isChannelOpen ? "lost" : this.hasPath ? halfway : this.isDescribed ? "failed" : "unanswered"
    this.endChannel()
    if (reason !== "lost") return this.show(reason)
    const isBad = this.carriers.wasBad || this.found === Found.DEGRADED
    // The other side may have left it on purpose: what says so goes another way, and comes later than the end.
    clearTimeout(this.explaining)
    this.explaining = setTimeout(() => this.show(isBad ? "bad" : "lost"), REFUSAL_MS)
  }

  private endChannel(): void {
    this.isTrying = this.isChannelOpen = false
    const { channel } = this
    // What it says of its end is no news.
    this.channel = undefined
    channel?.close()
    this.order({ kind: "close" })
    this.attempts.ended(performance.now())
    for (const sealed of this.carriers.closed(performance.now())) this.outside.frameOnLanes(sealed)
  }

  private opened(): void {
    if (this.isChannelOpen) return
    this.isTrying = false
    this.isChannelOpen = true
    this.attempts.opened(performance.now())
    this.carriers.opened(performance.now())
    // What was found stands until both ways were compared.
    this.show(this.found === Found.DEGRADED ? "worse" : "compared")
  }

  private learned(news: DirectNews): void {
    if (news.kind === "network") return this.networkChanged()
    if (news.attempt !== this.attempt || (!this.isTrying && !this.isChannelOpen)) return
    switch (news.kind) {
      case "described":
        return this.say({ kind: this.offers ? "offer" : "answer", attempt: news.attempt, description: news.description })
      case "channel":
        return this.take(news.channel)
      case "path":
        this.hasPath = true
        return
      case "keys":
        this.hasHeardKeys = true
        return
      case "open":
        return this.opened()
      case "message":
        return this.hear(news.bytes)
      case "closed":
        if (this.isTrying || this.isChannelOpen) this.channelEnded()
    }
  }

  private take(channel: RTCDataChannel): void {
    this.channel = channel
    channel.binaryType = "arraybuffer"
    channel.onopen = () => this.channel === channel && this.opened()
    channel.onclose = () => this.channel === channel && this.channelEnded()
    channel.onmessage = ({ data }: MessageEvent<unknown>) => {
      if (this.channel === channel && data instanceof ArrayBuffer) this.hear(new Uint8Array(data))
    }
    if (channel.readyState === "open") this.opened()
  }

  private hear(message: Uint8Array): void {
    this.received(message).catch(() => undefined) // what is no frame of ours is nothing
  }

  private networkChanged(): void {
    if (!this.isPeerHere) return
    clearTimeout(this.explaining)
    if (this.offers) {
      // An open channel may pass there, too: the next attempt ends it, or its silence.
      if (this.isTrying) this.endChannel()
      this.attempts.wanted(performance.now())
    } else this.say({ kind: "ask", attempt: this.attempt, description: null })
    if (!this.isTrying && !this.isChannelOpen) this.show("waiting")
  }

  private order(order: DirectOrder): void {
    this.port?.postMessage(order)
  }

  // -- what the devices say to each other ------------------------------------------------------------------------

  private say(message: DirectMessage): void {
    this.work = this.work
      .then(async () => {
        if (this.sender === undefined || this.isOver) return
        const payload = encodeDirect(message)
        const total = paddedSize(payload.length + HEADER_BYTES_MAX + LENGTH_BYTES + TAG_BYTES + 1) - 1
        this.outside.onLanes(concat(Uint8Array.of(DIRECT_SIGNAL_KIND), await sealFrame(this.sender, payload, total)))
      })
      .catch(() => undefined)
  }

  /** A signalling frame came on the lanes. Throws nothing: what is forged, repeated or malformed changes nothing. */
  async signal(sealed: Uint8Array): Promise<void> {
    try {
      this.obey(decodeDirect((await openFrame(this.receiver, sealed)).payload))
    } catch (error) {
      if (!(error instanceof E2eeError)) throw error
    }
  }

  private obey(message: DirectMessage): void {
    const { kind, attempt, description } = message
    if (this.isOver) return
    if (this.forbidden !== null) {
      if (kind !== "refuse") this.say({ kind: "refuse", attempt, description: null })
      return
    }
    if (this.port === undefined) {
      this.early = message
      return
    }
    if (kind === "offer" && !this.offers && attempt > this.attempt && description !== null) this.wasOffered({ kind: "answer", attempt, description })
    else if (kind === "answer" && this.offers && attempt === this.attempt && description !== null) this.accept(attempt, description)
    else if (kind === "ask" && this.offers) this.networkChanged()
    else if (kind === "refuse" && attempt === this.attempt) this.refused()
  }

  private wasOffered(offered: Extract<DirectOrder, { kind: "answer" }>): void {
    if (this.outside.hasRoom()) this.begin(offered)
    else this.offered = offered
  }

  private accept(attempt: number, description: Description): void {
    this.isDescribed = true
    this.order({ kind: "accept", attempt, description })
  }

  private refused(): void {
    this.offered = undefined
    clearTimeout(this.explaining)
    this.endChannel()
    this.attempts.refused()
    this.show("refused")
  }

  private show(reason: Reason): void {
    this.reason = reason
    const told = `${reason} ${this.view.carries}`
    if (told === this.told || this.isOver) return
    this.told = told
    this.outside.changed()
  }
}
