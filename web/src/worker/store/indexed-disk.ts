// The disk of the browser: one IndexedDB database, one transaction for each write, strict durability.
import { type Change, type Disk, Fenced, type Key, MESSAGE_TABLE, StorageFull } from "./disk.js"
import { TABLES, type Table } from "./rows.js"

const VERSION = 1
const FENCE_STORE = "fence"
const KEY_STORE = "key"
const BY_ID = "by_id"

/** What IndexedDB holds under a key: ciphertext, and for messages the name by which they are found. */
interface Stored {
  readonly v: Uint8Array
  readonly i?: string
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(storageError(request.error))
  })
}

function open(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, VERSION)
    request.onupgradeneeded = () => {
      for (const table of TABLES) {
        const store = request.result.createObjectStore(table)
        if (table === MESSAGE_TABLE) store.createIndex(BY_ID, "i")
      }
      request.result.createObjectStore(FENCE_STORE)
      request.result.createObjectStore(KEY_STORE)
    }
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(storageError(request.error))
  })
}

/** A full disk shows as one or the other, depending on which write met it first. */
const NO_ROOM: ReadonlySet<string> = new Set(["QuotaExceededError", "UnknownError", "AbortError", "InvalidStateError"])

const storageError = (error: DOMException | null): Error =>
  error === null || NO_ROOM.has(error.name)
    ? new StorageFull("the browser cannot store any more", { cause: error })
    : new Error(`the browser's storage failed: ${error.name}`, { cause: error })

export class IndexedDisk implements Disk {
  private opened: Promise<IDBDatabase> | undefined
  private isClosed = false

  private constructor(private readonly name: string) {}

  static async open(name: string): Promise<IndexedDisk> {
    const disk = new IndexedDisk(name)
    await disk.db()
    return disk
  }

  /** The database, opened again after the browser closed it, as it does when its disk was full. */
  private db(): Promise<IDBDatabase> {
    if (this.isClosed) throw new Fenced("the storage was closed")
    this.opened ??= open(this.name).then(
      (db) => {
        db.onclose = () => (this.opened = undefined)
        // Another tab erases everything or brings a newer version: do not stand in its way.
        db.onversionchange = () => this.close()
        return db
      },
      (error: unknown) => {
        this.opened = undefined
        throw error
      },
    )
    return this.opened
  }

  private async transaction(tables: string | readonly string[], mode: IDBTransactionMode): Promise<IDBTransaction> {
    const options = { durability: "strict" } as const
    try {
      return (await this.db()).transaction(tables as string | string[], mode, options)
    } catch (error) {
      if (!(error instanceof DOMException)) throw error
      this.opened = undefined // closed under us: once more with a new one
      try {
        return (await this.db()).transaction(tables as string | string[], mode, options)
      } catch (again) {
        throw again instanceof DOMException ? storageError(again) : again
      }
    }
  }

  /** The key that seals the rows. It was made here and cannot be taken out; only used. */
  async key(): Promise<CryptoKey> {
    const known = (await done((await this.transaction(KEY_STORE, "readonly")).objectStore(KEY_STORE).get("rows"))) as CryptoKey | undefined
    if (known !== undefined) return known
    const fresh = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"])
    const transaction = await this.transaction(KEY_STORE, "readwrite")
    const store = transaction.objectStore(KEY_STORE)
    // Another tab may have made one meanwhile: the first stays.
    const first = (await done(store.get("rows"))) as CryptoKey | undefined
    if (first === undefined) store.put(fresh, "rows")
    await finished(transaction)
    return first ?? fresh
  }

  async takeOver(): Promise<number> {
    const transaction = await this.transaction(FENCE_STORE, "readwrite")
    const store = transaction.objectStore(FENCE_STORE)
    const next = Number((await done(store.get("fence"))) ?? 0) + 1
    store.put(next, "fence")
    await finished(transaction)
    return next
  }

  async write(changes: readonly Change[], fence: number): Promise<void> {
    const tables = [...new Set(changes.map((change) => change.table))]
    const transaction = await this.transaction([FENCE_STORE, ...tables], "readwrite")
    const held = finished(transaction)
    held.catch(() => undefined)
    // Nothing is awaited between the first request and the last: the transaction would close by itself.
    const check = transaction.objectStore(FENCE_STORE).get("fence")
    let fenced = false
    check.onsuccess = () => {
      if (check.result === fence) return put(transaction, changes)
      fenced = true
      transaction.abort()
    }
    try {
      await held
    } catch (error) {
      throw fenced ? new Fenced("another tab has taken over") : error
    }
  }

  async all(table: Table): Promise<readonly (readonly [Key, Uint8Array])[]> {
    const store = (await this.transaction(table, "readonly")).objectStore(table)
    const [keys, values] = await Promise.all([done(store.getAllKeys()), done(store.getAll()) as Promise<Stored[]>])
    return values.map((value, i) => [keys[i] as Key, value.v] as const)
  }

  async get(table: Table, key: Key): Promise<Uint8Array | undefined> {
    const stored = (await done((await this.transaction(table, "readonly")).objectStore(table).get(key as IDBValidKey))) as Stored | undefined
    return stored?.v
  }

  async find(index: string): Promise<readonly [Key, Uint8Array] | undefined> {
    const byId = (await this.transaction(MESSAGE_TABLE, "readonly")).objectStore(MESSAGE_TABLE).index(BY_ID)
    const [key, stored] = await Promise.all([done(byId.getKey(index)), done(byId.get(index)) as Promise<Stored | undefined>])
    return key === undefined || stored === undefined ? undefined : [key as unknown as Key, stored.v]
  }

  async page(conversation: number, from: number, to: number, limit: number): Promise<readonly Uint8Array[]> {
    const transaction = await this.transaction(MESSAGE_TABLE, "readonly")
    return new Promise((resolve, reject) => {
      const range = IDBKeyRange.bound([conversation, from], [conversation, to], false, true)
      const request = transaction.objectStore(MESSAGE_TABLE).openCursor(range, "prev")
      const found: Uint8Array[] = []
      request.onerror = () => reject(storageError(request.error))
      request.onsuccess = () => {
        const cursor = request.result
        if (cursor === null || found.length >= limit) return resolve(found)
        found.push((cursor.value as Stored).v)
        cursor.continue()
      }
    })
  }

  async erase(): Promise<void> {
    this.close()
    await new Promise<void>((resolve, reject) => {
      const request = indexedDB.deleteDatabase(this.name)
      request.onsuccess = () => resolve()
      request.onerror = () => reject(storageError(request.error))
    })
  }

  close(): void {
    this.isClosed = true
    void this.opened?.then((db) => db.close()).catch(() => undefined)
  }
}

function put(transaction: IDBTransaction, changes: readonly Change[]): void {
  for (const { table, key, sealed, index } of changes) {
    const store = transaction.objectStore(table)
    if (sealed === null) store.delete(key as IDBValidKey)
    else store.put(index === undefined ? { v: sealed } : { v: sealed, i: index }, key as IDBValidKey)
  }
}

function finished(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve()
    transaction.onabort = () => reject(storageError(transaction.error))
    transaction.onerror = () => undefined // onabort follows
  })
}
