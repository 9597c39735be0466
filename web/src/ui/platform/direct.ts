/** Whether the own browser would try a direct way at all. Asks nobody: no server is named, and nothing is sent. */

const PATIENCE_MS = 3_000

/** True when it names an address of its own for UDP. */
export async function mayGoDirect(): Promise<boolean> {
  if (typeof RTCPeerConnection === "undefined") return false
  const peer = new RTCPeerConnection()
  try {
    return await new Promise<boolean>((resolve) => {
      setTimeout(() => resolve(false), PATIENCE_MS)
      peer.onicecandidate = ({ candidate }) => {
        if (candidate === null) resolve(false)
        else if (candidate.protocol === "udp") resolve(true)
      }
      peer.createDataChannel("")
      peer.createOffer().then((offer) => peer.setLocalDescription(offer)).catch(() => resolve(false))
    })
  } finally {
    peer.close()
  }
}
