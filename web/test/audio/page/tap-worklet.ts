/** Records what flows through it, each block with the audio clock's number of its first sample. */

class Tap extends AudioWorkletProcessor {
  process(inputs: Float32Array[][], outputs: Float32Array[][]): boolean {
    const block = inputs[0]?.[0]
    if (block === undefined) return true
    outputs[0]?.[0]?.set(block)
    const samples = block.slice()
    this.port.postMessage({ at: currentFrame, samples }, [samples.buffer])
    return true
  }
}

registerProcessor("tap", Tap)
