// Devices that speak through the adapter, and the little that tests need around them.
import assert from "node:assert/strict"
import { type Applied, type CheckMember, type FindPsk, type Group, type KeyPackageBundle, Mls, MlsError, type Received } from "../../../src/core/e2ee/mls.js"

export const nowS = BigInt(Math.floor(Date.now() / 1000))
export const utf8 = (value: string): Uint8Array => new TextEncoder().encode(value)
export const groupId = utf8("a conversation")

export class Device {
  #group: Group | undefined

  private constructor(
    readonly name: string,
    readonly mls: Mls,
    readonly bundle: KeyPackageBundle,
  ) {}

  static async create(name: string, options: { checkMember?: CheckMember; findPsk?: FindPsk } = {}): Promise<Device> {
    const mls = await Mls.open({ checkMember: () => true, ...options })
    const bundle = await mls.createKeyPackage({ identity: utf8(name), notBeforeS: nowS - 60n, notAfterS: nowS + 86_400n })
    return new Device(name, mls, bundle)
  }

  get group(): Group {
    assert.ok(this.#group, `${this.name} is in no group`)
    return this.#group
  }
  set group(group: Group) {
    this.#group = group
  }

  async restart(): Promise<void> {
    this.group = await this.mls.load(await this.group.save())
  }

  async reads(message: Uint8Array): Promise<string> {
    const received = await this.group.process(message)
    assert.equal(received.kind, "application")
    return new TextDecoder().decode((received as Received & { kind: "application" }).data)
  }
}

/** A group of these devices; the first creates it and adds the others. */
export async function together(...devices: Device[]): Promise<void> {
  const [first, ...others] = devices
  assert.ok(first)
  first.group = await first.mls.createGroup(groupId, first.bundle)
  if (others.length === 0) return
  const { welcome } = await first.group.commit({ add: others.map(({ bundle }) => bundle.keyPackage), nowS })
  await first.group.mergeStaged()
  assert.ok(welcome)
  for (const other of others) other.group = await other.mls.join(welcome, [other.bundle])
}

export async function agree(...devices: Device[]): Promise<void> {
  const views = devices.map(async ({ group }) => ({
    epoch: group.epoch,
    authenticator: group.epochAuthenticator,
    treeHash: group.treeHash,
    exported: await group.export("test", utf8("context"), 32),
  }))
  const [first, ...others] = await Promise.all(views)
  for (const other of others) assert.deepEqual(other, first)
}

/** `work` is refused with an error of our tree, and the group is as it was. */
export async function refuses(device: Device, work: () => Promise<unknown>, type: new () => MlsError = MlsError): Promise<void> {
  const before = await device.group.save()
  await assert.rejects(work, (error) => error instanceof type)
  assert.deepEqual(await device.group.save(), before, "a refusal changes nothing")
}

/** Names of who came and who went, for comparing. */
export function summary(received: Received): object {
  assert.equal(received.kind, "commit")
  const { committer, own, removedSelf, added, removed } = received as Applied
  const names = (members: Applied["added"]) => members.map(({ identity }) => new TextDecoder().decode(identity)).join()
  return { committer, own, removedSelf, added: names(added), removed: names(removed) }
}
