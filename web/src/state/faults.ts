/** Whatever was thrown, as a `Fault` that can be shown. */

import type { Fault } from "../worker/api.js"

/** A `Fault` that can be thrown: what the engine refused, with what to do next. */
export class EngineFault extends Error implements Fault {
  readonly code: string
  readonly what: string
  readonly next: string

  constructor(fault: Fault) {
    super(fault.what)
    this.name = "EngineFault"
    this.code = fault.code
    this.what = fault.what
    this.next = fault.next
  }
}

function isFault(value: unknown): value is Fault {
  if (typeof value !== "object" || value === null) return false
  const { code, what, next } = value as Record<string, unknown>
  return typeof code === "string" && typeof what === "string" && typeof next === "string"
}

/** Engine and audio errors keep their words; anything else becomes `code: "internal"`, whose words the page chooses. */
export function faultOf(thrown: unknown): Fault {
  if (isFault(thrown)) return { code: thrown.code, what: thrown.what, next: thrown.next }
  return { code: "internal", what: "", next: "" }
}
