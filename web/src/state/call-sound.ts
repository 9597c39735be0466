/** What the call's view model needs from the sound of a call. The audio layer provides it; tests a silent one. */

export interface SoundDevices {
  /** Null: the browser's default. */
  readonly input: string | null
  readonly output: string | null
}

export type SoundNews =
  /** The microphone went away, or the sound failed: what happened and what to do next. */
  | { readonly kind: "trouble"; readonly what: string; readonly next: string }
  /** The browser waits for a click before it plays. */
  | { readonly kind: "paused"; readonly needsClick: boolean }
  | { readonly kind: "running" }
  /** Somebody speaks into the muted microphone, or no longer does. */
  | { readonly kind: "muted_speaking"; readonly speaking: boolean }

export interface RunningSound {
  readonly capture: MessagePort
  readonly playout: MessagePort
  /** Settles when the microphone is open; rejects with what can be read as a `Fault`. */
  readonly speaking: Promise<void>
  setMuted(muted: boolean): void
  /** Whether the loudspeaker plays the peer. */
  setPeerHeard(isHeard: boolean): void
  setInput(deviceId: string | null): Promise<void>
  /** False where the browser leaves the choice to the system. */
  setOutput(deviceId: string | null): Promise<boolean>
  /** Of the last moment, 0 to 1. */
  level(): { readonly microphone: number; readonly peer: number }
  stop(): void
}

/** Loads what the next call needs and no click gives, or lets it go when it is not wanted any more. Never throws. */
export type PrepareSound = (wanted: boolean) => void

/** Opens the loudspeaker, and the microphone as soon as it comes; rejects with what can be read as a `Fault`. */
export type OpenSound = (devices: SoundDevices, onNews: (news: SoundNews) => void) => Promise<RunningSound>
