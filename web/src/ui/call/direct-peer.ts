/**
 * The page's half of a direct channel: WebRTC, which a worker cannot have. The worker orders (worker/direct-ports.ts).
 *
 * No server is asked for anything: only addresses of this device are gathered. A browser that has not granted the
 * microphone shows names that end in `.local` instead, which resolve within one network.
 */
import type { Description } from "../../core/e2ee/direct.js"
import type { DirectNews, DirectOrder } from "../../worker/direct-ports.js"

const GATHER_MS_MAX = 2_000
const LOOK_MS = 250
const ONE_CANDIDATE = /^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host/gim
const CANDIDATES_MAX = 16

/** The session description of a data channel and nothing else; the other side's fields were checked by the worker. */
export function sdpOf({ ufrag, password, fingerprint, candidates }: Description, setup: "actpass" | "active"): string {
  const hash = [...fingerprint].map((byte) => byte.toString(16).padStart(2, "0").toUpperCase()).join(":")
  const lines = [
    "v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=group:BUNDLE 0", "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "c=IN IP4 0.0.0.0", "a=mid:0", `a=ice-ufrag:${ufrag}`, `a=ice-pwd:${password}`, `a=fingerprint:sha-256 ${hash}`, `a=setup:${setup}`,
    "a=sctp-port:5000", "a=max-message-size:65536",
    ...candidates.map(({ address, port }, i) => `a=candidate:${i + 1} 1 udp ${2_113_937_151 - i} ${address} ${port} typ host`),
    "a=end-of-candidates",
  ]
  return lines.map((line) => `${line}\r\n`).join("")
}

/** The same fields of our own description. Throws where the browser wrote none. */
export function descriptionOf(sdp: string): Description {
  const one = (pattern: RegExp): string => {
    const found = pattern.exec(sdp)?.[1]
    if (found === undefined) throw new Error(`no ${String(pattern)} in the session description`)
    return found
  }
  return {
    ufrag: one(/^a=ice-ufrag:(\S+)/m),
    password: one(/^a=ice-pwd:(\S+)/m),
    fingerprint: Uint8Array.from(one(/^a=fingerprint:sha-256 (\S+)/im).split(":"), (byte) => Number.parseInt(byte, 16)),
    candidates: [...sdp.matchAll(ONE_CANDIDATE)]
      .slice(0, CANDIDATES_MAX)
      .map(([, address = "", port]) => ({ address: address.toLowerCase(), port: Number(port) })),
  }
}

/** Whether anything but checks of the path has come on it: then the keys' exchange is not kept from beginning. */
async function hasHeardKeys(connection: RTCPeerConnection): Promise<boolean> {
  let isHeard = false
  const stats = await connection.getStats()
  stats.forEach(({ type, bytesReceived = 0 }: { readonly type: string; readonly bytesReceived?: number }) => {
    isHeard ||= type === "candidate-pair" && bytesReceived > 0
  })
  return isHeard
}

interface Connected {
  readonly attempt: number
  readonly connection: RTCPeerConnection
  readonly channel: RTCDataChannel
}

/** Serves one call until its worker says that it is over. Returns the port for `attachDirect`. */
export function openDirectPeer(): MessagePort {
  const { port1: port, port2 } = new MessageChannel()
  let present: Connected | undefined
  let looking: ReturnType<typeof setInterval> | undefined

  const tell = (news: DirectNews, transfer: Transferable[] = []): void => port.postMessage(news, transfer)
  const close = (): void => {
    clearInterval(looking)
    present?.connection.close()
    present = undefined
  }
  const lookForKeys = ({ attempt, connection }: Connected): void => {
    const look = async (): Promise<void> => {
      if (!(await hasHeardKeys(connection)) || present?.connection !== connection) return
      clearInterval(looking)
      tell({ kind: "keys", attempt })
    }
    clearInterval(looking)
    looking = setInterval(() => void look().catch(() => undefined), LOOK_MS) // what cannot be asked has heard nothing
  }

  const connect = (attempt: number): Connected => {
    close()
    const connection = new RTCPeerConnection({ iceServers: [] })
    const channel = connection.createDataChannel("", { negotiated: true, id: 0, ordered: false, maxRetransmits: 0 })
    connection.onconnectionstatechange = () => {
      if (connection.connectionState === "failed") tell({ kind: "closed", attempt })
    }
    connection.oniceconnectionstatechange = () => {
      if (connection.iceConnectionState !== "connected") return
      tell({ kind: "path", attempt })
      if (present?.connection === connection) lookForKeys(present)
    }
    try {
      // Only in the breath in which it was made; then the page's own work never delays a frame.
      tell({ kind: "channel", attempt, channel }, [channel as unknown as Transferable])
    } catch {
      channel.binaryType = "arraybuffer"
      channel.onopen = () => tell({ kind: "open", attempt })
      channel.onclose = () => tell({ kind: "closed", attempt })
      channel.onmessage = ({ data }: MessageEvent<unknown>) => {
        if (data instanceof ArrayBuffer) tell({ kind: "message", attempt, bytes: new Uint8Array(data) }, [data])
      }
    }
    return (present = { attempt, connection, channel })
  }

  const describe = async ({ attempt, connection }: Connected, local: RTCSessionDescriptionInit): Promise<void> => {
    const gathered = new Promise<void>((resolve) => {
      connection.onicegatheringstatechange = () => connection.iceGatheringState === "complete" && resolve()
      setTimeout(resolve, GATHER_MS_MAX)
    })
    await connection.setLocalDescription(local)
    await gathered
    tell({ kind: "described", attempt, description: descriptionOf(connection.localDescription?.sdp ?? "") })
  }

  const obey = async (order: DirectOrder): Promise<void> => {
    switch (order.kind) {
      case "offer": {
        const made = connect(order.attempt)
        return describe(made, await made.connection.createOffer())
      }
      case "answer": {
        const made = connect(order.attempt)
        await made.connection.setRemoteDescription({ type: "offer", sdp: sdpOf(order.description, "actpass") })
        return describe(made, await made.connection.createAnswer())
      }
      case "accept":
        if (present?.attempt !== order.attempt) return
        return present.connection.setRemoteDescription({ type: "answer", sdp: sdpOf(order.description, "active") })
      case "message":
        if (present?.channel.readyState === "open") present.channel.send(order.bytes as Uint8Array<ArrayBuffer>)
        return
      case "close":
        return close()
      case "end":
        close()
        removeEventListener("online", networkChanged)
        networkInformation()?.removeEventListener("change", networkChanged)
        port.close()
    }
  }

  function networkChanged(): void {
    tell({ kind: "network" })
  }

  port.onmessage = ({ data }: MessageEvent<DirectOrder>) => {
    obey(data).catch(() => "attempt" in data && tell({ kind: "closed", attempt: data.attempt }))
  }
  addEventListener("online", networkChanged)
  networkInformation()?.addEventListener("change", networkChanged)
  return port2
}

/** Network Information API, where there is one. */
const networkInformation = (): EventTarget | undefined => (navigator as { readonly connection?: EventTarget }).connection
