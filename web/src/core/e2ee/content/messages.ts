// What people and devices say, as MIMI content: text, replies, reactions, edits, files, calls, receipts.
import { decodeUtf8, encodeUtf8 } from "../../utf8.js"
import { CALL_MEDIA_TYPE, type CallBody, decodeCall, encodeCall } from "./calls.js"
import { ContentError, Reason } from "./errors.js"
import { REACTION_BYTES_MAX } from "./limits.js"
import {
  Disposition,
  type Expiration,
  type ExternalPart,
  type MessageId,
  type MimiContent,
  type NestedPart,
  type Salt,
  Semantics,
  type SinglePart,
} from "./model.js"
import { decodeNote, encodeNote, NOTE_MEDIA_TYPE, type Note } from "./notes.js"
import { decodeStatus, encodeStatus, type Mark, STATUS_MEDIA_TYPE } from "./status.js"

export const PLAIN_MEDIA_TYPE = "text/plain;charset=utf-8"
export const MARKDOWN_MEDIA_TYPE = "text/markdown;variant=GFM-MIMI"

export type Meaning =
  /** Words to show. */
  | { readonly kind: "text"; readonly text: string; readonly markdown: boolean }
  /** A short sign about the message that `inReplyTo` names. */
  | { readonly kind: "reaction"; readonly text: string }
  /** The message that `replaces` names is withdrawn (also: a reaction is taken back). */
  | { readonly kind: "deletion" }
  /** A file that lies elsewhere; see `openFile`. */
  | { readonly kind: "attachment"; readonly part: ExternalPart }
  | { readonly kind: "call"; readonly body: CallBody }
  /** What was said in a call that could not carry it as speech. */
  | { readonly kind: "note"; readonly note: Note }
  | { readonly kind: "status"; readonly marks: readonly Mark[] }
  /** More than one thing in one message, such as a file with a caption. */
  | { readonly kind: "several"; readonly items: readonly Meaning[] }
  /** Nothing this software can show. The person is told that there was a message. */
  | { readonly kind: "unknown"; readonly contentType: string }

const bare = (salt: Salt, body: NestedPart): MimiContent => ({
  salt,
  replaces: null,
  topicId: new Uint8Array(0),
  expires: null,
  inReplyTo: null,
  extensions: new Map(),
  body,
})

const single = (contentType: string, content: Uint8Array, disposition: number): SinglePart => ({
  part: "single",
  disposition,
  language: "",
  contentType,
  content,
})

function words(text: string, contentType = PLAIN_MEDIA_TYPE, disposition: number = Disposition.RENDER): SinglePart {
  const content = encodeUtf8(text)
  if (content === undefined) throw new ContentError(Reason.BAD_UTF8, "a text with a lone surrogate")
  return single(contentType, content, disposition)
}

/** What a message may say besides its words. */
export interface TextOptions {
  readonly markdown?: boolean
  readonly inReplyTo?: MessageId
  readonly replaces?: MessageId
  readonly topicId?: Uint8Array
  readonly expires?: Expiration
}

/**
 * A message; a reply with `inReplyTo`; an edit with `replaces` (the id of the first version). Like all that take words
 * it throws ContentError `bad_utf8` for a lone surrogate.
 */
export function textMessage(salt: Salt, text: string, { markdown = false, ...about }: TextOptions = {}): MimiContent {
  return { ...bare(salt, words(text, markdown ? MARKDOWN_MEDIA_TYPE : PLAIN_MEDIA_TYPE)), ...about }
}

/** One reaction, usually one emoji. */
export function reactionMessage(salt: Salt, text: string, to: MessageId): MimiContent {
  return { ...bare(salt, words(text, PLAIN_MEDIA_TYPE, Disposition.REACTION)), inReplyTo: to }
}

/** Withdraws a message (its first version), or, with `reactionTo`, the reaction `target` to that message. */
export function deleteMessage(salt: Salt, target: MessageId, { reactionTo }: { reactionTo?: MessageId } = {}): MimiContent {
  const disposition = reactionTo === undefined ? Disposition.RENDER : Disposition.REACTION
  return { ...bare(salt, { part: "null", disposition, language: "" }), replaces: target, inReplyTo: reactionTo ?? null }
}

/** A file, with a caption if there is one. */
export function attachmentMessage(
  salt: Salt,
  part: ExternalPart,
  { caption = "", inReplyTo }: { caption?: string; inReplyTo?: MessageId } = {},
): MimiContent {
  const parts = [words(caption), part]
  const both: NestedPart = { part: "multi", disposition: Disposition.RENDER, language: "", semantics: Semantics.PROCESS_ALL, parts }
  return { ...bare(salt, caption === "" ? part : both), inReplyTo: inReplyTo ?? null }
}

/** A call event. Throws ContentError: see `encodeCall`. */
export const callMessage = (salt: Salt, body: CallBody): MimiContent =>
  bare(salt, single(CALL_MEDIA_TYPE, encodeCall(body), Disposition.SESSION))

/** A voice note of a call. Throws ContentError: see `encodeNote`. */
export const noteMessage = (salt: Salt, note: Note): MimiContent =>
  bare(salt, single(NOTE_MEDIA_TYPE, encodeNote(note), Disposition.SESSION))

/** Delivery and read marks. Throws ContentError: see `encodeStatus`. */
export const statusMessage = (salt: Salt, marks: readonly Mark[]): MimiContent =>
  bare(salt, single(STATUS_MEDIA_TYPE, encodeStatus(marks), Disposition.UNSPECIFIED))

/**
 * What the body means; the message's own fields tell what it replies to or replaces. Throws ContentError for a body of a
 * type we know that breaks that type's rules.
 */
export const interpret = (message: MimiContent): Meaning => meaning(message.body, message)

function meaning(part: NestedPart, message: MimiContent): Meaning {
  switch (part.part) {
    case "null":
      return message.replaces === null ? { kind: "unknown", contentType: "" } : { kind: "deletion" }
    case "external":
      return { kind: "attachment", part }
    case "single":
      return singleMeaning(part)
    case "multi": {
      const items = part.parts.map((inner) => meaning(inner, message))
      const unknown: Meaning = { kind: "unknown", contentType: "" }
      if (part.semantics === Semantics.CHOOSE_ONE) return items.find((item) => item.kind !== "unknown") ?? unknown
      if (part.semantics === Semantics.SINGLE_UNIT && items.some((item) => item.kind === "unknown")) return unknown
      return { kind: "several", items }
    }
  }
}

function singleMeaning({ contentType, content, disposition }: SinglePart): Meaning {
  const mediaType = contentType.split(";")[0]?.trim().toLowerCase() ?? ""
  if (mediaType === CALL_MEDIA_TYPE) return { kind: "call", body: decodeCall(content) }
  if (mediaType === NOTE_MEDIA_TYPE) return { kind: "note", note: decodeNote(content) }
  if (mediaType === STATUS_MEDIA_TYPE) return { kind: "status", marks: decodeStatus(content) }
  if (mediaType !== "text/plain" && mediaType !== "text/markdown") return { kind: "unknown", contentType }
  const text = decodeUtf8(content)
  if (text === undefined) throw new ContentError(Reason.BAD_UTF8, "a text body")
  if (disposition !== Disposition.REACTION) return { kind: "text", text, markdown: mediaType === "text/markdown" }
  if (content.length > REACTION_BYTES_MAX) throw new ContentError(Reason.TOO_LONG, "a reaction")
  return { kind: "reaction", text }
}
