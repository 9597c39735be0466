// The device's local state: rows sealed at rest, each logical change one transaction.
//
// One writer at a time: whoever is inside `transaction` has the newest state. Everything is sealed before the disk's
// own transaction begins, since that would not wait for WebCrypto.
import { utf8 } from "../../core/utf8.js"
import { fromBytes } from "../buffers.js"
import { Mutex } from "../sync.js"
import { type Change, type Disk, type Key, MESSAGE_TABLE } from "./disk.js"
import { decodeRow, encodeRow, RowError } from "./row-codec.js"
import { ON_DISK_ONLY, type MessageRow, type Rows, TABLES, type Table } from "./rows.js"

const NONCE_BYTES = 12
const nameOf = (table: Table, key: Key): string => JSON.stringify([table, key])

export interface Committed {
  readonly table: Table
  readonly key: Key
  readonly row: Rows[Table] | null
}

/** Reads what the transaction has changed so far, then what is stored. */
export class Transaction {
  readonly changed = new Map<string, { table: Table; key: Key; row: Rows[Table] | null }>()
  /** Called once the transaction is on disk. */
  readonly after: (() => void)[] = []

  constructor(private readonly store: Store) {}

  get<T extends Table>(table: T, key: Key): Rows[T] | undefined {
    const change = this.changed.get(nameOf(table, key))
    if (change !== undefined) return (change.row ?? undefined) as Rows[T] | undefined
    return this.store.get(table, key)
  }

  /** All rows of a table that is kept in memory, by key. */
  entries<T extends Table>(table: T): [Key, Rows[T]][] {
    const kept = new Map(this.store.entries(table).map(([key, row]) => [nameOf(table, key), [key, row] as [Key, Rows[T]]]))
    for (const [name, change] of this.changed) {
      if (change.table !== table) continue
      if (change.row === null) kept.delete(name)
      else kept.set(name, [change.key, change.row as Rows[T]])
    }
    return [...kept.values()]
  }

  put<T extends Table>(table: T, key: Key, row: Rows[T]): void {
    this.changed.set(nameOf(table, key), { table, key, row })
  }

  /** Replaces fields of a row that is there. */
  patch<T extends Table>(table: T, key: Key, fields: Partial<Rows[T]>): void {
    const row = this.get(table, key)
    if (row !== undefined) this.put(table, key, { ...row, ...fields })
  }

  drop(table: Table, key: Key): void {
    this.changed.set(nameOf(table, key), { table, key, row: null })
  }

  /** A key above all numeric ones of this table. */
  nextKey(table: Table): number {
    return this.entries(table).reduce((highest, [key]) => Math.max(highest, typeof key === "number" ? key : 0), 0) + 1
  }

  async message(id: string): Promise<MessageRow | undefined> {
    for (const { table, row } of this.changed.values()) {
      if (table === MESSAGE_TABLE && (row as MessageRow | null)?.id === id) return row as MessageRow
    }
    const stored = await this.store.message(id)
    const change = stored && this.changed.get(nameOf(MESSAGE_TABLE, [stored.conversation, stored.order]))
    return change === undefined ? stored : ((change.row ?? undefined) as MessageRow | undefined)
  }

  putMessage(row: MessageRow): void {
    this.put("message", [row.conversation, row.order], row)
  }
}

export class Store {
  private readonly writing = new Mutex()
  /** Told after each transaction, once what it changed can be read. */
  onCommitted: (changes: readonly Committed[]) => void = () => undefined
  private readonly memory = new Map<Table, Map<string, [Key, Rows[Table]]>>()

  private constructor(
    private readonly disk: Disk,
    private readonly key: CryptoKey,
    private readonly fence: number,
  ) {}

  /** Takes over the disk: whoever wrote to it before cannot any more. */
  static async open(disk: Disk, key: CryptoKey): Promise<Store> {
    const store = new Store(disk, key, await disk.takeOver())
    for (const table of TABLES) {
      if (ON_DISK_ONLY.has(table)) continue
      const rows = new Map<string, [Key, Rows[Table]]>()
      for (const [rowKey, sealed] of await disk.all(table)) {
        rows.set(nameOf(table, rowKey), [rowKey, (await store.unseal(table, rowKey, sealed)) as Rows[Table]])
      }
      store.memory.set(table, rows)
    }
    return store
  }

