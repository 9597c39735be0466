// One test for each edit in patches/ts-mls-1.6.4. Its number is in its name; patches/prove.mjs takes each edit out in
// turn and requires that this very test fails.
import assert from "node:assert/strict"
import { test } from "node:test"
import {
  type GroupInfo,
  type Proposal,
  type ProposalOrRef,
  type PskIndex,
  type RatchetTree,
  createCommit,
  createGroupInfoWithExternalPub,
  createGroupInfoWithExternalPubAndRatchetTree,
  joinGroupExternal,
} from "ts-mls"
import { applyProposals, validateRatchetTree } from "ts-mls/clientState.js"
import { treeHashRoot } from "ts-mls/treeHash.js"
import { BareGroup, add, bundle, config, process, remove, suite } from "./bare.js"

test("edit 1: a tree in which parent nodes have different unmerged leaves is accepted", async () => {
  const group = await BareGroup.create(8)
  // Everybody commits once, so that every parent node is filled; then leaves 1 and 5 go, and are given to new members
  // by a commit without a path. Node 3 lists leaf 1, the root lists leaves 1 and 5.
  for (const leaf of [0, 4, 6, 2]) await group.commit(leaf, [])
  await group.commit(2, [remove(1), remove(5)])
  const joiners = [await bundle("x"), await bundle("y")]
  await group.commit(2, joiners.map(add), joiners)
  const unmerged = (node: number) => {
    const parent = group.at(2).ratchetTree[node]
    return parent?.nodeType === "parent" ? parent.parent.unmergedLeaves : undefined
  }
  assert.deepEqual([unmerged(3), unmerged(7)], [[1], [1, 5]], "the tree is the one that this test is about")
  assert.ok(group.agrees())
})

test("edit 1: an unmerged leaf that is no descendant of its parent node is refused", async () => {
  const group = await BareGroup.create(4)
  for (const leaf of [0, 2]) await group.commit(leaf, [])
  const state = group.at(0)
  const tree: RatchetTree = state.ratchetTree.slice()
  for (const node of [1, 3]) {
    const parent = tree[node]
    assert.ok(parent?.nodeType === "parent")
    // Leaf 2 is under node 5, not under node 1. Both lists are equal, so only the descendant check can object.
    tree[node] = { nodeType: "parent", parent: { ...parent.parent, unmergedLeaves: [2] } }
  }
  tree[5] = undefined
  const treeHash = await treeHashRoot(tree, suite.hash)
  const error = await validateRatchetTree(tree, state.groupContext, config.lifetimeConfig, config.authService, treeHash, suite)
  assert.match(String(error), /non-blank descendant/)
})

test("edit 2: external_pub carries its length, and a bare key is refused", async () => {
  const group = await BareGroup.create(3)
  const externalPub = (info: GroupInfo) => info.extensions.find(({ extensionType }) => extensionType === "external_pub")
  const infos = [
    await createGroupInfoWithExternalPub(group.at(1), [], suite),
    await createGroupInfoWithExternalPubAndRatchetTree(group.at(1), [], suite),
  ]
  for (const info of infos) {
    const data = externalPub(info)?.extensionData
    assert.equal(data?.length, 33)
    assert.equal(data?.[0], 32)
  }
  const [, info] = infos
  assert.ok(info)
  const mine = await bundle("joiner")
  const joined = await joinGroupExternal(info, mine.publicPackage, mine.privatePackage, false, suite, undefined, config)
  const commit = { version: "mls10", wireformat: "mls_public_message", publicMessage: joined.publicMessage } as const
  group.members.push(joined.newState)
  for (const leaf of [0, 1, 2]) group.members[leaf] = await process(group.at(leaf), commit)
  assert.ok(group.agrees())

  const { signGroupInfo } = await import("ts-mls/groupInfo.js")
  const bare = info.extensions.map((e) =>
    e.extensionType === "external_pub" ? { ...e, extensionData: e.extensionData.subarray(1) } : e,
  )
  const old = await createGroupInfoWithExternalPubAndRatchetTree(group.at(1), [], suite)
  const signed = await signGroupInfo({ ...old, extensions: bare }, group.at(1).signaturePrivateKey, suite.signature)
  const other = await bundle("other")
  await assert.rejects(joinGroupExternal(signed, other.publicPackage, other.privatePackage, false, suite, undefined, config))
})

const extension = { extensionType: 0xf001, extensionData: new Uint8Array([1, 2, 3]) }
const changeExtensions: Proposal = {
  proposalType: "group_context_extensions",
  groupContextExtensions: { extensions: [extension] },
}

test("edit 3: a commit of new group extensions needs a path", async () => {
  const group = await BareGroup.create(3, [extension.extensionType])
  const state = group.at(0)
  const proposals: ProposalOrRef[] = [{ proposalOrRefType: "proposal", proposal: changeExtensions }]
  const result = await applyProposals(state, proposals, undefined, { findPsk: () => undefined }, false, suite)
  assert.equal(result.needsUpdatePath, true)
})

test("edit 4: a path sent together with new group extensions opens", async () => {
  const group = await BareGroup.create(4, [extension.extensionType])
  // The Remove asks for a path by itself, so this does not depend on edit 3.
  await group.commit(0, [changeExtensions, remove(3)])
  assert.ok(group.agrees())
  assert.deepEqual(group.at(1).groupContext.extensions, [extension])
})

test("edit 5: a private commit with a pre-shared key is processed", async () => {
  const group = await BareGroup.create(2)
  const secret = new Uint8Array(32).fill(9)
  const psks: PskIndex = { findPsk: () => secret }
  const preSharedKeyId = { psktype: "external", pskId: new Uint8Array([1]), pskNonce: new Uint8Array(32) } as const
  const made = await createCommit(
    { state: group.at(0), cipherSuite: suite, pskIndex: psks },
    { extraProposals: [{ proposalType: "psk", psk: { preSharedKeyId } }] },
  )
  const after = await process(group.at(1), made.commit, psks)
  assert.deepEqual(after.keySchedule.epochAuthenticator, made.newState.keySchedule.epochAuthenticator)
})

test("edit 6: a member removed by a commit that gives its leaf away knows that it is removed", async () => {
  const group = await BareGroup.create(3)
  const gone = group.at(1)
  const heir = await bundle("heir")
  const commit = await group.commit(0, [remove(1), add(heir)], [heir])
  assert.ok(group.agrees())
  assert.equal(group.at(1).privatePath.leafIndex, 1, "the leaf was reused")
  assert.equal((await process(gone, commit)).groupActiveState.kind, "removedFromGroup")
})
