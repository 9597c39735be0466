// The one place that knows ts-mls. Everything else speaks to these calls; bytes in, bytes out.
//
//   const mls = await Mls.open({ checkMember, findPsk })
//   const mine = await mls.createKeyPackage({ identity, notBeforeS, notAfterS })
//   const group = await mls.createGroup(groupId, mine)       or  mls.join(welcome, [mine])  or  mls.joinExternal(info, mine)
//   const { commit, welcome } = await group.commit({ add: [theirs], nowS })     store save(), then send commit
//   await group.mergeStaged()                                                   once the server has accepted it
//
// Unaudited. ts-mls is pinned and carries the edits in patches/.
import {
  type CiphersuiteImpl,
  type ClientConfig,
  type ClientState,
  type PskIndex,
  createGroup,
  encodeMlsMessage,
  generateKeyPackageWithKey,
  joinGroup,
  joinGroupExternal,
} from "ts-mls"
import { encodeKeyPackage, makeKeyPackageRef } from "ts-mls/keyPackage.js"
import { type CheckMember, type FindPsk, capabilities, clientConfig, openSuite, pskIndex } from "./mls-config.js"
import { MlsRefusedError, MlsUsageError, typed } from "./mls-errors.js"
import { Group } from "./mls-group.js"
import { sameBytes } from "./mls-rules.js"
import { decodeGroup } from "./mls-state.js"
import { parseKeyPackage, parseMessage } from "./mls-wire.js"

export { Group, type Applied, type Change, type Received } from "./mls-group.js"
export type { Member } from "./mls-rules.js"
export type { CheckMember, FindPsk } from "./mls-config.js"
export type { Pad } from "./mls-wire.js"
export * from "./mls-errors.js"

/** Ed25519: 32 bytes public; the private half as the library made it, or a 32-byte seed. */
export interface SignatureKey {
  readonly publicKey: Uint8Array
  readonly privateKey: Uint8Array
}

/** A KeyPackage (RFC 9420 section 10) and the private keys behind it. Each joins one group, then is deleted. */
export interface KeyPackageBundle {
  readonly keyPackage: Uint8Array
  readonly ref: Uint8Array
  readonly initPrivateKey: Uint8Array
  readonly encryptionPrivateKey: Uint8Array
  readonly signatureKey: SignatureKey
}

export class Mls {
  private constructor(
    private readonly suite: CiphersuiteImpl,
    private readonly config: ClientConfig,
    private readonly psks: PskIndex,
  ) {}

  /** `checkMember` must consult the signed device list; there is no default, because the library's accepts everybody. */
  static async open(options: { checkMember: CheckMember; findPsk?: FindPsk }): Promise<Mls> {
    const findPsk = options.findPsk ?? (() => undefined)
    return new Mls(await openSuite(), clientConfig(options.checkMember), pskIndex(findPsk))
  }

  createSignatureKey(): Promise<SignatureKey> {
    return typed(async () => {
      const { publicKey, signKey } = await this.suite.signature.keygen()
      return { publicKey, privateKey: signKey }
    })
  }

  createKeyPackage(options: {
    identity: Uint8Array
    signatureKey?: SignatureKey
    notBeforeS: bigint
    notAfterS: bigint
  }): Promise<KeyPackageBundle> {
    return typed(async () => {
      const signatureKey = options.signatureKey ?? (await this.createSignatureKey())
      const { publicPackage, privatePackage } = await generateKeyPackageWithKey(
        { credentialType: "basic", identity: options.identity },
        capabilities,
        { notBefore: options.notBeforeS, notAfter: options.notAfterS },
        [],
        { signKey: signatureKey.privateKey, publicKey: signatureKey.publicKey },
        this.suite,
      )
      return {
        keyPackage: encodeKeyPackage(publicPackage),
        ref: await makeKeyPackageRef(publicPackage, this.suite.hash),
        initPrivateKey: privatePackage.initPrivateKey,
        encryptionPrivateKey: privatePackage.hpkePrivateKey,
        signatureKey,
      }
    })
  }

  /** RFC 9420 section 11: a group of one, at epoch 0. */
  createGroup(groupId: Uint8Array, mine: KeyPackageBundle): Promise<Group> {
    return typed(async () => {
      const state = await createGroup(groupId, parseKeyPackage(mine.keyPackage), privateHalf(mine), [], this.suite, this.config)
      return this.group(state)
    })
  }

  /** RFC 9420 section 12.4.3.1: joins by the key package that the Welcome was made for. */
  join(welcome: Uint8Array, bundles: readonly KeyPackageBundle[]): Promise<Group> {
    return typed(async () => {
      const message = parseMessage(welcome)
      if (message.wireformat !== "mls_welcome") throw new MlsUsageError(`a ${message.wireformat}, not a Welcome`)
      this.requireSuite(message.welcome.cipherSuite)
      const mine = bundles.find(({ ref }) => message.welcome.secrets.some(({ newMember }) => sameBytes(newMember, ref)))
      if (mine === undefined) throw new MlsUsageError("a Welcome for none of these key packages")
      const own = parseKeyPackage(mine.keyPackage)
      const state = await joinGroup(message.welcome, own, privateHalf(mine), this.psks, this.suite, undefined, undefined, this.config)
      return this.group(state)
    })
  }

  /**
   * RFC 9420 section 12.4.3.2: joins by a commit of one's own; send `commit`, and keep the group only once it is
   * accepted. `rejoin` removes the former leaf of the same signature key in the same step.
   */
  joinExternal(
    groupInfo: Uint8Array,
    mine: KeyPackageBundle,
    { rejoin = false }: { rejoin?: boolean } = {},
  ): Promise<{ group: Group; commit: Uint8Array }> {
    return typed(async () => {
      const message = parseMessage(groupInfo)
      if (message.wireformat !== "mls_group_info") throw new MlsUsageError(`a ${message.wireformat}, not a GroupInfo`)
      this.requireSuite(message.groupInfo.groupContext.cipherSuite)
      const own = parseKeyPackage(mine.keyPackage)
      const joined = await joinGroupExternal(message.groupInfo, own, privateHalf(mine), rejoin, this.suite, undefined, this.config)
      const commit = encodeMlsMessage({ version: "mls10", wireformat: "mls_public_message", publicMessage: joined.publicMessage })
      return { group: this.group(joined.newState), commit }
    })
  }

  /** The group as `Group.save` left it, with its staged commit. */
  load(saved: Uint8Array): Promise<Group> {
    return typed(async () => {
      const { state, staged } = decodeGroup(saved, this.config)
      return new Group(this.suite, this.psks, state, staged)
    })
  }

  /** The library reads neither of these two fields; in a Welcome nothing else authenticates it. */
  private requireSuite(name: string): void {
    if (name !== this.suite.name) throw new MlsRefusedError(`suite ${name}`)
  }

  private group(state: ClientState): Group {
    return new Group(this.suite, this.psks, state, undefined)
  }
}

function privateHalf(mine: KeyPackageBundle) {
  // Copies: the library keeps what it is given, and the group zeroes keys that are used up.
  return {
    initPrivateKey: mine.initPrivateKey.slice(),
    hpkePrivateKey: mine.encryptionPrivateKey.slice(),
    signaturePrivateKey: mine.signatureKey.privateKey.slice(),
  }
}
