// The driver's operations on ts-mls members. A member has key packages, and at most one group.
import { type Group, type KeyPackageBundle, Mls, type Received, type SignatureKey } from "../../src/core/e2ee/mls.js"
import { forgePathlessRemove } from "./forge.js"
import { type Op, type Request, base64, bytes, list, number, seconds, text } from "./values.js"

interface Member {
  signatureKey: SignatureKey
  bundles: KeyPackageBundle[]
  group?: Group
  /** Joined by an external commit that the group has not accepted yet. */
  joining?: Group
}

const lifetimeS = 30n * 86_400n

/** What a restart finds; plain objects, arrays and bytes. */
export interface SavedMembers {
  readonly members: readonly {
    readonly name: string
    readonly signatureKey: SignatureKey
    readonly bundles: readonly KeyPackageBundle[]
    readonly group: Uint8Array | null
    readonly joining: Uint8Array | null
  }[]
  readonly psks: readonly (readonly [string, Uint8Array])[]
  readonly refused: readonly string[]
}

export class Members {
  private readonly members = new Map<string, Member>()
  private readonly psks = new Map<string, Uint8Array>()
  private readonly refused = new Set<string>()
  private readonly opened = Mls.open({
    checkMember: (identity) => !this.refused.has(base64(identity)),
    findPsk: (id) => this.psks.get(base64(id)),
  })

  async save(): Promise<SavedMembers> {
    const members = [...this.members].map(async ([name, { signatureKey, bundles, group, joining }]) => ({
      name,
      signatureKey,
      bundles,
      group: (await group?.save()) ?? null,
      joining: (await joining?.save()) ?? null,
    }))
    return { members: await Promise.all(members), psks: [...this.psks], refused: [...this.refused] }
  }

  async load(saved: SavedMembers): Promise<void> {
    const mls = await this.opened
    for (const { name, signatureKey, bundles, group, joining } of saved.members) {
      this.members.set(name, {
        signatureKey,
        bundles: [...bundles],
        ...(group && { group: await mls.load(group) }),
        ...(joining && { joining: await mls.load(joining) }),
      })
    }
    saved.psks.forEach(([id, secret]) => this.psks.set(id, secret))
    saved.refused.forEach((identity) => this.refused.add(identity))
  }

  ops(): Record<string, Op> {
    return memberOps(this.members, this.psks, this.refused, this.opened)
  }
}

