/** A voice note by itself, from the audio layer: loaded only when the first is played. */

export async function playNote(packets: readonly Uint8Array[], signal: AbortSignal): Promise<void> {
  const player = await import("../../audio/note-player.js")
  await player.playNote(packets, signal)
}
