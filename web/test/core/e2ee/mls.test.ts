import assert from "node:assert/strict"
import { test } from "node:test"
import { decryptSenderData } from "ts-mls/privateMessage.js"
import { MlsEpochError, MlsRefusedError, MlsUsageError } from "../../../src/core/e2ee/mls.js"
import { clientConfig, openSuite } from "../../../src/core/e2ee/mls-config.js"
import { decodeGroup } from "../../../src/core/e2ee/mls-state.js"
import { parseMessage } from "../../../src/core/e2ee/mls-wire.js"
import { Device, agree, nowS, refuses, summary, together, utf8 } from "./devices.js"

test("members of a group read each other and know who spoke", async () => {
  const [alice, bob, carol] = [await Device.create("alice"), await Device.create("bob"), await Device.create("carol")]
  await together(alice, bob, carol)
  await agree(alice, bob, carol)
  const received = await carol.group.process(await bob.group.protect(utf8("hello"), { authenticatedData: utf8("seen") }))
  assert.deepEqual(received, {
    kind: "application",
    sender: 1,
    identity: utf8("bob"),
    data: utf8("hello"),
    authenticatedData: utf8("seen"),
  })
  const names = alice.group.members().map(({ identity }) => new TextDecoder().decode(identity))
  assert.deepEqual(names, ["alice", "bob", "carol"])
})

test("a commit counts only once it is accepted, also when it comes back as a message", async () => {
  const [alice, bob] = [await Device.create("alice"), await Device.create("bob")]
  await together(alice, bob)
  const { commit } = await alice.group.commit({ nowS })
  assert.equal(alice.group.epoch, 1n)
  await refuses(alice, () => alice.group.commit({ nowS }), MlsUsageError)
  assert.equal((await bob.group.process(commit)).kind, "commit")
  assert.deepEqual(summary(await alice.group.process(commit)), { committer: 0, own: true, removedSelf: false, added: "", removed: "" })
  await agree(alice, bob)
})

test("the commit that came first wins; the other one is dropped", async () => {
  const [alice, bob] = [await Device.create("alice"), await Device.create("bob")]
  await together(alice, bob)
  await alice.group.commit({ nowS })
  const { commit } = await bob.group.commit({ nowS })
  await bob.group.mergeStaged()
  await alice.group.process(commit)
  await refuses(alice, () => alice.group.mergeStaged(), MlsUsageError)
  await agree(alice, bob)
})

test("a message read between a commit and its acceptance is not read again after it", async () => {
  const [alice, bob] = [await Device.create("alice"), await Device.create("bob")]
  await together(alice, bob)
  const [first, second] = [await bob.group.protect(utf8("one")), await bob.group.protect(utf8("two"))]
  await alice.group.commit({ nowS })
  assert.equal(await alice.reads(first), "one")
  await alice.group.mergeStaged()
  await refuses(alice, () => alice.group.process(first), MlsRefusedError)
  assert.equal(await alice.reads(second), "two", "what was sent before the commit is still read")
})

test("a discarded commit and the next one do not share a key", async () => {
  const [alice, bob] = [await Device.create("alice"), await Device.create("bob")]
  await together(alice, bob)
  const { senderDataSecret } = decodeGroup(await bob.group.save(), clientConfig(() => true)).state.keySchedule
  const generation = async (commit: Uint8Array) => {
    const message = parseMessage(commit)
    assert.equal(message.wireformat, "mls_private_message")
    const { privateMessage } = message as typeof message & { wireformat: "mls_private_message" }
    return (await decryptSenderData(privateMessage, senderDataSecret, await openSuite()))?.generation
  }
  const discarded = await alice.group.commit({ nowS })
  await alice.group.discardStaged()
  const sent = await alice.group.commit({ nowS })
  assert.deepEqual([await generation(discarded.commit), await generation(sent.commit)], [0, 1])
  await bob.group.process(sent.commit)
  await alice.group.mergeStaged()
  await agree(alice, bob)
})

test("calls made at once are done one after the other", async () => {
  const [alice, bob] = [await Device.create("alice"), await Device.create("bob")]
  await together(alice, bob)
  const said = Array.from({ length: 20 }, (_, i) => `message ${i}`)
  const messages = await Promise.all(said.map((each) => alice.group.protect(utf8(each))))
  assert.deepEqual(await Promise.all(messages.map((message) => bob.reads(message))), said)
})

test("proposals are covered by anybody's next commit", async () => {
  const findPsk = (): Uint8Array => new Uint8Array(32).fill(3)
  const create = (name: string): Promise<Device> => Device.create(name, { findPsk })
  const [alice, bob, carol, dave] = [await create("alice"), await create("bob"), await create("carol"), await create("dave")]
  await together(alice, bob, carol)
  const proposals = [
    await alice.group.propose({ remove: 2 }),
    await alice.group.propose({ add: dave.bundle.keyPackage, nowS }),
    await alice.group.propose({ psk: utf8("shared") }),
  ]
  for (const proposal of proposals)
    for (const member of [bob, carol]) assert.deepEqual(await member.group.process(proposal), { kind: "proposal", sender: 0 })
  await refuses(bob, () => bob.group.protect(utf8("not now")), MlsUsageError)
  // The library's own codec forgets that leaf 0 sent them.
  await bob.restart()
  const { commit, welcome } = await bob.group.commit({ nowS })
  await bob.group.mergeStaged()
  assert.ok(welcome)
  dave.group = await dave.mls.join(welcome, [dave.bundle])
  const change = { committer: 1, own: false, added: "dave", removed: "carol" }
  assert.deepEqual(summary(await alice.group.process(commit)), { ...change, removedSelf: false })
  assert.deepEqual(summary(await carol.group.process(commit)), { ...change, removedSelf: true })
  await agree(alice, bob, dave)
})

