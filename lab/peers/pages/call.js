/**
 * A WebRTC call as good messengers place it: trickled candidates, default audio settings, an ICE restart as soon as the
 * network changes or the path is lost. Offers, answers and candidates travel over a WebSocket, as a messenger's do over
 * its message connection.
 */

/** How long ICE may say "disconnected" before the caller restarts it; it often recovers by itself. */
const RESTART_AFTER_MS = 1000
const RECONNECT_AFTER_MS = 500
const BEAT_MS = 2000

/** Messages to the other side, in order and once, over as many connections as it takes. */
class Signalling {
  #side
  #unacknowledged = []
  #socket = null
  #sent = 0
  #got = 0
  #onMessage

  constructor(side, onMessage) {
    this.#side = side
    this.#onMessage = onMessage
    this.#connect()
  }

  get open() {
    return this.#socket.readyState === WebSocket.OPEN
  }

  send(message) {
    const text = JSON.stringify({ ...message, number: ++this.#sent })
    this.#unacknowledged.push(text)
    if (this.open) this.#socket.send(text)
  }

  #connect() {
    const socket = new WebSocket(`wss://${location.host}/signal?side=${this.#side}&got=${this.#got}`)
    this.#socket = socket
    let alive = true
    const beat = setInterval(() => {
      if (!alive) return over()
      alive = false
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ beat: true }))
    }, BEAT_MS)
    const over = (afterMs = RECONNECT_AFTER_MS) => {
      clearInterval(beat)
      removeEventListener("online", changed)
      socket.onclose = socket.onmessage = null
      socket.close()
      setTimeout(() => this.#connect(), afterMs)
    }
    const changed = () => over(0)
    addEventListener("online", changed)
    socket.onclose = () => over()
    socket.onopen = () => this.#unacknowledged.forEach((text) => socket.send(text))
    socket.onmessage = ({ data }) => {
      alive = true
      const message = JSON.parse(data)
      if (message.stored !== undefined) {
        this.#unacknowledged = this.#unacknowledged.filter((text) => JSON.parse(text).number > message.stored)
      } else if (message.number > this.#got) {
        this.#got = message.number
        void this.#onMessage(message)
      }
    }
  }
}

class Call {
  /** "new", then ICE's and DTLS's common state as the browser names it. */
  states = []
  ringing = false
  restarts = 0
  element = null
  #pc
  #caller
  #signalling
  #remote = null
  #context = null
  #work = Promise.resolve()

  constructor(side, configuration) {
    this.#caller = side === "caller"
    this.#pc = new RTCPeerConnection(configuration)
    this.#pc.onicecandidate = ({ candidate }) => candidate && this.#signalling.send({ candidate })
    this.#pc.onconnectionstatechange = () => this.#stateChanged()
    this.#pc.ontrack = ({ streams }) => {
      this.#remote = streams[0]
      this.#play()
    }
    this.#signalling = new Signalling(side, (message) => this.#inOrder(() => this.#receive(message)))
    addEventListener("online", () => (this.#caller ? this.#restart() : this.#signalling.send({ restart: true })))
  }

  get ready() {
    return this.#signalling.open
  }

  /** The caller opens the microphone first: nobody's phone rings for a call that cannot speak. */
  async place() {
    await this.#openMicrophone()
    await this.#offer()
  }

  async answer() {
    await this.#openMicrophone()
    await this.#pc.setLocalDescription()
    this.#signalling.send({ description: this.#pc.localDescription })
  }

  async stats() {
    const found = []
    ;(await this.#pc.getStats()).forEach((entry) => found.push(entry))
    return found
  }

  hangUp() {
    this.#pc.close()
  }

  async #openMicrophone() {
    this.#context = new AudioContext({ latencyHint: "interactive" })
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true })
    stream.getTracks().forEach((track) => this.#pc.addTrack(track, stream))
    this.#play()
  }

  async #offer() {
    await this.#pc.setLocalDescription()
    this.#signalling.send({ description: this.#pc.localDescription })
  }

  #inOrder(step) {
    this.#work = this.#work.then(step).catch((error) => this.states.push(`error: ${error}`))
    return this.#work
  }

  async #receive({ description, candidate, restart }) {
    if (restart) return this.#restart()
    if (candidate !== undefined) return this.#pc.addIceCandidate(candidate)
    await this.#pc.setRemoteDescription(description)
    if (description.type !== "offer") return
    if (this.states.length === 0) this.ringing = true
    else await this.#offer()
  }

  /** Through the audio graph, where it can be recorded; Chromium decodes a remote track only if an element has it. */
  #play() {
    const [stream, context] = [this.#remote, this.#context]
    if (stream === null || context === null || this.element !== null) return
    const element = new Audio()
    element.srcObject = stream
    element.muted = true
    void element.play()
    new MediaStreamAudioSourceNode(context, { mediaStream: stream }).connect(context.destination)
    this.element = element
  }

  #stateChanged() {
    const state = this.#pc.connectionState
    this.states.push(state)
    if (!this.#caller) return
    if (state === "failed") this.#restart()
    else if (state === "disconnected") {
      setTimeout(() => this.#pc.connectionState === "disconnected" && this.#restart(), RESTART_AFTER_MS)
    }
  }

  /** As applications do when a phone changes its network. Before the first connection there is nothing to restart. */
  #restart() {
    if (!this.states.includes("connected") || this.#pc.signalingState !== "stable") return
    this.restarts++
    this.#pc.restartIce()
    void this.#inOrder(() => this.#offer())
  }
}
