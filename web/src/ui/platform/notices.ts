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
  /** Stays until it is dealt with: a call. */
  readonly stays?: boolean
}

/** Shows it when the page is hidden; a click brings the page back. The returned function takes it away. */
export function notify(words: NoticeWords, onClick: () => void): () => void {
  if (!document.hidden || typeof Notification === "undefined" || Notification.permission !== "granted") return () => undefined
  try {
    const notice = new Notification(words.title, {
      body: words.body, tag: words.tag, icon: "icon.svg", requireInteraction: words.stays ?? false,
    })
    notice.onclick = () => {
      window.focus()
      onClick()
      notice.close()
    }
    return () => notice.close()
  } catch {
    // Some phones allow notifications from service workers alone.
    return () => undefined
  }
}
