/// <reference lib="webworker" />
/**
 * The offline shell: the built files of one version, and nothing else. Whatever has an answer of its own on the server
 * (the API, blobs, the socket) is never kept and never answered from here.
 */

import type { NoticeClicked } from "./platform/notices.js"

declare const self: ServiceWorkerGlobalScope

/** All put in place by the build. */
const CACHE = "shell-__SHELL_VERSION__"
const FILES: readonly string[] = ["__SHELL_FILES__"]
/** The codec and what plays it: kept once the page says that it has all of its own. */
const CALL_FILES: readonly string[] = ["__CALL_FILES__"]

self.addEventListener("install", (event) => {
  event.waitUntil(
    caches.open(CACHE)
      .then((cache) => cache.addAll(FILES.map((file) => new Request(file, { cache: "reload" }))))
      .then(() => self.skipWaiting()),
  )
})

self.addEventListener("activate", (event) => {
  event.waitUntil(
    caches.keys()
      .then((names) => Promise.all(names.filter((name) => name.startsWith("shell-") && name !== CACHE).map((name) => caches.delete(name))))
      .then(() => self.clients.claim()),
  )
})

/** One after another, and none twice: on a slow link an answered call would wait minutes for them. */
async function keepForCalls(): Promise<void> {
  const cache = await caches.open(CACHE)
  for (const file of CALL_FILES) {
    if ((await cache.match(file)) === undefined) await cache.add(file)
  }
}

self.addEventListener("message", (event) => event.waitUntil(keepForCalls().catch(() => undefined)))

/** The network first for the page itself, so that a new version comes at once; what is slow or fails comes from here. */
async function page(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE)
  try {
    const answer = await fetch(request, { signal: AbortSignal.timeout(4000) })
    if (answer.ok) return answer
  } catch {
    // Offline, or too slow.
  }
  return (await cache.match("./")) ?? Response.error()
}

self.addEventListener("fetch", (event) => {
  const { request } = event
  const scope = self.registration.scope
  if (request.method !== "GET" || !request.url.startsWith(scope)) return
  const path = new URL(request.url).pathname.slice(new URL(scope).pathname.length)
  if (request.mode === "navigate" && path === "") {
    event.respondWith(page(request))
  } else if (FILES.includes(path) || CALL_FILES.includes(path)) {
    event.respondWith(caches.match(request, { cacheName: CACHE }).then((kept) => kept ?? fetch(request)))
  }
})

/** A notice that the page had put here (`ui/platform/notices.ts`): the page comes back, and opens what it was about. */
self.addEventListener("notificationclick", (event) => {
  const { tag } = event.notification
  event.notification.close()
  event.waitUntil((async () => {
    const [page] = await self.clients.matchAll({ type: "window", includeUncontrolled: true })
    if (page === undefined) return void (await self.clients.openWindow("./"))
    page.postMessage({ clicked: tag } satisfies NoticeClicked)
    await page.focus() // not granted everywhere, and opening what it was about does not wait for it
  })())
})

export {}
