// Rules of our own on top of the library's. They are asked before a new state is kept, so a refusal changes nothing.
import type { ClientState, IncomingMessageCallback, LeafNode, ProposalWithSender } from "ts-mls"
import { MlsRefusedError } from "./mls-errors.js"

export type LeafIndex = number

/** A Commit or Proposal as the library reports it while it is processed. */
export type Incoming = Parameters<IncomingMessageCallback>[0]

const memberProposals = new Set<unknown>(["add", "update", "remove", "psk"])

/** Our profile: basic membership proposals from members, and nothing but the joining itself in an external commit. */
export function profileViolation(incoming: Incoming): string | undefined {
  if (incoming.kind === "proposal") {
    if (incoming.proposal.senderLeafIndex === undefined) return "a proposal from outside of the group"
    return proposalViolation(incoming.proposal)
  }
  if (incoming.senderLeafIndex !== undefined) {
    return incoming.proposals.map(proposalViolation).find((violation) => violation !== undefined)
  }
  const types = incoming.proposals.map(({ proposal }) => proposal.proposalType)
  if (types.filter((type) => type === "external_init").length !== 1) return "an external commit without external_init"
  if (types.some((type) => type !== "external_init" && type !== "remove" && type !== "psk")) return "an external commit that does more than join"
  return undefined
}

function proposalViolation({ proposal }: ProposalWithSender): string | undefined {
  if (!memberProposals.has(proposal.proposalType)) return `a proposal of type ${proposal.proposalType}`
  if (proposal.proposalType === "psk" && proposal.psk.preSharedKeyId.psktype !== "external") return "a resumption key"
  return undefined
}

export function leafAt(state: ClientState, leaf: LeafIndex): LeafNode | undefined {
  const node = state.ratchetTree[leaf * 2]
  return node?.nodeType === "leaf" ? node.leaf : undefined
}

export function identityOf(leaf: LeafNode): Uint8Array {
  if (leaf.credential.credentialType !== "basic") throw new MlsRefusedError("a credential that is not basic")
  return leaf.credential.identity
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

export interface Member {
  readonly leaf: LeafIndex
  readonly identity: Uint8Array
  readonly signatureKey: Uint8Array
}

export function membersOf(state: ClientState): Member[] {
  return [...state.ratchetTree.keys()].flatMap((node) => {
    const leaf = node % 2 === 0 ? leafAt(state, node / 2) : undefined
    return leaf ? [{ leaf: node / 2, identity: identityOf(leaf), signatureKey: leaf.signaturePublicKey.slice() }] : []
  })
}

/** Who is in `after` and was not in `before`. A leaf whose signature key changed counts as somebody else. */
export function newcomers(before: readonly Member[], after: readonly Member[]): Member[] {
  const isSame = (a: Member, b: Member) => a.leaf === b.leaf && sameBytes(a.identity, b.identity) && sameBytes(a.signatureKey, b.signatureKey)
  return after.filter((member) => !before.some((other) => isSame(member, other)))
}

/**
 * Compares the tree before and after a Commit, however the library got there:
 * - a Commit that removes, updates or is empty changed the committer's own key, so it carried a path (RFC 9420
 *   section 12.4; without one, a removed member could follow the group);
 * - a leaf that was neither removed nor added kept its identity;
 * - who joins by an external commit removes nobody but a former leaf of the same identity.
 */
export function checkTransition(before: ClientState, after: ClientState, commit: Incoming & { kind: "commit" }): void {
  const { senderLeafIndex: committer, proposals } = commit
  const types = proposals.map(({ proposal }) => proposal.proposalType)
  const needsPath = types.length === 0 || types.some((type) => type !== "add" && type !== "psk")
  if (needsPath && committer !== undefined) {
    const [old, now] = [leafAt(before, committer), leafAt(after, committer)]
    if (old === undefined || now === undefined || sameBytes(old.hpkePublicKey, now.hpkePublicKey))
      throw new MlsRefusedError("a commit without the path that it needs")
  }
  const removed = new Set<LeafIndex>(proposals.flatMap(({ proposal }) => (proposal.proposalType === "remove" ? [proposal.remove.removed] : [])))
  for (let leaf = 0; leaf * 2 < before.ratchetTree.length; leaf++) {
    const [old, now] = [leafAt(before, leaf), leafAt(after, leaf)]
    if (old === undefined || removed.has(leaf)) continue
    if (now === undefined || !sameBytes(identityOf(old), identityOf(now)))
      throw new MlsRefusedError("a commit that changes the identity of a leaf")
  }
  if (committer === undefined) checkRejoin(before, after, removed)
}

function checkRejoin(before: ClientState, after: ClientState, removed: ReadonlySet<LeafIndex>): void {
  for (let leaf = 0; leaf * 2 < after.ratchetTree.length; leaf++) {
    const joined = leafAt(after, leaf)
    if (joined === undefined || (leafAt(before, leaf) !== undefined && !removed.has(leaf))) continue
    for (const gone of removed) {
      const former = leafAt(before, gone)
      if (former === undefined || !sameBytes(identityOf(former), identityOf(joined)))
        throw new MlsRefusedError("an external commit that removes somebody else")
    }
  }
}
