// What can go wrong in the engine, and what the person is told about it.
//
//   EngineError       a plain refusal with what to do next
//   ├── Unreachable   no connection to a server now
//   └── Refused       the server refused a request and changed nothing
import { ContentError } from "../core/e2ee/content/errors.js"
import { MlsError } from "../core/e2ee/mls-errors.js"
import { ErrorCode, ProtocolError } from "../core/protocol/errors.js"
import type { Fault } from "./api.js"
import { Fenced, StorageFull } from "./store/disk.js"
import { RowError } from "./store/row-codec.js"
import { Stopped } from "./sync.js"

export class EngineError extends Error {
  override name = "EngineError"

  constructor(
    readonly code: string,
    message: string,
    readonly next = "Try again.",
  ) {
    super(message)
  }
}

export class Unreachable extends EngineError {
  override name = "Unreachable"

  constructor(message: string) {
    super("unreachable", message, "It goes on by itself once the server can be reached.")
  }
}

const TEMPORARY: ReadonlySet<string> = new Set([
  ErrorCode.RATE_LIMITED,
  ErrorCode.UNAVAILABLE,
  ErrorCode.INTERNAL,
  ErrorCode.TOO_MANY,
])

export class Refused extends EngineError {
  override name = "Refused"

  constructor(
    code: string,
    message: string,
    readonly retryAfterMs = 0,
    readonly detail = 0,
  ) {
    super(code, message, NEXT[code] ?? "Try again later.")
  }

  /** Somebody else's commit won, or the capability is retired: catch up, then try again. */
  get isConflict(): boolean {
    return this.code === ErrorCode.CONFLICT || this.code === ErrorCode.STALE
  }

  /** The same request may pass later. */
  get isTemporary(): boolean {
    return TEMPORARY.has(this.code)
  }
}

const NEXT: Readonly<Record<string, string>> = {
  handle_taken: "Choose another name.",
  not_found: "Check the spelling.",
  rate_limited: "Wait a moment, then try again.",
  too_many: "Wait a moment, then try again.",
  too_large: "Send something smaller.",
  unavailable: "Try again in a minute.",
}

/** Any failure as the page shows it. Nothing of a foreign message's text is passed on. */
export function faultOf(error: unknown): Fault {
  if (error instanceof EngineError) return { code: error.code, what: error.message, next: error.next }
  if (error instanceof StorageFull) {
    const what = "The browser's storage is full, so nothing more can be kept."
    return { code: "storage_full", what, next: "Free some space on this device or for this site, then try again." }
  }
  if (error instanceof Fenced || error instanceof Stopped) {
    return { code: "elsewhere", what: "Another tab has taken over.", next: "Try again." }
  }
  if (error instanceof RowError) {
    const what = "What this browser keeps for the site is damaged."
    return { code: "storage_damaged", what, next: "Reload the page. If it stays, clear the site's data and sign up anew." }
  }
  if (error instanceof ProtocolError) {
    return { code: error.code, what: "The server sent something that it must not send.", next: "Tell who runs the server." }
  }
  if (error instanceof MlsError || error instanceof ContentError) {
    const what = "Something that came in was damaged, repeated or forged, and was refused."
    return { code: "refused", what, next: "Nothing needs to be done. If it goes on, tell who runs the server." }
  }
  return { code: "internal", what: "Something in this page went wrong.", next: "Reload the page." }
}

/** The same as an error that crosses to the page. */
export function isFault(value: unknown): value is Fault {
  return typeof value === "object" && value !== null && "code" in value && "what" in value && "next" in value
}
