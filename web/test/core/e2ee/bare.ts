// A few members of one group by ts-mls itself, without our adapter: what the patch tests drive.
import {
  type CiphersuiteImpl,
  type ClientState,
  type KeyPackage,
  type MLSMessage,
  type PrivateKeyPackage,
  type Proposal,
  type PskIndex,
  createCommit,
  createGroup,
  decodeMlsMessage,
  emptyPskIndex,
  encodeMlsMessage,
  generateKeyPackage,
  joinGroup,
  processMessage,
} from "ts-mls"
import { capabilities, clientConfig, openSuite } from "../../../src/core/e2ee/mls-config.js"

export const suite: CiphersuiteImpl = await openSuite()
export const config = clientConfig(() => true)

export interface Bundle {
  publicPackage: KeyPackage
  privatePackage: PrivateKeyPackage
}

export function bundle(name: string, extensionTypes: number[] = []): Promise<Bundle> {
  const identity = new TextEncoder().encode(name)
  const nowS = BigInt(Math.floor(Date.now() / 1000))
  const lifetime = { notBefore: nowS - 3600n, notAfter: nowS + 86_400n }
  const caps = { ...capabilities, extensions: extensionTypes }
  return generateKeyPackage({ credentialType: "basic", identity }, caps, lifetime, [], suite)
}

export const add = ({ publicPackage }: Bundle): Proposal => ({ proposalType: "add", add: { keyPackage: publicPackage } })
export const remove = (removed: number): Proposal => ({ proposalType: "remove", remove: { removed } })

/** Over the wire and back, as another client would get it. */
export function reread<T extends MLSMessage>(message: T): T {
  const decoded = decodeMlsMessage(encodeMlsMessage(message), 0)
  if (decoded === undefined) throw new Error("a message that does not decode")
  return decoded[0] as T
}

export async function process(state: ClientState, message: MLSMessage, psks: PskIndex = emptyPskIndex): Promise<ClientState> {
  const read = reread(message)
  if (read.wireformat !== "mls_private_message" && read.wireformat !== "mls_public_message") throw new Error(read.wireformat)
  return (await processMessage(read, state, psks, () => "accept", suite)).newState
}

/** A group by leaf index; `undefined` where nobody is. Every commit is processed by everybody else. */
export class BareGroup {
  readonly members: (ClientState | undefined)[] = []

  static async create(size: number, extensionTypes: number[] = []): Promise<BareGroup> {
    const group = new BareGroup()
    const first = await bundle("m0", extensionTypes)
    group.members.push(await createGroup(new Uint8Array([7]), first.publicPackage, first.privatePackage, [], suite, config))
    const rest = await Promise.all(Array.from({ length: size - 1 }, (_, i) => bundle(`m${i + 1}`, extensionTypes)))
    await group.commit(0, rest.map(add), rest)
    return group
  }

  at(leaf: number): ClientState {
    const member = this.members[leaf]
    if (member === undefined) throw new Error(`nobody is at leaf ${leaf}`)
    return member
  }

  /** Commits as `committer`; removed members leave, `joiners` join by the Welcome. Returns the commit. */
  async commit(committer: number, proposals: Proposal[], joiners: Bundle[] = []): Promise<MLSMessage> {
    const state = this.at(committer)
    const made = await createCommit({ state, cipherSuite: suite }, { extraProposals: proposals, ratchetTreeExtension: true })
    for (const p of proposals) if (p.proposalType === "remove") this.members[p.remove.removed] = undefined
    for (const [leaf, member] of this.members.entries())
      if (member !== undefined && leaf !== committer) this.members[leaf] = await process(member, made.commit)
    this.members[committer] = made.newState
    for (const { publicPackage, privatePackage } of joiners) {
      if (made.welcome === undefined) throw new Error("no Welcome")
      const { welcome } = reread({ version: "mls10", wireformat: "mls_welcome", welcome: made.welcome })
      const joined = await joinGroup(welcome, publicPackage, privatePackage, emptyPskIndex, suite, undefined, undefined, config)
      this.members[joined.privatePath.leafIndex] = joined
    }
    return made.commit
  }

  /** True when all present members are in the same epoch with the same secrets. */
  agrees(): boolean {
    const views = this.members.flatMap((m) => (m ? [Buffer.from(m.keySchedule.epochAuthenticator).toString("hex")] : []))
    return new Set(views).size === 1
  }
}
