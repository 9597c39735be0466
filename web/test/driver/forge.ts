// What an honest client never makes: a commit that removes a member and carries no path. Everything else about it is
// right (signature, confirmation tag, transcript), so nothing but the rule of RFC 9420 section 12.4 speaks against it.
import { type Proposal, encodeMlsMessage } from "ts-mls"
import { applyProposals, nextEpochContext } from "ts-mls/clientState.js"
import { createConfirmationTag, createContentCommitSignature } from "ts-mls/framedContent.js"
import { initializeEpoch } from "ts-mls/keySchedule.js"
import { protect } from "ts-mls/messageProtection.js"
import { treeHashRoot } from "ts-mls/treeHash.js"
import { toLeafIndex } from "ts-mls/treemath.js"
import { clientConfig, openSuite } from "../../src/core/e2ee/mls-config.js"
import { decodeGroup } from "../../src/core/e2ee/mls-state.js"

export async function forgePathlessRemove(saved: Uint8Array, removed: number): Promise<Uint8Array> {
  const suite = await openSuite()
  const { state } = decodeGroup(saved, clientConfig(() => true))
  const { leafIndex } = state.privatePath
  const proposal: Proposal = { proposalType: "remove", remove: { removed } }
  const proposals = [{ proposalOrRefType: "proposal" as const, proposal }]
  const applied = await applyProposals(state, proposals, toLeafIndex(leafIndex), { findPsk: () => undefined }, true, suite)

  const wireformat = "mls_private_message"
  const { signature, framedContent } = await createContentCommitSignature(
    state.groupContext,
    wireformat,
    { proposals, path: undefined },
    { senderType: "member", leafIndex },
    new Uint8Array(),
    state.signaturePrivateKey,
    suite.signature,
  )
  const treeHash = await treeHashRoot(applied.tree, suite.hash)
  const context = await nextEpochContext(
    state.groupContext,
    wireformat,
    framedContent,
    signature,
    treeHash,
    state.confirmationTag,
    suite.hash,
  )
  const noCommitSecret = new Uint8Array(suite.kdf.size)
  const { initSecret } = state.keySchedule
  const { keySchedule } = await initializeEpoch(initSecret, noCommitSecret, context, applied.pskSecret, suite.kdf)
  const confirmationTag = await createConfirmationTag(keySchedule.confirmationKey, context.confirmedTranscriptHash, suite.hash)
  const { privateMessage } = await protect(
    state.keySchedule.senderDataSecret,
    new Uint8Array(),
    state.groupContext,
    state.secretTree,
    { ...framedContent, auth: { contentType: "commit", signature, confirmationTag } },
    leafIndex,
    state.clientConfig.paddingConfig,
    suite,
  )
  return encodeMlsMessage({ version: "mls10", wireformat, privateMessage })
}
