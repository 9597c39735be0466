// A disk in memory with the same promises, for tests; `failNext` makes a write fail, before or after it took effect.
import { type Change, type Disk, Fenced, type Key } from "./disk.js"
import type { Table } from "./rows.js"

interface Kept {
  readonly table: Table
  readonly key: Key
  readonly sealed: Uint8Array
  readonly index: string | undefined
}

const nameOf = (table: Table, key: Key): string => JSON.stringify([table, key])

export class MemoryDisk implements Disk {
  private rows = new Map<string, Kept>()
  private fence = 0
  failNext: Error | undefined
  writes = 0

  async takeOver(): Promise<number> {
    return ++this.fence
  }

  async write(changes: readonly Change[], fence: number): Promise<void> {
    if (fence !== this.fence) throw new Fenced("another tab has taken over")
    if (this.failNext !== undefined) {
      const failure = this.failNext
      this.failNext = undefined
      throw failure
    }
    this.writes++
    for (const { table, key, sealed, index } of changes) {
      if (sealed === null) this.rows.delete(nameOf(table, key))
      else this.rows.set(nameOf(table, key), { table, key, sealed, index })
    }
  }

  async all(table: Table): Promise<readonly (readonly [Key, Uint8Array])[]> {
    return [...this.rows.values()].filter((row) => row.table === table).map((row) => [row.key, row.sealed] as const)
  }

  async get(table: Table, key: Key): Promise<Uint8Array | undefined> {
    return this.rows.get(nameOf(table, key))?.sealed
  }

  async find(index: string): Promise<readonly [Key, Uint8Array] | undefined> {
    const row = [...this.rows.values()].find((kept) => kept.table === "message" && kept.index === index)
    return row && [row.key, row.sealed]
  }

  async page(conversation: number, from: number, to: number, limit: number): Promise<readonly Uint8Array[]> {
    return [...this.rows.values()]
      .flatMap(({ table, key, sealed }) => (table === "message" && typeof key === "object" ? [{ key, sealed }] : []))
      .filter(({ key }) => key[0] === conversation && key[1] >= from && key[1] < to)
      .sort((a, b) => b.key[1] - a.key[1])
      .slice(0, limit)
      .map(({ sealed }) => sealed)
  }

  async erase(): Promise<void> {
    this.rows.clear()
  }

  close(): void {
    this.fence++
  }

  /** Everything at rest, for the test that looks for plaintext. */
  dump(): readonly Uint8Array[] {
    return [...this.rows.values()].map((row) => row.sealed)
  }
}
