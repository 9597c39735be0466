// One MLS group as this device sees it. Every method either succeeds or leaves the group as it was.
import {
  type CiphersuiteImpl,
  type ClientState,
  type MLSMessage,
  type PrivateMessage,
  type Proposal,
  type PskIndex,
  createApplicationMessage,
  createCommit,
  createGroupInfoWithExternalPubAndRatchetTree,
  createProposal,
  encodeMlsMessage,
  mlsExporter,
  processMessage,
  zeroOutUint8Array,
} from "ts-mls"
import { decryptSenderData } from "ts-mls/privateMessage.js"
import { consumeRatchet } from "ts-mls/secretTree.js"
import { leafToNodeIndex, toLeafIndex } from "ts-mls/treemath.js"
import { paddedBytesDefault } from "./mls-config.js"
import { MlsEpochError, MlsRefusedError, MlsRemovedError, MlsUsageError, typed } from "./mls-errors.js"
import {
  type Incoming,
  type LeafIndex,
  type Member,
  checkTransition,
  identityOf,
  leafAt,
  membersOf,
  newcomers,
  profileViolation,
  sameBytes,
} from "./mls-rules.js"
import { type StagedCommit, encodeGroup } from "./mls-state.js"
import { type Pad, addProposal, contentBytes, parseMessage, pskProposal, removeProposal } from "./mls-wire.js"

export type Received =
  | { kind: "application"; sender: LeafIndex; identity: Uint8Array; data: Uint8Array; authenticatedData: Uint8Array }
  | { kind: "proposal"; sender: LeafIndex }
  | ({ kind: "commit" } & Applied)

/** A commit took effect: the group is at `epoch`, unless `removedSelf`. */
export interface Applied {
  /** The committer's leaf; `undefined` when somebody joined by an external commit, who is then in `added`. */
  readonly committer: LeafIndex | undefined
  /** True when our staged commit came back. */
  readonly own: boolean
  readonly removedSelf: boolean
  readonly epoch: bigint
  readonly added: Member[]
  readonly removed: Member[]
}

export interface Change {
  readonly add?: readonly Uint8Array[]
  readonly remove?: readonly LeafIndex[]
  readonly psks?: readonly Uint8Array[]
  /** Now, in seconds since 1970: key packages that are added must be valid. */
  readonly nowS: bigint
}

export class Group {
  private last: Promise<unknown> = Promise.resolve()

  constructor(
    private readonly suite: CiphersuiteImpl,
    private readonly psks: PskIndex,
    private state: ClientState,
    private staged: StagedCommit | undefined,
  ) {}

  get groupId(): Uint8Array {
    return this.state.groupContext.groupId.slice()
  }
  get epoch(): bigint {
    return this.state.groupContext.epoch
  }
  get treeHash(): Uint8Array {
    return this.state.groupContext.treeHash.slice()
  }
  /** Equal for all members of an epoch, and for nobody else (RFC 9420 section 8.7). */
  get epochAuthenticator(): Uint8Array {
    return this.state.keySchedule.epochAuthenticator.slice()
  }
  get ownLeaf(): LeafIndex {
    return this.state.privatePath.leafIndex
  }
  get stagedCommit(): Pick<StagedCommit, "commit" | "welcome"> | undefined {
    return this.staged
  }
  get isRemoved(): boolean {
    return this.state.groupActiveState.kind === "removedFromGroup"
  }

  members(): Member[] {
    return membersOf(this.state)
  }

  /**
   * Makes a commit (RFC 9420 section 12.4) of `change` and of the proposals received in this epoch; an empty one
   * renews our own keys. Store `save()`, send `commit`, and call `mergeStaged` once the server accepted it; only then
   * send `welcome`. Another member's commit for the same epoch, when processed, drops it.
   */
  commit(change: Change): Promise<{ commit: Uint8Array; welcome: Uint8Array | undefined }> {
    return this.exclusive(async () => {
      this.requireSendable()
      const extraProposals = [
        ...(change.remove ?? []).map((leaf) => this.removal(leaf)),
        ...(change.add ?? []).map((keyPackage) => addProposal(keyPackage, change.nowS)),
        ...(change.psks ?? []).map((id) => pskProposal(id, this.suite)),
      ]
      const context = { state: this.state, cipherSuite: this.suite, pskIndex: this.psks }
      const made = await createCommit(context, { extraProposals, ratchetTreeExtension: true })
      // The library does not count the handshake key that it just used; without this a commit that is refused and
      // one made after it would share a key.
      const burned = await consumeRatchet(this.state.secretTree, leafToNodeIndex(toLeafIndex(this.ownLeaf)), "commit", this.suite)
      this.state = { ...this.state, secretTree: burned.newTree }
      burned.consumed.forEach(zeroOutUint8Array)
      this.staged = {
        commit: encodeMlsMessage(made.commit),
        welcome: made.welcome && encodeMlsMessage({ version: "mls10", wireformat: "mls_welcome", welcome: made.welcome }),
        next: made.newState,
      }
      return { commit: this.staged.commit, welcome: this.staged.welcome }
    })
  }