  /**
   * Runs `work` alone and keeps what it changed, all or nothing. Not re-entrant, and no network inside.
   *
   * Throws what `work` throws, `StorageFull` and `Fenced`; then nothing has changed.
   */
  transaction<R>(work: (tx: Transaction) => Promise<R> | R): Promise<R> {
    return this.writing.run(async () => {
      const tx = new Transaction(this)
      const result = await work(tx)
      if (tx.changed.size > 0) await this.commit(tx)
      tx.after.forEach((call) => call())
      if (tx.changed.size > 0) this.onCommitted([...tx.changed.values()])
      return result
    })
  }

  get<T extends Table>(table: T, key: Key): Rows[T] | undefined {
    return this.memory.get(table)?.get(nameOf(table, key))?.[1] as Rows[T] | undefined
  }

  entries<T extends Table>(table: T): [Key, Rows[T]][] {
    return [...(this.memory.get(table)?.values() ?? [])] as [Key, Rows[T]][]
  }

  rows<T extends Table>(table: T): Rows[T][] {
    return this.entries(table).map(([, row]) => row)
  }

  async message(id: string): Promise<MessageRow | undefined> {
    const found = await this.disk.find(id)
    return found && ((await this.unseal(MESSAGE_TABLE, found[0], found[1])) as MessageRow)
  }

  /** Newest first, with `from <= order < to`. */
  async page(conversation: number, from: number, to: number, limit: number): Promise<MessageRow[]> {
    const sealed = await this.disk.page(conversation, from, to, limit)
    return Promise.all(sealed.map(async (bytes) => (await this.unsealMessage(conversation, bytes)) as MessageRow))
  }

  /** Keys of a table on disk, and one of its rows. */
  async keysOnDisk(table: Table): Promise<Key[]> {
    return (await this.disk.all(table)).map(([key]) => key)
  }

  async read<T extends Table>(table: T, key: Key): Promise<Rows[T] | undefined> {
    const sealed = await this.disk.get(table, key)
    return sealed && ((await this.unseal(table, key, sealed)) as Rows[T])
  }

  erase(): Promise<void> {
    return this.writing.run(() => this.disk.erase())
  }

  close(): void {
    this.disk.close()
  }

  private async commit(tx: Transaction): Promise<void> {
    const changes = await Promise.all(
      [...tx.changed.values()].map(async ({ table, key, row }): Promise<Change> => {
        if (row === null) return { table, key, sealed: null }
        const sealed = await this.seal(table, key, row)
        return table === MESSAGE_TABLE ? { table, key, sealed, index: (row as MessageRow).id } : { table, key, sealed }
      }),
    )
    await this.disk.write(changes, this.fence)
    for (const [name, { table, key, row }] of tx.changed) {
      if (ON_DISK_ONLY.has(table)) continue
      if (row === null) this.memory.get(table)?.delete(name)
      else this.memory.get(table)?.set(name, [key, row])
    }
  }

  /** The key of a message is not bound: a page is read without keys. Its conversation is. */
  private context(table: Table, key: Key): Uint8Array {
    return utf8(table === MESSAGE_TABLE && typeof key === "object" ? nameOf(table, key[0]) : nameOf(table, key))
  }

  private async seal(table: Table, key: Key, row: Rows[Table]): Promise<Uint8Array> {
    const nonce = crypto.getRandomValues(new Uint8Array(NONCE_BYTES))
    const parameters = { name: "AES-GCM", iv: nonce, additionalData: fromBytes(this.context(table, key)) }
    const sealed = new Uint8Array(await crypto.subtle.encrypt(parameters, this.key, fromBytes(encodeRow(row))))
    const whole = new Uint8Array(NONCE_BYTES + sealed.length)
    whole.set(nonce)
    whole.set(sealed, NONCE_BYTES)
    return whole
  }

  private unsealMessage(conversation: number, sealed: Uint8Array): Promise<unknown> {
    return this.unseal(MESSAGE_TABLE, [conversation, 0], sealed)
  }

  private async unseal(table: Table, key: Key, sealed: Uint8Array): Promise<unknown> {
    const parameters = {
      name: "AES-GCM",
      iv: fromBytes(sealed.subarray(0, NONCE_BYTES)),
      additionalData: fromBytes(this.context(table, key)),
    }
    try {
      const opened = await crypto.subtle.decrypt(parameters, this.key, fromBytes(sealed.subarray(NONCE_BYTES)))
      return decodeRow(new Uint8Array(opened))
    } catch (error) {
      if (error instanceof RowError) throw error
      throw new RowError(`a row of ${table} does not open`, { cause: error })
    }
  }
}
