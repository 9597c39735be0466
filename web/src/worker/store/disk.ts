// The port behind which ciphertext rests: IndexedDB in the browser, memory in tests.
import type { Table } from "./rows.js"

export type Key = number | string | readonly [number, number]

export interface Change {
  readonly table: Table
  readonly key: Key
  /** Null deletes. */
  readonly sealed: Uint8Array | null
  /** Messages are also found by this. */
  readonly index?: string
}

/** Another tab has taken over: nothing was written, and nothing may be written from here any more. */
export class Fenced extends Error {
  override name = "Fenced"
}

/** The browser gives no more room. Nothing was written; what was there is there. */
export class StorageFull extends Error {
  override name = "StorageFull"
}

/**
 * Durability: when `write` has returned, all of `changes` survive a crash; when it threw, none of them happened.
 * Fencing: only the newest caller of `takeOver` can write.
 */
export interface Disk {
  /** The number to show with each write from now on. */
  takeOver(): Promise<number>
  write(changes: readonly Change[], fence: number): Promise<void>
  all(table: Table): Promise<readonly (readonly [Key, Uint8Array])[]>
  get(table: Table, key: Key): Promise<Uint8Array | undefined>
  /** A message by its index. */
  find(index: string): Promise<readonly [Key, Uint8Array] | undefined>
  /** Messages of a conversation with `from <= order < to`, newest first. */
  page(conversation: number, from: number, to: number, limit: number): Promise<readonly Uint8Array[]>
  erase(): Promise<void>
  close(): void
}

export const MESSAGE_TABLE: Table = "message"
