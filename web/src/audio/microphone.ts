/** The microphone of a call: asked for, changed, and replaced when it is unplugged. */

import { AudioError, Denied, MicrophoneBusy, NoMicrophone, Unsupported } from "./errors.js"

function named(error: unknown): string {
  return error instanceof Error || error instanceof DOMException ? error.name : ""
}

/** What `getUserMedia` threw, as one of ours. */
export function explain(error: unknown): AudioError {
  const cause = { cause: error }
  switch (named(error)) {
    case "NotAllowedError":
    case "SecurityError":
      return new Denied(cause)
    case "NotFoundError":
    case "OverconstrainedError":
      return new NoMicrophone(cause)
    case "NotReadableError":
    case "AbortError":
      return new MicrophoneBusy(cause)
    default:
      return new Unsupported(`the microphone failed (${String(error)})`, cause)
  }
}

function constraints(deviceId: string | null, processing: boolean): MediaStreamConstraints {
  const audio: MediaTrackConstraints = {
    echoCancellation: processing,
    noiseSuppression: processing,
    autoGainControl: processing,
    channelCount: { ideal: 1 },
  }
  if (deviceId !== null) audio.deviceId = { exact: deviceId }
  return { audio, video: false }
}

/**
 * Opens the microphone, the default one when `deviceId` is null or gone. Throws an `AudioError`.
 *
 * `processing`: the browser's echo cancellation, noise suppression and gain.
 */
export async function openMicrophone(deviceId: string | null, processing: boolean): Promise<MediaStream> {
  const devices = navigator.mediaDevices as MediaDevices | undefined
  if (devices?.getUserMedia === undefined) throw new Unsupported("it offers no microphone to this page")
  try {
    return await devices.getUserMedia(constraints(deviceId, processing))
  } catch (error) {
    const gone = deviceId !== null && ["NotFoundError", "OverconstrainedError"].includes(named(error))
    if (!gone) throw explain(error)
  }
  return openMicrophone(null, processing)
}

/** Ends the recording, so that the browser's sign for it goes out. */
export function closeMicrophone(stream: MediaStream): void {
  for (const track of stream.getTracks()) {
    track.onended = null
    track.stop()
  }
}
