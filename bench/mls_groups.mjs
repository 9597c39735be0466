// ts-mls as the web client uses it: patched, behind its adapter. One JSON line in, one out; times are taken in here, in
// milliseconds, so that pipes and JSON cost nothing. The operations are those of mls_groups.py, in the same order.
import { createInterface } from "node:readline"
import { Mls } from "../web/build/src/core/e2ee/mls.js"

const mls = await Mls.open({ checkMember: () => true })
const nowS = BigInt(Math.floor(Date.now() / 1000))
const lifetimeS = 30n * 86_400n

async function timed(work) {
  const started = performance.now()
  const result = await work()
  return [performance.now() - started, result]
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

const keyPackage = (identity) => mls.createKeyPackage({ identity, notBeforeS: nowS - 60n, notAfterS: nowS + lifetimeS })

async function measure({ devices, messages, data_bytes, padded_bytes, identity_bytes, group_id_bytes }) {
  const bundles = []
  for (let i = 0; i < devices; i++) {
    const identity = new Uint8Array(identity_bytes)
    new DataView(identity.buffer).setUint32(0, i)
    bundles.push(await keyPackage(identity))
  }
  const ms = {}
  const groupId = crypto.getRandomValues(new Uint8Array(group_id_bytes))
  const [create, alice] = await timed(() => mls.createGroup(groupId, bundles[0]))
  ms.create = create
  const add = bundles.slice(1).map(({ keyPackage }) => keyPackage)
  const [addAll, { welcome }] = await timed(async () => {
    const made = await alice.commit({ add, nowS })
    await alice.mergeStaged()
    return made
  })
  ms.add_all = addAll
  const [join, bob] = await timed(() => mls.join(welcome, [bundles[1]]))
  ms.join = join
  const data = new Uint8Array(data_bytes)
  const protects = []
  const processes = []
  for (let i = 0; i < messages; i++) {
    const [protect, message] = await timed(() => alice.protect(data, { pad: () => padded_bytes }))
    protects.push(protect)
    const [process, received] = await timed(() => bob.process(message))
    processes.push(process)
    if (received.kind !== "application" || message.length !== padded_bytes) throw new Error("not the message")
  }
  ms.protect = median(protects)
  ms.process = median(processes)
  const [removeCommit, { commit }] = await timed(async () => {
    const made = await alice.commit({ remove: [devices - 1], nowS })
    await alice.mergeStaged()
    return made
  })
  ms.remove = removeCommit
  const [removeProcess, removed] = await timed(() => bob.process(commit))
  ms.process_remove = removeProcess
  if (removed.kind !== "commit" || removed.removedSelf !== (devices === 2)) throw new Error("not the removal")
  const [save, saved] = await timed(() => alice.save())
  ms.save = save
  const [load] = await timed(() => mls.load(saved))
  ms.load = load
  return { ms, state_bytes: saved.length, welcome_bytes: welcome.length, commit_bytes: commit.length }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await measure(JSON.parse(line))))
}
