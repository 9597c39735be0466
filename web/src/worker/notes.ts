// Voice notes as messages: which are refused, and what one sounds like.
import { MalformedNote } from "../core/audio/errors.js"
import { noteSlots } from "../core/audio/note.js"
import { SLOT_MS } from "../core/audio/profiles.js"
import type * as mimi from "../core/e2ee/content/index.js"

/** Whether a voice note in a message can be none: it is not stored, shown or played then (CANNOT-FORGE). */
export function hasBadNote(meaning: mimi.Meaning): boolean {
  if (meaning.kind === "several") return meaning.items.some(hasBadNote)
  if (meaning.kind !== "note" || meaning.note.packets.length === 0) return false
  try {
    noteSlots(meaning.note.packets)
    return false
  } catch (error) {
    if (error instanceof MalformedNote) return true
    throw error
  }
}

/** As it is quoted, and shown in the list of conversations. */
export const noteWords = ({ seconds }: { readonly seconds: number }): string => `Voice note, ${seconds} s`

/** How long a checked note is, rounded to whole seconds. */
export const noteSeconds = ({ packets }: mimi.Note): number => Math.round((noteSlots(packets) * SLOT_MS) / 1000)