test("an outsider with a GroupInfo joins by itself, and again after losing its state", async () => {
  const [alice, bob, carol] = [await Device.create("alice"), await Device.create("bob"), await Device.create("carol")]
  await together(alice, bob)
  const joined = await carol.mls.joinExternal(await alice.group.groupInfo(), carol.bundle)
  for (const other of [alice, bob])
    assert.deepEqual(summary(await other.group.process(joined.commit)), {
      committer: undefined,
      own: false,
      removedSelf: false,
      added: "carol",
      removed: "",
    })
  carol.group = joined.group
  await agree(alice, bob, carol)

  const { mls, bundle } = carol
  const lifetime = { notBeforeS: nowS - 60n, notAfterS: nowS + 86_400n }
  const fresh = await mls.createKeyPackage({ identity: utf8("carol"), signatureKey: bundle.signatureKey, ...lifetime })
  const again = await mls.joinExternal(await bob.group.groupInfo(), fresh, { rejoin: true })
  for (const other of [alice, bob]) await other.group.process(again.commit)
  carol.group = again.group
  await agree(alice, bob, carol)
  assert.equal(alice.group.members().length, 3)
})

test("a restart loses nothing: staged commits, skipped messages, past epochs", async () => {
  const [alice, bob] = [await Device.create("alice"), await Device.create("bob")]
  await together(alice, bob)
  const said = ["zero", "one", "two"]
  const [zero, one, two] = await Promise.all(said.map((each) => bob.group.protect(utf8(each))))
  assert.ok(zero && one && two)
  assert.equal(await alice.reads(two), "two")
  const { commit, welcome } = await alice.group.commit({ nowS })
  await alice.restart()
  assert.deepEqual(alice.group.stagedCommit?.commit, commit)
  assert.equal(alice.group.stagedCommit?.welcome, welcome)
  assert.equal(await alice.reads(zero), "zero")
  await refuses(alice, () => alice.group.process(two), MlsRefusedError)
  await alice.group.mergeStaged()
  await bob.group.process(commit)
  await alice.restart()
  assert.equal(await alice.reads(one), "one")
  await refuses(alice, () => alice.group.process(zero), MlsRefusedError)
  await agree(alice, bob)
})

test("a device that was away steps over what has expired, but not without a limit", async () => {
  const [alice, bob] = [await Device.create("alice"), await Device.create("bob")]
  await together(alice, bob)
  const early = await bob.group.protect(utf8("early"))
  for (let i = 0; i < 400; i++) await bob.group.protect(utf8("expired"))
  assert.equal(await alice.reads(await bob.group.protect(utf8("late"))), "late")
  assert.equal(await alice.reads(early), "early")

  for (let epoch = 0; epoch < 6; epoch++) {
    const sent = await bob.group.protect(utf8(`epoch ${epoch}`))
    const { commit } = await bob.group.commit({ nowS })
    await bob.group.mergeStaged()
    await alice.group.process(commit)
    assert.equal(await alice.reads(sent), `epoch ${epoch}`)
  }
  await refuses(alice, () => alice.group.process(early), MlsEpochError)
})

test("a device away while the group went on reads all of it, in order, also when it restarts in the middle", async () => {
  const [alice, bob, carol] = [await Device.create("alice"), await Device.create("bob"), await Device.create("carol")]
  await together(alice, bob)
  const log: { bytes: Uint8Array; text?: string }[] = []
  const say = async (from: Device, text: string) => log.push({ bytes: await from.group.protect(utf8(text)), text })
  for (let day = 0; day < 30; day++) {
    for (let n = 0; n < 10; n++) await say(bob, `day ${day}, ${n}`)
    const { commit, welcome } = await bob.group.commit(day === 15 ? { add: [carol.bundle.keyPackage], nowS } : { nowS })
    // Written under the old keys, but in the log behind the commit.
    await say(bob, `day ${day}, late`)
    log.splice(-1, 0, { bytes: commit })
    await bob.group.mergeStaged()
    if (welcome !== undefined) carol.group = await carol.mls.join(welcome, [carol.bundle])
    else if (day > 15) await carol.group.process(commit)
    if (day > 15) await say(carol, `carol on day ${day}`)
  }
  await alice.restart()
  for (const [i, { bytes, text }] of log.entries()) {
    if (i === log.length / 2) await alice.restart()
    if (text === undefined) assert.equal((await alice.group.process(bytes)).kind, "commit")
    else assert.equal(await alice.reads(bytes), text)
  }
  assert.equal(log.filter(({ text }) => text !== undefined).length, 344)
  await agree(alice, bob, carol)
})

test("messages of different lengths look alike, and the caller may say how long", async () => {
  const [alice, bob] = [await Device.create("alice"), await Device.create("bob")]
  await together(alice, bob)
  const length = async (bytes: number, options = {}) => (await alice.group.protect(new Uint8Array(bytes), options)).length
  assert.equal(await length(1), await length(150))
  for (const wanted of [300, 511, 512, 1024, 16_383, 16_500, 65_536]) {
    const options = { pad: () => wanted, authenticatedData: utf8("seen") }
    for (const bytes of [0, 1, 63, 64]) assert.equal(await length(bytes, options), wanted)
  }
  assert.equal(await length(1, { pad: () => 16_444 }), 16_446, "a length that cannot be expressed becomes the next")
  assert.ok((await length(500, { pad: () => 10 })) > 500)
  assert.equal(await bob.reads(await alice.group.protect(utf8("long"), { pad: (bytes) => bytes * 2 })), "long")
  const message = await alice.group.protect(utf8("zeros"))
  assert.equal(await bob.reads(Uint8Array.of(...message, 0, 0, 0)), "zeros")
})
