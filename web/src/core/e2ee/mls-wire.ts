// Bytes to the library's structures, and a caller's wishes to proposals. Bytes that follow are an error, but for zeros
// after an MLSMessage: those are padding.
import { type CiphersuiteImpl, type KeyPackage, type MLSMessage, type Proposal, decodeMlsMessage } from "ts-mls"
import { decodeKeyPackage } from "ts-mls/keyPackage.js"
import { clockSkewS, lifetimeSMax, messageBytesMax } from "./mls-config.js"
import { MlsMalformedError, MlsRefusedError } from "./mls-errors.js"

export function parseMessage(bytes: Uint8Array): MLSMessage {
  if (bytes.length > messageBytesMax) throw new MlsMalformedError(`a message of ${bytes.length} bytes`)
  // A copy: the library keeps views into what it decodes.
  const decoded = decodeMlsMessage(bytes.slice(), 0)
  if (decoded === undefined || decoded[1] > bytes.length) throw new MlsMalformedError("not an MLSMessage")
  if (bytes.subarray(decoded[1]).some((byte) => byte !== 0)) throw new MlsMalformedError("bytes after an MLSMessage")
  return decoded[0]
}

export function parseKeyPackage(bytes: Uint8Array): KeyPackage {
  if (bytes.length > messageBytesMax) throw new MlsMalformedError(`a key package of ${bytes.length} bytes`)
  const decoded = decodeKeyPackage(bytes.slice(), 0)
  if (decoded === undefined || decoded[1] !== bytes.length) throw new MlsMalformedError("not a KeyPackage")
  return decoded[0]
}

/** An Add (RFC 9420 section 12.1.1) of a key package that is valid now and not for longer than we allow. */
export function addProposal(bytes: Uint8Array, nowS: bigint): Proposal {
  const keyPackage = parseKeyPackage(bytes)
  const { leafNode } = keyPackage
  if (leafNode.leafNodeSource !== "key_package") throw new MlsMalformedError("a key package without a lifetime")
  const { notBefore, notAfter } = leafNode.lifetime
  if (nowS + clockSkewS < notBefore || nowS > notAfter) throw new MlsRefusedError("a key package outside of its lifetime")
  if (notAfter - notBefore > lifetimeSMax) throw new MlsRefusedError("a key package that lives too long")
  return { proposalType: "add", add: { keyPackage } }
}

export const removeProposal = (removed: number): Proposal => ({ proposalType: "remove", remove: { removed } })

export function pskProposal(pskId: Uint8Array, suite: CiphersuiteImpl): Proposal {
  const pskNonce = suite.rng.randomBytes(suite.kdf.size)
  return { proposalType: "psk", psk: { preSharedKeyId: { psktype: "external", pskId, pskNonce } } }
}

/** Maps the length of an MLSMessage without padding to the length that it should have. */
export type Pad = (unpaddedBytes: number) => number

const signatureBytes = 64
const tagBytes = 16
const senderDataBytes = 12

/** Length of opaque<V> around `bytes` (RFC 9420 section 2.1.2). */
const opaqueBytes = (bytes: number): number => bytes + (bytes < 64 ? 1 : bytes < 16_384 ? 2 : 4)

/**
 * How long the content inside of a PrivateMessage (RFC 9420 section 6.3.1) must be so that the whole is as long as
 * `pad` wants, or the next length above that its length fields can express.
 */
export function contentBytes(pad: Pad, groupIdBytes: number, authenticatedBytes: number, dataBytes: number): number {
  const around = 4 + opaqueBytes(groupIdBytes) + 8 + 1 + opaqueBytes(authenticatedBytes) + opaqueBytes(senderDataBytes + tagBytes)
  const whole = (content: number) => around + opaqueBytes(content + tagBytes)
  const least = opaqueBytes(dataBytes) + opaqueBytes(signatureBytes)
  const wanted = pad(whole(least))
  let content = Math.max(least, least + wanted - whole(least))
  while (content > least && whole(content - 1) >= wanted) content--
  return content
}