function memberOps(
  members: Map<string, Member>,
  psks: Map<string, Uint8Array>,
  refused: Set<string>,
  opened: Promise<Mls>,
): Record<string, Op> {
  const member = (name: unknown): Member => {
    const known = members.get(text(name))
    if (known === undefined) throw new Error(`no member ${text(name)}`)
    return known
  }
  const group = (name: unknown): Group => {
    const { group } = member(name)
    if (group === undefined) throw new Error(`${text(name)} is in no group`)
    return group
  }
  const newest = (name: unknown): KeyPackageBundle => {
    const bundle = member(name).bundles.at(-1)
    if (bundle === undefined) throw new Error(`${text(name)} has no key package`)
    return bundle
  }

  return {
    async key_package(request) {
      const name = text(request["member"])
      const nowS = seconds(request["now_s"])
      const mls = await opened
      const known = members.get(name) ?? { signatureKey: await mls.createSignatureKey(), bundles: [] }
      const mine = await mls.createKeyPackage({
        identity: bytes(request["identity"]),
        signatureKey: known.signatureKey,
        notBeforeS: nowS - 60n,
        notAfterS: nowS + lifetimeS,
      })
      known.bundles.push(mine)
      members.set(name, known)
      return { key_package: base64(mine.keyPackage), ref: base64(mine.ref) }
    },

    async create(request) {
      member(request["member"]).group = await (await opened).createGroup(bytes(request["group_id"]), newest(request["member"]))
      return {}
    },

    async join(request) {
      const joining = member(request["member"])
      joining.group = await (await opened).join(bytes(request["welcome"]), joining.bundles)
      return {}
    },

    async join_external(request) {
      const options = { rejoin: request["rejoin"] === true }
      const joined = await (await opened).joinExternal(bytes(request["group_info"]), newest(request["member"]), options)
      member(request["member"]).joining = joined.group
      return { commit: base64(joined.commit) }
    },

    async commit(request) {
      const made = await group(request["member"]).commit({
        add: list(request["add"]).map(bytes),
        remove: list(request["remove"]).map(number),
        psks: list(request["psks"]).map(bytes),
        nowS: seconds(request["now_s"]),
      })
      return { commit: base64(made.commit), welcome: made.welcome && base64(made.welcome) }
    },

    async merge(request) {
      const merging = member(request["member"])
      if (merging.joining !== undefined) {
        merging.group = merging.joining
        delete merging.joining
      } else await group(request["member"]).mergeStaged()
      return {}
    },

    async discard(request) {
      await group(request["member"]).discardStaged()
      return {}
    },

    async propose(request) {
      const nowS = seconds(request["now_s"])
      const proposing = group(request["member"])
      if (request["add"] !== undefined) return { message: base64(await proposing.propose({ add: bytes(request["add"]), nowS })) }
      if (request["psk"] !== undefined) return { message: base64(await proposing.propose({ psk: bytes(request["psk"]) })) }
      return { message: base64(await proposing.propose({ remove: number(request["remove"]) })) }
    },

    async protect(request) {
      const wanted = request["message_bytes"]
      const padded = wanted === undefined ? {} : { pad: () => number(wanted) }
      return { message: base64(await group(request["member"]).protect(bytes(request["data"]), padded)) }
    },

    /** One message to many members; each answers by itself, with a result or an error. */
    async process(request) {
      const message = bytes(request["message"])
      const results: unknown[] = []
      for (const name of list(request["members"])) {
        try {
          results.push(received(await group(name).process(message)))
        } catch (error) {
          const { name, message } = error as Error
          results.push({ error: { type: name, message } })
        }
      }
      return { results }
    },

    async views(request) {
      const label = text(request["label"])
      const context = bytes(request["context"])
      const view = async (name: unknown) => {
        const own = group(name)
        return {
          epoch: Number(own.epoch),
          authenticator: base64(own.epochAuthenticator),
          tree_hash: base64(own.treeHash),
          exported: base64(await own.export(label, context, number(request["length"]))),
          leaf: own.ownLeaf,
          members: own.members().map(({ leaf, identity }) => [leaf, base64(identity)]),
        }
      }
      return { views: await Promise.all(list(request["members"]).map(view)) }
    },

    async group_info(request) {
      return { group_info: base64(await group(request["member"]).groupInfo()) }
    },

    /** The member goes on with what it would find after a restart. */
    async reload(request) {
      const saved = await group(request["member"]).save()
      member(request["member"]).group = await (await opened).load(saved)
      return { bytes: saved.length }
    },

    /** A thief's copy: a second member with the same state. */
    async steal(request) {
      const saved = await group(request["member"]).save()
      const { signatureKey } = member(request["member"])
      members.set(text(request["thief"]), { signatureKey, bundles: [], group: await (await opened).load(saved) })
      return {}
    },

    async psk(request) {
      psks.set(text(request["psk_id"]), bytes(request["secret"]))
      return {}
    },

    /** From now on the device list knows nothing of this identity. */
    async refuse(request) {
      refused.add(text(request["identity"]))
      return {}
    },

    async forge_pathless_remove(request) {
      const saved = await group(request["member"]).save()
      return { commit: base64(await forgePathlessRemove(saved, number(request["remove"]))) }
    },

    async reset(_request: Request) {
      members.clear()
      psks.clear()
      refused.clear()
      return {}
    },
  }
}

function received(result: Received): unknown {
  if (result.kind === "proposal") return result
  if (result.kind === "commit") return { kind: result.kind, removedSelf: result.removedSelf, epoch: Number(result.epoch) }
  return { kind: result.kind, sender: result.sender, identity: base64(result.identity), data: base64(result.data) }
}
