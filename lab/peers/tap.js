/**
 * Runs in every page before its own scripts. Records, on the audio clock, what the microphone says and what the page
 * plays, and takes the browser's sound processing off the microphone: the speech comes from a file, and gain or noise
 * suppression would be scored as damage. The same for every messenger in a browser.
 *
 * A context is recorded from the moment a media stream enters it: the one of a call, not the one of a ringtone.
 */
;(() => {
  const WORKLET = `
    registerProcessor("lab-tap", class extends AudioWorkletProcessor {
      constructor() {
        super()
        this.clear()
      }
      clear() {
        this.filled = 0
        this.at = currentFrame
        this.said = new Int16Array(2048)
        this.heard = new Int16Array(2048)
      }
      process([said, heard]) {
        // The clock may leave frames out: a block never spans such a gap.
        if (this.filled > 0 && currentFrame !== this.at + this.filled) this.flush()
        if (this.filled === 0) this.at = currentFrame
        const put = (block, samples) => {
          for (let i = 0; samples !== undefined && i < 128; i++) {
            block[this.filled + i] = Math.max(-32768, Math.min(32767, Math.round(samples[i] * 32768)))
          }
        }
        put(this.said, said[0])
        put(this.heard, heard[0])
        this.filled += 128
        if (this.filled === 2048) this.flush()
        return true
      }
      flush() {
        const { at, said, heard, filled } = this
        this.port.postMessage({ at, filled, said, heard, wallMs: Date.now(), upTo: currentFrame }, [said.buffer, heard.buffer])
        this.clear()
      }
    })`
  const module = URL.createObjectURL(new Blob([WORKLET], { type: "text/javascript" }))
  const connect = AudioNode.prototype.connect
  const recorders = new Map()
  const microphones = []

  class Recorder {
    blocks = []
    node = null

    constructor(context) {
      this.context = context
      this.heard = new GainNode(context, { channelCount: 1, channelCountMode: "explicit" })
    }

    async start() {
      if (this.started) return
      this.started = true
      const { context } = this
      await context.audioWorklet.addModule(module)
      const options = { numberOfInputs: 2, channelCount: 1, channelCountMode: "explicit", outputChannelCount: [1] }
      this.node = new AudioWorkletNode(context, "lab-tap", options)
      this.node.port.onmessage = ({ data }) => this.blocks.push(data)
      connect.call(this.heard, this.node, 0, 1)
      connect.call(this.node, context.destination)
      microphones.forEach((stream) => this.listen(stream))
    }

    listen(stream) {
      if (this.node !== null) connect.call(new Original(this.context, { mediaStream: stream }), this.node, 0, 0)
    }

    /** All from the first frame on; frames that the clock left out are zero. */
    take() {
      const first = this.blocks[0]
      const last = this.blocks.at(-1)
      if (first === undefined) return null
      const size = last.at + last.filled - first.at
      const [said, heard] = [new Int16Array(size), new Int16Array(size)]
      for (const block of this.blocks) {
        said.set(block.said.subarray(0, block.filled), block.at - first.at)
        heard.set(block.heard.subarray(0, block.filled), block.at - first.at)
      }
      const marks = this.blocks.map((block) => [block.upTo - first.at, block.wallMs])
      return { rateHz: this.context.sampleRate, marks, said: base64(said), heard: base64(heard) }
    }
  }

  function base64(samples) {
    const bytes = new Uint8Array(samples.buffer)
    let text = ""
    for (let start = 0; start < bytes.length; start += 8192) text += String.fromCharCode(...bytes.subarray(start, start + 8192))
    return btoa(text)
  }

  function recorderOf(context) {
    if (!recorders.has(context)) recorders.set(context, new Recorder(context))
    return recorders.get(context)
  }

  AudioNode.prototype.connect = function (destination, ...rest) {
    if (destination instanceof AudioDestinationNode && destination.context instanceof AudioContext) {
      connect.call(this, recorderOf(destination.context).heard)
    }
    return connect.call(this, destination, ...rest)
  }

  const Original = MediaStreamAudioSourceNode
  window.MediaStreamAudioSourceNode = class extends Original {
    constructor(context, options) {
      super(context, options)
      void recorderOf(context).start()
    }
  }

  const devices = navigator.mediaDevices
  const getUserMedia = devices?.getUserMedia.bind(devices)
  if (getUserMedia !== undefined) {
    devices.getUserMedia = async (constraints) => {
      const asked = typeof constraints.audio === "object" ? constraints.audio : {}
      const audio = { ...asked, echoCancellation: false, noiseSuppression: false, autoGainControl: false }
      const openedMs = Date.now()
      const stream = await getUserMedia({ ...constraints, audio })
      lab.microphoneMs ??= [openedMs, Date.now()]
      microphones.push(stream)
      for (const recorder of recorders.values()) recorder.listen(stream)
      return stream
    }
  }

  const lab = {
    /** Wall clock before and after the first microphone opened; its file begins in between. */
    microphoneMs: null,
    take: () => [...recorders.values()].map((recorder) => recorder.take()).filter((taken) => taken !== null),
  }
  window.lab = lab
})()
