// The address of a server, as people write it and as credentials carry it.

const ADDRESS = /^([a-z]+):\/\/(?:[^/?#@]*@)?(?:\[([^\]]*)\]|([^/?#@:[\]]+))(?::(\d*))?(?:[/?#].*)?$/is
const HOST = /^(?=.{1,253}$)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/
const USUAL_PORTS: Record<string, number> = { https: 443, http: 80 }

// Declared here since this layer is compiled without the types of the DOM; every engine has it.
const { URL } = globalThis as unknown as { URL: new (url: string) => { readonly hostname: string } }

/**
 * `https://host[:port]` of a server: `chat.example` means https.
 *
 * A RangeError for what is no host, or for a scheme that is neither http nor https.
 */
export function normaliseOrigin(server: string): string {
  const written = server.includes("://") ? server : `https://${server}`
  const [, scheme = "", address, name = "", digits = ""] = ADDRESS.exec(written) ?? []
  const usualPort = USUAL_PORTS[scheme.toLowerCase()]
  const port = digits === "" ? usualPort : Number(digits)
  const host = address === undefined ? name.toLowerCase() : `[${address.toLowerCase()}]`
  const isHost = address === undefined ? HOST.test(host) : isShortestIpv6(host)
  if (usualPort === undefined || port === undefined || port > 65_535 || !isHost) {
    throw new RangeError("not a server address; write https://host or http://localhost:port")
  }
  return `${scheme.toLowerCase()}://${host}${port === usualPort ? "" : `:${port}`}`
}

/** One address has one form (RFC 5952), so that two names never mean one server. */
function isShortestIpv6(host: string): boolean {
  try {
    return new URL(`http://${host}/`).hostname === host
  } catch {
    return false
  }
}

/** Host and port as the server sees them in the Host header; part of what a sign-in signs. */
export const authorityOf = (origin: string): string => origin.slice(origin.indexOf("://") + 3)
