// What a group looks like on disk: the library's state and, if there is one, our own commit that the server has not
// accepted yet. A restart must find both: the commit may have been accepted while we were down.
import { type ClientConfig, type ClientState, decodeGroupState, encodeGroupState } from "ts-mls"
import { MlsMalformedError } from "./mls-errors.js"

/** Our own commit between sending and acceptance. */
export interface StagedCommit {
  readonly commit: Uint8Array
  readonly welcome: Uint8Array | undefined
  readonly next: ClientState
}

const formatVersion = 1

/** version(1), then for state, commit, welcome, next state: length(4) and bytes; no staged commit is three empty parts. */
export function encodeGroup(state: ClientState, staged: StagedCommit | undefined): Uint8Array {
  const empty = new Uint8Array()
  const parts = [
    encodeGroupState(state),
    staged?.commit ?? empty,
    staged?.welcome ?? empty,
    staged === undefined ? empty : encodeGroupState(staged.next),
  ]
  const out = new Uint8Array(1 + parts.reduce((sum, part) => sum + 4 + part.length, 0))
  const view = new DataView(out.buffer)
  out[0] = formatVersion
  let offset = 1
  for (const part of parts) {
    view.setUint32(offset, part.length)
    out.set(part, offset + 4)
    offset += 4 + part.length
  }
  return out
}

export function decodeGroup(
  saved: Uint8Array,
  config: ClientConfig,
): { state: ClientState; staged: StagedCommit | undefined } {
  if (saved[0] !== formatVersion) throw new MlsMalformedError("a saved group of an unknown format")
  const view = new DataView(saved.buffer, saved.byteOffset, saved.byteLength)
  const parts: Uint8Array[] = []
  let offset = 1
  while (offset < saved.length) {
    const end = offset + 4 <= saved.length ? offset + 4 + view.getUint32(offset) : Infinity
    if (end > saved.length) throw new MlsMalformedError("a saved group that is cut off")
    // A copy: the library keeps views into what it decodes, and we zero keys once they are used.
    parts.push(saved.slice(offset + 4, end))
    offset = end
  }
  const [state, commit, welcome, next] = parts
  if (parts.length !== 4 || !state || !commit || !welcome || !next) throw new MlsMalformedError("a saved group with missing parts")
  return {
    state: decodeState(state, config),
    staged:
      next.length === 0
        ? undefined
        : { commit, welcome: welcome.length === 0 ? undefined : welcome, next: decodeState(next, config) },
  }
}

function decodeState(bytes: Uint8Array, config: ClientConfig): ClientState {
  const decoded = decodeGroupState(bytes, 0)
  if (decoded === undefined || decoded[1] !== bytes.length) throw new MlsMalformedError("a saved group that does not parse")
  // The library's codec writes a proposal's sender as an optional number and takes leaf 0 for "none". We accept
  // proposals from members only, so a missing sender is leaf 0.
  const unappliedProposals = Object.fromEntries(
    Object.entries(decoded[0].unappliedProposals).map(([ref, { proposal, senderLeafIndex }]) => [
      ref,
      { proposal, senderLeafIndex: senderLeafIndex ?? 0 },
    ]),
  )
  return { ...decoded[0], unappliedProposals, clientConfig: config }
}
