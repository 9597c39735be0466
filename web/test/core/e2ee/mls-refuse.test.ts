import assert from "node:assert/strict"
import { test } from "node:test"
import {
  type ClientState,
  type Proposal,
  createCommit,
  createProposal,
  encodeMlsMessage,
} from "ts-mls"
import {
  MlsEpochError,
  MlsError,
  MlsMalformedError,
  MlsMemberError,
  MlsRefusedError,
  MlsRemovedError,
  MlsUsageError,
} from "../../../src/core/e2ee/mls.js"
import { clientConfig, openSuite } from "../../../src/core/e2ee/mls-config.js"
import { type Incoming, checkTransition } from "../../../src/core/e2ee/mls-rules.js"
import { decodeGroup } from "../../../src/core/e2ee/mls-state.js"
import { forgePathlessRemove } from "../../driver/forge.js"
import { Device, agree, groupId, nowS, refuses, summary, together, utf8 } from "./devices.js"

const suite = await openSuite()
const stateOf = async (device: Device): Promise<ClientState> =>
  decodeGroup(await device.group.save(), clientConfig(() => true)).state

test("a removed member reads nothing that is sent after its removal", async () => {
  const [alice, bob, carol] = [await Device.create("alice"), await Device.create("bob"), await Device.create("carol")]
  await together(alice, bob, carol)
  const former = await carol.group.save()
  const { commit } = await alice.group.commit({ remove: [2], nowS })
  await alice.group.mergeStaged()
  await bob.group.process(commit)
  assert.deepEqual(summary(await carol.group.process(commit)), {
    committer: 0,
    own: false,
    removedSelf: true,
    added: "",
    removed: "carol",
  })
  const secret = await bob.group.protect(utf8("without carol"))
  await refuses(carol, () => carol.group.process(secret), MlsRemovedError)
  await refuses(carol, () => carol.group.protect(utf8("still here")), MlsRemovedError)
  await refuses(carol, () => carol.group.export("x", utf8(""), 32), MlsRemovedError)
  // Nor does the state from before help.
  carol.group = await carol.mls.load(former)
  await refuses(carol, () => carol.group.process(secret), MlsEpochError)
  assert.equal(await alice.reads(secret), "without carol")
})

test("a removal without a path is refused", async () => {
  const [alice, bob, carol] = [await Device.create("alice"), await Device.create("bob"), await Device.create("carol")]
  await together(alice, bob, carol)
  const commit = await forgePathlessRemove(await alice.group.save(), 2)
  await refuses(bob, () => bob.group.process(commit), MlsRefusedError)
  // And if the library let it pass, as some of its versions did, our own rule would not.
  const before = await stateOf(bob)
  const removal = { kind: "commit", senderLeafIndex: 0, proposals: [{ proposal: { proposalType: "remove", remove: { removed: 2 } }, senderLeafIndex: 0 }] }
  const after = { ...before, ratchetTree: before.ratchetTree.slice(0, 4) }
  assert.throws(() => checkTransition(before, after, removal as Incoming & { kind: "commit" }), /without the path/)
})

test("a leaf keeps its identity, and a rejoin removes nobody else", async () => {
  const [alice, bob] = [await Device.create("alice"), await Device.create("bob")]
  await together(alice, bob)
  const before = await stateOf(alice)
  const { commit } = await bob.group.commit({ nowS })
  await alice.group.process(commit)
  const after = await stateOf(alice)
  const incoming = (senderLeafIndex: number | undefined, proposals: Proposal[]) =>
    ({ kind: "commit", senderLeafIndex, proposals: proposals.map((proposal) => ({ proposal, senderLeafIndex })) }) as Incoming & { kind: "commit" }
  checkTransition(before, after, incoming(1, []))
  const node = after.ratchetTree[2]
  assert.ok(node?.nodeType === "leaf")
  const renamed = after.ratchetTree.slice()
  renamed[2] = { nodeType: "leaf", leaf: { ...node.leaf, credential: { credentialType: "basic", identity: utf8("mallory") } } }
  assert.throws(() => checkTransition(before, { ...after, ratchetTree: renamed }, incoming(1, [])), /identity/)
  const usurped = incoming(undefined, [{ proposalType: "remove", remove: { removed: 1 } }])
  assert.throws(() => checkTransition(before, { ...after, ratchetTree: renamed }, usurped), /somebody else/)
})

test("whom the device list does not know is refused on joining, adding and updating", async () => {
  const unknown = new Set<string>()
  const checkMember = (identity: Uint8Array): boolean => !unknown.has(new TextDecoder().decode(identity))
  const alice = await Device.create("alice", { checkMember })
  const [bob, carol] = [await Device.create("bob"), await Device.create("carol")]
  await together(alice, bob)
  unknown.add("carol").add("bob")
  await refuses(alice, () => alice.group.commit({ add: [carol.bundle.keyPackage], nowS }), MlsMemberError)
  const { commit } = await bob.group.commit({ nowS })
  await refuses(alice, () => alice.group.process(commit), MlsMemberError)
  await bob.group.discardStaged()
  const added = await bob.group.commit({ add: [carol.bundle.keyPackage], nowS })
  await refuses(alice, () => alice.group.process(added.commit), MlsMemberError)
  const dave = await Device.create("dave", { checkMember })
  const { welcome } = await (async () => {
    await bob.group.mergeStaged()
    return bob.group.commit({ add: [dave.bundle.keyPackage], nowS })
  })()
  assert.ok(welcome)
  await assert.rejects(dave.mls.join(welcome, [dave.bundle]), MlsMemberError)
  await assert.rejects(dave.mls.joinExternal(await (await groupOfOne(bob)).groupInfo(), dave.bundle), MlsMemberError)
})

