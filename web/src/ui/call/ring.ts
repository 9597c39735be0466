/** A soft ring of two tones, made on the spot: no file, nothing to load. */

const RING_EVERY_S = 3
const TONES_HZ = [523.25, 659.25]

function strike(context: AudioContext, toneHz: number, atS: number): void {
  const tone = new OscillatorNode(context, { type: "sine", frequency: toneHz })
  const gain = new GainNode(context, { gain: 0 })
  gain.gain.setValueAtTime(0, atS)
  gain.gain.linearRampToValueAtTime(0.16, atS + 0.02)
  gain.gain.exponentialRampToValueAtTime(0.001, atS + 0.9)
  tone.connect(gain).connect(context.destination)
  tone.start(atS)
  tone.stop(atS + 1)
}

/** Rings until the returned function is called. Silent where the browser wants a click first: the dialog is there. */
export function startRinging(): () => void {
  if (typeof AudioContext === "undefined") return () => undefined
  const context = new AudioContext()
  const ring = (): void => {
    if (context.state !== "running") return
    TONES_HZ.forEach((tone, index) => strike(context, tone, context.currentTime + index * 0.22))
  }
  context.resume().then(ring, () => undefined)
  const timer = setInterval(ring, RING_EVERY_S * 1000)
  return () => {
    clearInterval(timer)
    void context.close()
  }
}
