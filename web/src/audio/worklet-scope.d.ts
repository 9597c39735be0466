/** The globals of `AudioWorkletGlobalScope` that TypeScript's library does not name. */

declare abstract class AudioWorkletProcessor {
  readonly port: MessagePort
}

declare function registerProcessor(
  name: string,
  constructor: new (options?: AudioWorkletNodeOptions) => AudioWorkletProcessor & {
    process(inputs: Float32Array[][], outputs: Float32Array[][]): boolean
  },
): void

/** Sample frames since the context began; stands still while the context does. */
declare const currentFrame: number

/** Samples each second of the context. */
declare const sampleRate: number
