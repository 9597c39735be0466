// The vectors that Python and TypeScript both must pass. A file that no test reads is a failure.
import assert from "node:assert/strict"
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { toHex } from "../../src/core/bytes.js"

/** The repository: this file runs as web/build/test/core/vectors.js. */
export const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..", "..")

export interface Case {
  readonly name: string
  readonly expect: string
  readonly [field: string]: unknown
}

/** JSON whose integers beyond 2^53 become bigints instead of other numbers. */
export function parseExact(text: string): unknown {
  const marked = text.replace(/(?<=[[:,]\s*)-?\d{16,}(?=\s*[,\]}\n])/g, (digits) => `"bigint ${digits}"`)
  return JSON.parse(marked, (_, value: unknown) => {
    const digits = typeof value === "string" ? /^bigint (-?\d+)$/.exec(value)?.[1] : undefined
    if (digits === undefined) return value
    return Number.isSafeInteger(Number(digits)) ? Number(digits) : BigInt(digits)
  })
}

/** A file of `vectors/<folder>`, of which `files` are all. */
export function load(folder: string, file: string, files: readonly string[]): Record<string, unknown> {
  const path = join(root, "vectors", folder)
  assert.deepEqual(readdirSync(path).sort(), [...files].sort(), `vectors/${folder} holds what no test reads`)
  return parseExact(readFileSync(join(path, file), "utf8")) as Record<string, unknown>
}

/** The cases of a file, none of them twice, at least half of them to be refused. */
export function cases(document: Record<string, unknown>): readonly Case[] {
  const found = document["cases"] as readonly Case[]
  assert.equal(new Set(found.map(({ name }) => name)).size, found.length, "a name twice")
  assert.ok(found.filter(({ expect }) => expect !== "ok").length * 2 >= found.length, "half are to be refused")
  return found
}

/** `tokenHash` as the vectors write it: `token_hash`. */
export const snake = (name: string): string => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** The form that the vectors have: bytes in hexadecimal, names with underscores, maps as objects. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return toHex(value)
  if (Array.isArray(value)) return value.map(plain)
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, item]) => [key, plain(item)]))
  if (typeof value !== "object" || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [snake(name), plain(item)]))
}
