// Runs in the page before the page's own scripts, and changes nothing that it does: records what enters the capture
// worklet ("said") and what leaves the playout worklet ("heard"), and notes what the page asks of the microphone.
// With `tap.raw` the browser's sound processing is left out, whatever the page asked for.
{
  const recordings = { said: [], heard: [] }
  const asked = []
  const loaded = new WeakMap()
  const state = { raw: false, report: null, stalls: 0, answeredMs: null }

  const load = (context) => {
    if (!loaded.has(context)) loaded.set(context, context.audioWorklet.addModule("/tap-worklet.js"))
    return loaded.get(context)
  }

  const record = async (which, from) => {
    const { context } = from
    const recording = { rateHz: context.sampleRate, blocks: [] }
    recordings[which].push(recording)
    await load(context)
    const tap = new Native(context, "tap", { channelCount: 1, channelCountMode: "explicit", outputChannelCount: [1] })
    tap.port.onmessage = ({ data }) => recording.blocks.push(data)
    const silent = new GainNode(context, { gain: 0 })
    connect.call(from, tap)
    connect.call(tap, silent)
    connect.call(silent, context.destination)
  }

  const Native = window.AudioWorkletNode
  const capture = new WeakSet()
  window.AudioWorkletNode = class extends Native {
    constructor(context, name, options) {
      super(context, name, options)
      if (name === "ringthrough-capture") capture.add(this)
      if (name !== "ringthrough-playout") return
      this.port.addEventListener("message", ({ data }) => {
        if (data.kind === "report") state.report = data
      })
      void record("heard", this)
    }
  }
  const { connect } = AudioNode.prototype
  AudioNode.prototype.connect = function (to, ...rest) {
    if (capture.has(to)) void record("said", this)
    return connect.call(this, to, ...rest)
  }

  const devices = navigator.mediaDevices
  if (devices) {
    const open = devices.getUserMedia.bind(devices)
    devices.getUserMedia = (constraints) => {
      asked.push(structuredClone(constraints))
      if (!state.raw) return open(constraints)
      const off = { echoCancellation: false, noiseSuppression: false, autoGainControl: false }
      return open({ ...constraints, audio: { ...constraints.audio, ...off } })
    }
  }

  const pack = (recording) => {
    const blocks = recording?.blocks ?? []
    if (blocks.length === 0) return { start: 0, startMs: 0, rateHz: 48000, pcm: "" }
    const [first, last] = [blocks[0], blocks.at(-1)]
    const { rateHz } = recording
    const whole = new Int16Array(last.at + last.samples.length - first.at)
    // The time of day at the clock's zero: blocks are made in bursts, and the promptest tells.
    let zeroMs = Infinity
    for (const { at, wallMs, samples } of blocks) {
      zeroMs = Math.min(zeroMs, wallMs - (at * 1000) / rateHz)
      samples.forEach((sample, index) => {
        whole[at - first.at + index] = Math.max(-32768, Math.min(32767, Math.round(sample * 32768)))
      })
    }
    const bytes = new Uint8Array(whole.buffer)
    let text = ""
    for (let start = 0; start < bytes.length; start += 8192) text += String.fromCharCode(...bytes.subarray(start, start + 8192))
    return { start: first.at, startMs: zeroMs + (first.at * 1000) / rateHz, rateHz, pcm: btoa(text) }
  }

  addEventListener("click", ({ target }) => {
    if (target instanceof Element && target.closest("[aria-label=Answer]")) state.answeredMs = Date.now()
  }, true)

  window.tap = {
    asked,
    state,
    record,
    said: () => pack(recordings.said.at(-1)),
    heard: () => pack(recordings.heard.at(-1)),
    forget: () => {
      recordings.said.length = recordings.heard.length = 0
      state.report = state.answeredMs = null
    },
    watch: () => {
      new Worker("/witness.js").onmessage = ({ data }) => (state.stalls = data)
    },
  }
}
