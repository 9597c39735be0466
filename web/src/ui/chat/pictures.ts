/** Pictures that were fetched in this visit, as object URLs; the oldest are let go. */

const KEPT_MAX = 60

/** What the browser draws by itself and cannot run as a document of its own. */
const SHOWN = new Set(["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"])

/** Larger ones wait for a click. */
const UNASKED_BYTES_MAX = 8_000_000

export function isPicture(contentType: string): boolean {
  return SHOWN.has(contentType)
}

export function loadsUnasked(bytes: number): boolean {
  return bytes <= UNASKED_BYTES_MAX
}

const kept = new Map<string, Promise<string>>()

/** The picture of a message. A failed fetch is forgotten, so that the next try is a new one. */
export function pictureUrl(message: string, contentType: string, fetchFile: () => Promise<Blob>): Promise<string> {
  let found = kept.get(message)
  if (found === undefined) {
    found = fetchFile().then((blob) => URL.createObjectURL(new Blob([blob], { type: contentType })))
    found.catch(() => kept.delete(message))
    kept.set(message, found)
    for (const [old, url] of kept) {
      if (kept.size <= KEPT_MAX) break
      kept.delete(old)
      void url.then((address) => URL.revokeObjectURL(address))
    }
  }
  return found
}

/** Hands what lies at an address of this page to the browser's own saving. */
export function saveFrom(url: string, name: string): void {
  const link = document.createElement("a")
  link.href = url
  link.download = name
  link.click()
}

/** Hands a file to the browser's own saving; as bytes, so that it is never opened as a document of this page. */
export function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(new Blob([blob], { type: "application/octet-stream" }))
  saveFrom(url, name)
  setTimeout(() => URL.revokeObjectURL(url), 60_000)
}
