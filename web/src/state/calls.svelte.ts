/** Calls of this profile, and the sound of the one that this tab carries. */

import type { CallHistoryEntry, CallId, CallView, ConversationId, Engine, Fault } from "../worker/api.js"
import type { OpenSound, PrepareSound, RunningSound, SoundNews } from "./call-sound.js"
import type { Clock } from "./clock.js"
import { faultOf } from "./faults.js"
import type { Preferences } from "./preferences.svelte.js"

/** How long the reason of an ended call stays. */
const ENDED_SHOWN_MS = 12_000

export interface CallsOutside {
  readonly engine: Engine
  readonly clock: Clock
  readonly preferences: Preferences
  readonly openSound: OpenSound
  readonly prepareSound: PrepareSound
  /** The page's half of a direct channel; absent where there is no WebRTC. */
  readonly openDirect?: () => MessagePort
  onFault(fault: Fault): void
}

export class Calls {
  readonly #outside: CallsOutside
  /** The call to show: one that goes on, or the last one until its reason was seen. */
  current = $state.raw<CallView | null>(null)
  history = $state.raw<readonly CallHistoryEntry[]>([])
  /** Between the click and the engine's answer: the microphone opens, the place is taken. */
  starting = $state<ConversationId | null>(null)
  sound = $state.raw<RunningSound | null>(null)
  trouble = $state.raw<SoundNews | null>(null)
  /** Neither side's voice passes here until one takes the call up again. The other side is not told. */
  held = $state(false)
  speaksMuted = $state(false)
  #ownCall: CallId | null = null
  #mutedBefore = false
  #forget: () => void = () => undefined

  constructor(outside: CallsOutside) {
    this.#outside = outside
    outside.preferences.onChange((now, before) => {
      if (now.hideAddress && !before.hideAddress) void this.#hideAddress()
    })
  }

  get goesOn(): boolean {
    return this.current !== null && this.current.phase !== "ended"
  }

  absorb(call: CallView): void {
    const other = this.current !== null && this.current.id !== call.id
    // A second call never takes the place of one that goes on: the engine tells its caller "busy".
    if (other && (this.goesOn || call.phase === "ended")) {
      void this.loadHistory()
      return
    }
    this.#forget()
    this.current = call
    this.#outside.prepareSound(call.phase === "ringing_here" && this.starting === null)
    if (call.phase !== "ended") return
    this.#stopSound(call.id)
    this.#forget = this.#outside.clock.after(ENDED_SHOWN_MS, () => this.dismiss())
    void this.loadHistory()
  }

  /** The microphone opens first: nobody's phone rings for a call that cannot speak. */
  async place(conversation: ConversationId): Promise<boolean> {
    if (this.goesOn || this.starting !== null) return false
    this.starting = conversation
    this.dismiss()
    try {
      const sound = await this.#openSound()
      await sound.speaking
      const call = await this.#outside.engine.placeCall(conversation)
      await this.#attach(call, sound)
      return true
    } catch (error) {
      this.#stopSound(null)
      this.#outside.onFault(faultOf(error))
      return false
    } finally {
      this.starting = null
    }
  }

