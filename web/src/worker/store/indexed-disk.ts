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
    request.onerror = () => reject(request.error ?? new Error("the browser's storage failed"))
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

const storageError = (error: DOMException | null): Error =>
  error?.name === "QuotaExceededError" ? new StorageFull("the browser's storage is full") : (error ?? new Error("the browser's storage failed"))

export class IndexedDisk implements Disk {
  private constructor(private readonly db: IDBDatabase) {}

  static async open(name: string): Promise<IndexedDisk> {
    const disk = new IndexedDisk(await open(name))
    // Another tab erases everything or brings a newer version: do not stand in its way.
    disk.db.onversionchange = () => disk.db.close()
    return disk
  }

  /** The key that seals the rows. It was made here and cannot be taken out; only used. */
  async key(): Promise<CryptoKey> {
    const known = (await done(this.db.transaction(KEY_STORE).objectStore(KEY_STORE).get("rows"))) as CryptoKey | undefined
    if (known !== undefined) return known
    const fresh = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"])
    const transaction = this.db.transaction(KEY_STORE, "readwrite", { durability: "strict" })
    const store = transaction.objectStore(KEY_STORE)
    // Another tab may have made one meanwhile: the first stays.
    const first = (await done(store.get("rows"))) as CryptoKey | undefined
    if (first === undefined) store.put(fresh, "rows")
    await finished(transaction)
    return first ?? fresh
  }

  async takeOver(): Promise<number> {
    const transaction = this.db.transaction(FENCE_STORE, "readwrite", { durability: "strict" })
    const store = transaction.objectStore(FENCE_STORE)
    const next = Number((await done(store.get("fence"))) ?? 0) + 1
    store.put(next, "fence")
    await finished(transaction)
    return next
  }

  async write(changes: readonly Change[], fence: number): Promise<void> {
    const tables = [...new Set(changes.map((change) => change.table))]
    let transaction: IDBTransaction
    try {
      transaction = this.db.transaction([FENCE_STORE, ...tables], "readwrite", { durability: "strict" })
    } catch (error) {
      throw new Fenced("the storage was closed", { cause: error })
    }
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
    const store = this.db.transaction(table).objectStore(table)
    const [keys, values] = await Promise.all([done(store.getAllKeys()), done(store.getAll()) as Promise<Stored[]>])
    return values.map((value, i) => [keys[i] as Key, value.v] as const)
  }

  async get(table: Table, key: Key): Promise<Uint8Array | undefined> {
    const stored = (await done(this.db.transaction(table).objectStore(table).get(key as IDBValidKey))) as Stored | undefined
    return stored?.v
  }

  async find(index: string): Promise<readonly [Key, Uint8Array] | undefined> {
    const byId = this.db.transaction(MESSAGE_TABLE).objectStore(MESSAGE_TABLE).index(BY_ID)
    const [key, stored] = await Promise.all([done(byId.getKey(index)), done(byId.get(index)) as Promise<Stored | undefined>])
    return key === undefined || stored === undefined ? undefined : [key as unknown as Key, stored.v]
  }

  page(conversation: number, from: number, to: number, limit: number): Promise<readonly Uint8Array[]> {
    return new Promise((resolve, reject) => {
      const range = IDBKeyRange.bound([conversation, from], [conversation, to], false, true)
      const request = this.db.transaction(MESSAGE_TABLE).objectStore(MESSAGE_TABLE).openCursor(range, "prev")
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
    this.db.close()
    await new Promise<void>((resolve, reject) => {
      const request = indexedDB.deleteDatabase(this.db.name)
      request.onsuccess = () => resolve()
      request.onerror = () => reject(storageError(request.error))
    })
  }

  close(): void {
    this.db.close()
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
