/** Which screen the address names. Ids and handles in it are what the person sees anyway; nothing secret. */

export type Route =
  | { readonly screen: "chats" }
  | { readonly screen: "chat"; readonly id: string; readonly info: boolean }
  | { readonly screen: "calls" }
  | { readonly screen: "call" }
  | { readonly screen: "settings"; readonly section: SettingsSection }
  /** A link or a QR code to somebody. */
  | { readonly screen: "person"; readonly address: string }

export type SettingsSection = "main" | "server" | "network"

/** `@handle` or `@handle@host`; what a link or a camera brings is checked against it before anything uses it. */
const ADDRESS = /^@[a-z0-9][a-z0-9._-]{0,30}[a-z0-9](?:@[a-z0-9.:[\]-]{1,255})?$/

/** What a person may be called: 2 to 32 of a-z 0-9 . _ - with a letter or digit at both ends. */
export function isHandle(text: string): boolean {
  return ADDRESS.test(`@${text}`) && !text.includes("@")
}

/** The address in what a person typed or scanned: `handle`, `@handle`, `@handle@host` or a link; null when it is none. */
export function addressIn(typed: string): string | null {
  const text = typed.trim().toLowerCase()
  const link = /#\/(@[^\s/?#]+)$/.exec(text)
  let found = link?.[1] ?? text
  if (link !== null) {
    try {
      found = decodeURIComponent(found)
    } catch {
      return null
    }
  }
  if (found !== "" && !found.startsWith("@")) found = `@${found}`
  return ADDRESS.test(found) ? found : null
}

export function parseRoute(hash: string): Route {
  const parts = hash.replace(/^#?\/?/, "").split("/")
  const [head = "", second = "", third = ""] = parts
  if (head.startsWith("@") || head.startsWith("%40")) {
    const address = addressIn(`#/${head.replace(/^%40/, "@")}`)
    return address === null ? { screen: "chats" } : { screen: "person", address }
  }
  switch (head) {
    case "chat":
      return /^[0-9a-f]{1,128}$/.test(second) ? { screen: "chat", id: second, info: third === "info" } : { screen: "chats" }
    case "calls":
    case "call":
      return { screen: head }
    case "settings":
      return { screen: "settings", section: second === "server" || second === "network" ? second : "main" }
    default:
      return { screen: "chats" }
  }
}

export function formatRoute(route: Route): string {
  switch (route.screen) {
    case "chats":
      return "#/"
    case "chat":
      return `#/chat/${route.id}${route.info ? "/info" : ""}`
    case "settings":
      return route.section === "main" ? "#/settings" : `#/settings/${route.section}`
    case "person":
      return `#/${route.address}`
    default:
      return `#/${route.screen}`
  }
}
