// Our profile of RFC 9420, as the library's configuration: what we offer, what we keep, what we accept.
import {
  type Capabilities,
  type CiphersuiteImpl,
  type ClientConfig,
  type Credential,
  type KeyRetentionConfig,
  type PskIndex,
  defaultKeyPackageEqualityConfig,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
} from "ts-mls"

/** Suite 1, RFC 9420 section 17.1: the one suite of version 1. */
const suiteName = "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519"

export const openSuite = (): Promise<CiphersuiteImpl> => getCiphersuiteImpl(getCiphersuiteFromName(suiteName))

/** Asked for each leaf that is added, updated or found on joining: does this account list this signature key? */
export type CheckMember = (identity: Uint8Array, signatureKey: Uint8Array) => boolean | Promise<boolean>

/** The secret of an external pre-shared key, by its id; `undefined` when this device does not have it. */
export type FindPsk = (pskId: Uint8Array) => Uint8Array | undefined

/** What our leaves say of themselves. The library's default would add random values and private suites. */
export const capabilities: Capabilities = {
  versions: ["mls10"],
  ciphersuites: [suiteName],
  extensions: [],
  proposals: [],
  credentials: ["basic"],
}

/**
 * What a device keeps so that late and reordered messages still open.
 *
 * A device that was away for 30 days reads its conversation in order, so it needs no old epochs for that; what it
 * needs is to step over the generations whose records have expired meanwhile. Each old epoch kept costs the size of
 * the whole tree in the saved state, and is a time in which a thief of the state reads back.
 */
export const keyRetention: KeyRetentionConfig = {
  retainKeysForGenerations: 2_000,
  maximumForwardRatchetSteps: 10_000,
  retainKeysForEpochs: 5,
}

/** Longest lifetime of a key package that we add, and clock difference forgiven, in seconds. */
export const lifetimeSMax = 100n * 86_400n
export const clockSkewS = 3_600n

/** Longest MLS message that we look at; the same in the Python core. */
export const messageBytesMax = 16 * 1024 * 1024

/** Application messages are padded to this length unless the caller says otherwise. */
export const paddedBytesDefault = 256

export function clientConfig(checkMember: CheckMember): ClientConfig {
  return {
    keyRetentionConfig: keyRetention,
    // A lifetime is checked when we add, never when we receive: a device that was away would refuse a Commit that the
    // others have accepted long ago, and would lose the group.
    lifetimeConfig: { maximumTotalLifetime: lifetimeSMax, validateLifetimeOnReceive: false },
    keyPackageEqualityConfig: defaultKeyPackageEqualityConfig,
    paddingConfig: { kind: "padUntilLength", padUntilLength: paddedBytesDefault },
    authService: {
      async validateCredential(credential: Credential, signaturePublicKey: Uint8Array): Promise<boolean> {
        return credential.credentialType === "basic" && (await checkMember(credential.identity, signaturePublicKey))
      },
    },
  }
}

/** Resumption keys are not in our profile, so only external ones are looked up. */
export function pskIndex(findPsk: FindPsk): PskIndex {
  return { findPsk: (id) => (id.psktype === "external" ? findPsk(id.pskId) : undefined) }
}
