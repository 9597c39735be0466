/** Notifications of the system, for when nobody looks at the page. */

/** Asks when it must; false when the browser, or the person, says no. */
export async function notificationsAllowed(): Promise<boolean> {
  if (typeof Notification === "undefined") return false
  const answer = Notification.permission === "default" ? await Notification.requestPermission() : Notification.permission
  return answer === "granted"
}

export interface NoticeWords {
  readonly title: string
  readonly body: string
  /** A later notice with the same tag takes the place of the earlier one. */
  readonly tag: string
  /** A call: stays until it is dealt with, and comes, too, when the page is hidden only later. */
  readonly stays?: boolean
}

/** Shows it when the page is hidden; a click brings the page back. The returned function takes it away. */
export function notify(words: NoticeWords, onClick: () => void): () => void {
  if (typeof Notification === "undefined" || Notification.permission !== "granted") return () => undefined
  let takeAway: (() => void) | null = null
  const show = (): void => {
    if (document.hidden) takeAway ??= put(words, onClick)
  }
  show()
  if (words.stays) document.addEventListener("visibilitychange", show)
  return () => {
    document.removeEventListener("visibilitychange", show)
    takeAway?.()
  }
}

function put(words: NoticeWords, onClick: () => void): () => void {
  const { title, body, tag } = words
  const options = { body, tag, icon: "icon.svg", requireInteraction: words.stays ?? false }
  try {
    const notice = new Notification(title, options)
    notice.onclick = () => {
      window.focus()
      onClick()
      notice.close()
    }
    return () => notice.close()
  } catch {
    // Some phones allow notifications from service workers alone.
    return putByServiceWorker(title, options, onClick)
  }
}

/** What the service worker says when one of its notices was clicked; it has brought the page back then. */
export interface NoticeClicked {
  readonly clicked: string
}

/** What a click on a notice of the service worker does, by the notice's tag. */
const clicks = new Map<string, () => void>()
const onMessage = ({ data }: MessageEvent<NoticeClicked>): void => clicks.get(data.clicked)?.()

function putByServiceWorker(title: string, options: NotificationOptions & { readonly tag: string }, onClick: () => void): () => void {
  const workers = navigator.serviceWorker as ServiceWorkerContainer | undefined
  if (workers === undefined) return () => undefined
  const { tag } = options
  clicks.set(tag, onClick)
  workers.addEventListener("message", onMessage) // once, however often it is said
  const shown = workers.ready.then(async (registration) => {
    if (clicks.get(tag) === onClick) await registration.showNotification(title, options)
    return registration
  })
  shown.catch(() => undefined) // the permission was taken back
  return () => {
    if (clicks.get(tag) === onClick) clicks.delete(tag)
    void shown.then((registration) => registration.getNotifications({ tag }))
      .then((notices) => notices.forEach((notice) => notice.close()), () => undefined)
  }
}