  /** The server accepted our commit: the group moves to the next epoch. */
  mergeStaged(): Promise<void> {
    return this.exclusive(async () => this.merge())
  }

  private merge(): void {
    if (this.staged === undefined) throw new MlsUsageError("no commit is staged")
    const { next } = this.staged
    const epoch = this.state.groupContext.epoch
    const past = next.historicalReceiverData.get(epoch)
    const historicalReceiverData = new Map(next.historicalReceiverData)
    // `next` remembers this epoch as it was when the commit was made. Messages read since then must stay read.
    if (past !== undefined) historicalReceiverData.set(epoch, { ...past, secretTree: this.state.secretTree })
    const spent = this.state.keySchedule.initSecret
    this.state = { ...next, historicalReceiverData }
    this.staged = undefined
    zeroOutUint8Array(spent)
  }

  /** Forgets our commit; only when it is certain that the server will never accept it. */
  discardStaged(): Promise<void> {
    return this.exclusive(async () => {
      this.staged = undefined
    })
  }

  /** Makes a proposal (RFC 9420 section 12.1) that any member's next commit covers. Send it before anything else. */
  propose(proposal: { add: Uint8Array; nowS: bigint } | { remove: LeafIndex } | { psk: Uint8Array }): Promise<Uint8Array> {
    return this.exclusive(async () => {
      this.requireSendable()
      let made: Proposal
      if ("add" in proposal) made = addProposal(proposal.add, proposal.nowS)
      else if ("psk" in proposal) made = pskProposal(proposal.psk, this.suite)
      else made = this.removal(proposal.remove)
      const { newState, message } = await createProposal(this.state, false, made, this.suite)
      this.state = newState
      return encodeMlsMessage(message)
    })
  }

  /**
   * Encrypts `data` for the members of this epoch (RFC 9420 section 6.3). `pad` says how long the whole message should
   * be; without it, short messages are all equally long.
   */
  protect(data: Uint8Array, options: { authenticatedData?: Uint8Array; pad?: Pad } = {}): Promise<Uint8Array> {
    return this.exclusive(async () => {
      if (this.isRemoved) throw new MlsRemovedError("this device is not a member any more")
      const { clientConfig, groupContext } = this.state
      const authenticatedBytes = options.authenticatedData?.length ?? 0
      const padUntilLength = options.pad
        ? contentBytes(options.pad, groupContext.groupId.length, authenticatedBytes, data.length)
        : paddedBytesDefault
      const paddingConfig = { kind: "padUntilLength", padUntilLength } as const
      const padded = { ...this.state, clientConfig: { ...clientConfig, paddingConfig } }
      const made = await createApplicationMessage(padded, data, this.suite, options.authenticatedData)
      const message = encodeMlsMessage({ version: "mls10", wireformat: "mls_private_message", privateMessage: made.privateMessage })
      this.state = { ...made.newState, clientConfig }
      made.consumed.forEach(zeroOutUint8Array)
      return message
    })
  }

  /** Takes in one message of the group, of anybody; a message is taken once, a second time is refused. */
  process(bytes: Uint8Array): Promise<Received> {
    return this.exclusive(async () => {
      if (this.isRemoved) throw new MlsRemovedError("this device is not a member any more")
      if (this.staged !== undefined && sameBytes(bytes, this.staged.commit)) {
        const before = this.members()
        this.merge()
        return this.applied(before, { committer: this.ownLeaf, own: true, removedSelf: false })
      }
      const message = parseMessage(bytes)
      if (message.wireformat === "mls_private_message") return this.processPrivate(message)
      if (message.wireformat === "mls_public_message") return this.processPublic(message)
      throw new MlsUsageError(`a ${message.wireformat}, which is not a message to a group`)
    })
  }

  private processPublic(message: MLSMessage & { wireformat: "mls_public_message" }): Promise<Received> {
    const { content } = message.publicMessage
    this.requireThisGroup(content.groupId, content.epoch, 0)
    if (content.contentType !== "commit" || content.sender.senderType !== "new_member_commit")
      throw new MlsRefusedError("a public message that is not an external commit")
    return this.apply(message)
  }

  private async processPrivate(message: MLSMessage & { wireformat: "mls_private_message" }): Promise<Received> {
    const { privateMessage } = message
    const pastEpochs = privateMessage.contentType === "application" ? this.state.historicalReceiverData.size : 0
    this.requireThisGroup(privateMessage.groupId, privateMessage.epoch, pastEpochs)
    if (privateMessage.contentType !== "application") return this.apply(message)
    const { sender, identity } = await this.senderOf(privateMessage)
    const result = await processMessage(message, this.state, this.psks, () => "reject", this.suite)
    if (result.kind !== "applicationMessage") throw new MlsRefusedError("a message that is not what it says")
    this.state = result.newState
    const data = result.message.slice()
    result.consumed.forEach(zeroOutUint8Array)
    return { kind: "application", sender, identity, data, authenticatedData: privateMessage.authenticatedData.slice() }
  }

