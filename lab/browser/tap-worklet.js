// Records what flows through it: each block with the audio clock's number of its first sample, and the time of day.
class Tap extends AudioWorkletProcessor {
  process(inputs, outputs) {
    const block = inputs[0]?.[0]
    if (block === undefined) return true
    outputs[0]?.[0]?.set(block)
    const samples = block.slice()
    this.port.postMessage({ at: currentFrame, wallMs: Date.now(), samples }, [samples.buffer])
    return true
  }
}

registerProcessor("tap", Tap)
