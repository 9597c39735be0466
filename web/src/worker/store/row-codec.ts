// A row as bytes: JSON for what JSON has, and the byte strings behind it.
import { concat } from "../../core/bytes.js"
import { decodeUtf8, utf8 } from "../../core/utf8.js"

/** The stored bytes are not a row; the storage was damaged. */
export class RowError extends Error {
  override name = "RowError"
}

const MARK = "\u0000bytes"

export function encodeRow(row: unknown): Uint8Array {
  const parts: Uint8Array[] = []
  const json = JSON.stringify(row, (_key, value: unknown) => {
    if (!(value instanceof Uint8Array)) return value
    parts.push(value)
    return { [MARK]: parts.length - 1 }
  })
  return concat(...[utf8(json), ...parts].flatMap((part) => [length(part), part]))
}

export function decodeRow(data: Uint8Array): unknown {
  const parts: Uint8Array[] = []
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  for (let at = 0; at < data.length; ) {
    const end = at + 4 <= data.length ? at + 4 + view.getUint32(at) : Infinity
    if (end > data.length) throw new RowError("a row that is cut off")
    parts.push(data.slice(at + 4, end))
    at = end
  }
  const json = parts[0] && decodeUtf8(parts[0])
  if (json === undefined) throw new RowError("a row without a head")
  return JSON.parse(json, (_key, value: unknown) => {
    if (typeof value !== "object" || value === null || !(MARK in value)) return value
    const part = parts[Number((value as Record<string, unknown>)[MARK]) + 1]
    if (part === undefined) throw new RowError("a row that lacks bytes")
    return part
  })
}

function length(part: Uint8Array): Uint8Array {
  const head = new Uint8Array(4)
  new DataView(head.buffer).setUint32(0, part.length)
  return head
}