  async answer(): Promise<void> {
    const call = this.current
    if (call === null || call.phase !== "ringing_here" || this.starting !== null) return
    this.starting = call.conversation
    try {
      // All at once, in the turn of the click: the time from it to the first sound is what people feel.
      const answered = this.#outside.engine.answerCall(call.id)
      answered.catch(() => undefined)
      const sound = await this.#openSound()
      await Promise.all([answered, this.#attach(call.id, sound)])
      await sound.speaking
    } catch (error) {
      this.#stopSound(null)
      this.#outside.onFault(faultOf(error))
      await this.#quietly(() => this.#outside.engine.hangUp(call.id))
    } finally {
      this.starting = null
    }
  }

  async decline(): Promise<void> {
    const call = this.current
    if (call !== null) await this.#try(() => this.#outside.engine.declineCall(call.id))
  }

  async hangUp(): Promise<void> {
    const call = this.current
    if (call === null) return
    // Silence at once, whatever the network says.
    this.#stopSound(call.id)
    await this.#try(() => this.#outside.engine.hangUp(call.id))
  }

  /** While the call goes by voice notes, what is said from now on is one; and to its end. */
  async speak(speaking: boolean): Promise<void> {
    const call = this.current
    if (call?.notes == null || (speaking && (this.held || !call.notes.on))) return
    await this.#try(() => this.#outside.engine.speak(call.id, speaking))
  }

  /** While the button decides who is heard, there is nothing to mute. */
  get mayMute(): boolean {
    return !this.held && this.current?.notes?.on !== true
  }

  async toggleMute(): Promise<void> {
    const call = this.current
    if (call === null || !this.mayMute) return
    await this.#silence(call, !call.muted)
  }

  /** The mute of before comes back with the call. */
  async toggleHold(): Promise<void> {
    const call = this.current
    if (call === null || this.sound === null) return
    this.held = !this.held
    if (this.held) {
      this.#mutedBefore = call.muted
      void this.speak(false)
    }
    this.sound.setPeerHeard(!this.held)
    await this.#silence(call, this.held || this.#mutedBefore)
  }

  /** The engine stops sending as well: a page that hangs must not speak. */
  async #silence(call: CallView, muted: boolean): Promise<void> {
    this.speaksMuted = false
    this.sound?.setMuted(muted || call.notes?.on === true)
    this.current = { ...call, muted }
    await this.#try(() => this.#outside.engine.mute(call.id, muted))
  }

  async setDevices(devices: { input?: string | null; output?: string | null }): Promise<void> {
    const { preferences } = this.#outside
    await this.#try(async () => {
      if (devices.input !== undefined) {
        await this.sound?.setInput(devices.input)
        preferences.change({ inputDeviceId: devices.input })
      }
      if (devices.output !== undefined) {
        await this.sound?.setOutput(devices.output)
        preferences.change({ outputDeviceId: devices.output })
      }
    })
  }

  dismiss(): void {
    if (this.current?.phase !== "ended") return
    this.#forget()
    this.current = null
    this.trouble = null
  }

  async loadHistory(): Promise<void> {
    await this.#try(async () => {
      this.history = await this.#outside.engine.callHistory()
    })
  }

  async #openSound(): Promise<RunningSound> {
    const { inputDeviceId, outputDeviceId } = this.#outside.preferences.values
    this.trouble = null
    const sound = await this.#outside.openSound({ input: inputDeviceId, output: outputDeviceId }, (news) => {
      if (news.kind === "muted_speaking") this.speaksMuted = news.speaking && !this.held
      else this.trouble = news.kind === "running" ? null : news
    })
    this.sound = sound
    return sound
  }

  async #attach(call: CallId, sound: RunningSound): Promise<void> {
    this.#ownCall = call
    if (this.sound !== sound || (this.current?.id === call && this.current.phase === "ended")) {
      this.#stopSound(call)
      return
    }
    await this.#outside.engine.attachAudio(call, sound.capture, sound.playout)
    // With the microphone granted, the browser shows its addresses instead of names that resolve in one network alone.
    await sound.speaking
    if (this.sound !== sound) return
    const { openDirect, preferences } = this.#outside
    await this.#outside.engine.attachDirect(call, preferences.values.hideAddress ? "hidden" : (openDirect?.() ?? "unable"))
  }

  /** In the call that goes on too: it leaves the direct way, for good. */
  async #hideAddress(): Promise<void> {
    const call = this.#ownCall
    if (call !== null) await this.#quietly(() => this.#outside.engine.attachDirect(call, "hidden"))
  }

  /** Ends the sound of `call`, or any that has no call. */
  #stopSound(call: CallId | null): void {
    if (call !== null && this.#ownCall !== null && this.#ownCall !== call) return
    this.sound?.stop()
    this.sound = null
    this.held = this.speaksMuted = false
    this.#ownCall = null
  }

  async #try(work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#outside.onFault(faultOf(error))
    }
  }

  async #quietly(work: () => Promise<unknown>): Promise<void> {
    await work().catch(() => undefined)
  }
}
