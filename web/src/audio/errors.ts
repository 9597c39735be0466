/** Why there is no sound, in words for people: `what` happened, and what to do `next`. */

export type AudioErrorCode = "no_microphone" | "denied" | "busy" | "unsupported"

export class AudioError extends Error {
  readonly code: AudioErrorCode
  readonly what: string
  readonly next: string

  constructor(code: AudioErrorCode, what: string, next: string, options?: ErrorOptions) {
    super(what, options)
    this.name = new.target.name
    this.code = code
    this.what = what
    this.next = next
  }
}

/** No microphone is there, or it went away and no other took its place. */
export class NoMicrophone extends AudioError {
  constructor(options?: ErrorOptions) {
    super("no_microphone", "No microphone was found.", "Connect one, then call again.", options)
  }
}

/** The person, or a policy, refused the microphone to this page. */
export class Denied extends AudioError {
  constructor(options?: ErrorOptions) {
    super(
      "denied",
      "This page may not use the microphone.",
      "Allow the microphone in the browser's settings for this page (the icon left of the address), then call again.",
      options,
    )
  }
}

/** A microphone is there, but another program holds it. */
export class MicrophoneBusy extends AudioError {
  constructor(options?: ErrorOptions) {
    super(
      "busy",
      "The microphone could not be started.",
      "Close other programs that use it, or choose another microphone.",
      options,
    )
  }
}

/** The browser lacks something that a call needs. */
export class Unsupported extends AudioError {
  constructor(missing: string, options?: ErrorOptions) {
    super(
      "unsupported",
      `This browser cannot carry calls: ${missing}.`,
      "Use a current version of Firefox, Chrome, Edge or Safari, and open the page over https.",
      options,
    )
  }
}
