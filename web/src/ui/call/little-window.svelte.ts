/** The call in a small window above all others (Document Picture-in-Picture), where the browser has one. */

import { mount, unmount } from "svelte"
import type { Session } from "../../state/session.svelte.js"
import LittleCall from "./LittleCall.svelte"

interface PictureInPicture {
  requestWindow(options: { width: number; height: number }): Promise<Window>
}

const pictureInPicture = (globalThis as { documentPictureInPicture?: PictureInPicture }).documentPictureInPicture

export const hasLittleWindow = pictureInPicture !== undefined

const SIZE = { width: 300, height: 240 }

export class LittleWindow {
  isOpen = $state(false)

  /** Call it from a click. The window goes when it is closed, or the call is over. */
  async open(session: Session): Promise<void> {
    const found = await pictureInPicture?.requestWindow(SIZE).catch(() => undefined)
    if (found === undefined) return
    const [from, to] = [document.documentElement, found.document.documentElement]
    for (const sheet of document.querySelectorAll<HTMLStyleElement | HTMLLinkElement>('style, link[rel="stylesheet"]')) {
      const copy = sheet.cloneNode(true) as typeof sheet
      if (copy instanceof HTMLLinkElement) copy.href = new URL(copy.href, document.baseURI).href
      found.document.head.append(copy)
    }
    for (const name of ["lang", "dir", "data-theme", "data-motion"]) {
      const value = from.getAttribute(name)
      if (value !== null) to.setAttribute(name, value)
    }
    to.style.fontSize = from.style.fontSize
    found.document.title = document.title
    const shown = mount(LittleCall, { target: found.document.body, props: { session, onover: () => found.close() } })
    found.addEventListener("pagehide", () => {
      this.isOpen = false
      void unmount(shown)
    }, { once: true })
    this.isOpen = true
  }
}