const groupOfOne = (device: Device) => device.mls.createGroup(groupId, device.bundle)

test("a key package is added only within its lifetime, and if that is not too long", async () => {
  const [alice, bob] = [await Device.create("alice"), await Device.create("bob")]
  await together(alice)
  const lasting = (notBeforeS: bigint, notAfterS: bigint) => bob.mls.createKeyPackage({ identity: utf8("bob"), notBeforeS, notAfterS })
  const addition = (bytes: Uint8Array, at = nowS) => () => alice.group.commit({ add: [bytes], nowS: at })
  const day = 86_400n
  await refuses(alice, addition((await lasting(nowS - 2n * day, nowS - day)).keyPackage), MlsRefusedError)
  await refuses(alice, addition((await lasting(nowS + day, nowS + 2n * day)).keyPackage), MlsRefusedError)
  await refuses(alice, addition((await lasting(nowS - day, nowS + 400n * day)).keyPackage), MlsRefusedError)
  await refuses(alice, addition(bob.bundle.keyPackage, nowS + 30n * day), MlsRefusedError)
  await refuses(alice, addition(utf8("no key package")), MlsError)
  await refuses(alice, addition(Uint8Array.of(...bob.bundle.keyPackage, 0)), MlsMalformedError)
  await addition(bob.bundle.keyPackage)()
})

test("what our profile leaves out is refused from others as well", async () => {
  const [alice, bob] = [await Device.create("alice"), await Device.create("bob")]
  await together(alice, bob)
  const state = await stateOf(alice)
  const outside: Proposal[] = [
    { proposalType: "group_context_extensions", groupContextExtensions: { extensions: [] } },
    {
      proposalType: "reinit",
      reinit: { groupId, version: "mls10", cipherSuite: suite.name, extensions: [] },
    },
    { proposalType: 0xf00d, proposalData: utf8("custom") },
  ]
  for (const proposal of outside) {
    const proposed = await createProposal(state, false, proposal, suite)
    await refuses(bob, () => bob.group.process(encodeMlsMessage(proposed.message)), MlsRefusedError)
    const committed = await createCommit({ state, cipherSuite: suite }, { extraProposals: [proposal] })
    await refuses(bob, () => bob.group.process(encodeMlsMessage(committed.commit)), MlsRefusedError)
  }
  const open = await createCommit({ state, cipherSuite: suite }, { wireAsPublicMessage: true })
  await refuses(bob, () => bob.group.process(encodeMlsMessage(open.commit)), MlsRefusedError)
})

test("a flipped bit anywhere is refused and changes nothing", async () => {
  const findPsk = (): Uint8Array => utf8("secret")
  const create = (name: string): Promise<Device> => Device.create(name, { findPsk })
  const [alice, bob, carol] = [await create("alice"), await create("bob"), await create("carol")]
  await together(alice, bob)
  const message = await alice.group.protect(utf8("hello"))
  const proposal = await alice.group.propose({ psk: utf8("shared") })
  const { commit, welcome } = await alice.group.commit({ add: [carol.bundle.keyPackage], nowS })
  assert.ok(welcome)
  const flipped = (bytes: Uint8Array, at: number) => bytes.map((byte, i) => (i === at ? byte ^ (1 << at % 8) : byte))
  for (const each of [message, proposal, commit]) {
    for (let at = 0; at < each.length; at++)
      await refuses(bob, () => bob.group.process(flipped(each, at)), MlsError)
    await refuses(bob, () => bob.group.process(each.subarray(0, each.length - 1)), MlsError)
    await refuses(bob, () => bob.group.process(Uint8Array.of(...each, 0, 1)), MlsMalformedError)
  }
  for (let at = 0; at < welcome.length; at++)
    await assert.rejects(carol.mls.join(flipped(welcome, at), [carol.bundle]), MlsError, `byte ${at} of the Welcome`)
  await bob.group.process(proposal)
  await bob.group.process(commit)
  await alice.group.mergeStaged()
  carol.group = await carol.mls.join(welcome, [carol.bundle])
  await agree(alice, bob, carol)
})

test("other groups' messages, replays and the future are refused by name", async () => {
  const [alice, bob, eve] = [await Device.create("alice"), await Device.create("bob"), await Device.create("eve")]
  await together(alice, bob)
  eve.group = await eve.mls.createGroup(utf8("another"), eve.bundle)
  const foreign = await eve.group.protect(utf8("hi"))
  await refuses(bob, () => bob.group.process(foreign), MlsRefusedError)
  const message = await alice.group.protect(utf8("once"))
  assert.equal(await bob.reads(message), "once")
  await refuses(bob, () => bob.group.process(message), MlsRefusedError)
  await refuses(alice, () => alice.group.process(message), MlsRefusedError)
  await alice.group.commit({ nowS })
  await alice.group.mergeStaged()
  const future = await alice.group.protect(utf8("later"))
  await refuses(bob, () => bob.group.process(future), MlsEpochError)
  await refuses(bob, () => bob.group.process(bob.bundle.keyPackage), MlsError)
  await refuses(bob, () => bob.group.commit({ remove: [9], nowS }), MlsUsageError)
  await assert.rejects(bob.mls.load(utf8("nothing")), MlsMalformedError)
  const saved = await bob.group.save()
  await assert.rejects(bob.mls.load(saved.subarray(0, saved.length - 1)), MlsError)
})