  /** Processes a handshake message and keeps the new state only if our own rules hold as well. */
  private async apply(message: Parameters<typeof processMessage>[0]): Promise<Received> {
    let incoming: Incoming | undefined
    let violation: string | undefined
    const result = await processMessage(
      message,
      this.state,
      this.psks,
      (seen) => {
        incoming = seen
        violation = profileViolation(seen)
        return violation === undefined ? "accept" : "reject"
      },
      this.suite,
    )
    const seen = incoming as Incoming | undefined
    if (seen === undefined || result.kind !== "newState") throw new MlsRefusedError("a message that is not what it says")
    if (violation !== undefined || result.actionTaken === "reject") throw new MlsRefusedError(violation ?? "a refused message")
    if (seen.kind === "proposal") {
      this.state = result.newState
      return { kind: "proposal", sender: seen.proposal.senderLeafIndex ?? 0 }
    }
    const removedSelf = result.newState.groupActiveState.kind === "removedFromGroup"
    if (!removedSelf) checkTransition(this.state, result.newState, seen)
    const before = this.members()
    this.state = result.newState
    this.staged = undefined
    result.consumed.forEach(zeroOutUint8Array)
    return this.applied(before, { committer: seen.senderLeafIndex, own: false, removedSelf })
  }

  private applied(before: Member[], how: Pick<Applied, "committer" | "own" | "removedSelf">): Received {
    const after = this.members()
    return { kind: "commit", ...how, epoch: this.epoch, added: newcomers(before, after), removed: newcomers(after, before) }
  }

  /** The sender as its sender data says; `process` fails unless that leaf's signature verifies. */
  private async senderOf(message: PrivateMessage): Promise<{ sender: LeafIndex; identity: Uint8Array }> {
    const past = this.state.historicalReceiverData.get(message.epoch)
    const current = message.epoch === this.epoch
    const secret = current ? this.state.keySchedule.senderDataSecret : past?.senderDataSecret
    const tree = current ? this.state.ratchetTree : past?.ratchetTree
    const senderData = secret && (await decryptSenderData(message, secret, this.suite))
    const node = senderData && tree?.[senderData.leafIndex * 2]
    if (node?.nodeType !== "leaf") throw new MlsRefusedError("a message from no member")
    return { sender: senderData?.leafIndex ?? 0, identity: identityOf(node.leaf) }
  }

  /** RFC 9420 section 8.5: a secret of this epoch for the application; all members get the same. */
  export(label: string, context: Uint8Array, lengthBytes: number): Promise<Uint8Array> {
    return this.exclusive(async () => {
      if (this.isRemoved) throw new MlsRemovedError("this device is not a member any more")
      return mlsExporter(this.state.keySchedule.exporterSecret, label, context, lengthBytes, this.suite)
    })
  }

  /** What somebody needs to join by an external commit; give it to invited devices only. */
  groupInfo(): Promise<Uint8Array> {
    return this.exclusive(async () => {
      this.requireSendable()
      const groupInfo = await createGroupInfoWithExternalPubAndRatchetTree(this.state, [], this.suite)
      return encodeMlsMessage({ version: "mls10", wireformat: "mls_group_info", groupInfo })
    })
  }

  /** Everything, keys included: encrypt it before it is stored, and store it before what it covers is sent. */
  save(): Promise<Uint8Array> {
    return this.exclusive(async () => encodeGroup(this.state, this.staged))
  }

  /** One call at a time: two that interleave would start from the same ratchet and use one key twice. */
  private exclusive<T>(work: () => Promise<T>): Promise<T> {
    const run = this.last.then(() => typed(work))
    this.last = run.catch(() => undefined)
    return run
  }

  private removal(leaf: LeafIndex): Proposal {
    if (leafAt(this.state, leaf) === undefined) throw new MlsUsageError(`nobody is at leaf ${leaf}`)
    return removeProposal(leaf)
  }

  private requireSendable(): void {
    if (this.isRemoved) throw new MlsRemovedError("this device is not a member any more")
    if (this.staged !== undefined) throw new MlsUsageError("a commit is staged; merge or discard it first")
  }

  private requireThisGroup(groupId: Uint8Array, epoch: bigint, pastEpochs: number): void {
    if (!sameBytes(groupId, this.state.groupContext.groupId)) throw new MlsRefusedError("a message to another group")
    if (epoch > this.epoch || epoch < this.epoch - BigInt(pastEpochs))
      throw new MlsEpochError(`a message of epoch ${epoch}; the group is at ${this.epoch}`)
  }
}
