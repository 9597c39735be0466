// Bytes to the library's structures, and a caller's wishes to proposals. Trailing bytes are an error everywhere.
import { type CiphersuiteImpl, type KeyPackage, type MLSMessage, type Proposal, decodeMlsMessage } from "ts-mls"
import { decodeKeyPackage } from "ts-mls/keyPackage.js"
import { clockSkewS, lifetimeSMax, messageBytesMax } from "./mls-config.js"
import { MlsMalformedError, MlsRefusedError } from "./mls-errors.js"

export function parseMessage(bytes: Uint8Array): MLSMessage {
  if (bytes.length > messageBytesMax) throw new MlsMalformedError(`a message of ${bytes.length} bytes`)
  // A copy: the library keeps views into what it decodes.
  const decoded = decodeMlsMessage(bytes.slice(), 0)
  if (decoded === undefined || decoded[1] !== bytes.length) throw new MlsMalformedError("not an MLSMessage")
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
