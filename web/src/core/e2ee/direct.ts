// What two devices say to open a direct channel during a call, sealed (docs/spec/media.md section 8.2).
//
// Addresses and keys of the channel are the two devices' own business: they travel as SFrame frames (RFC 9605) under
// keys made from the call's, so the server sees neither, and nobody else's offer is opened.
import { concat } from "../bytes.js"
import { utf8 } from "../utf8.js"
import { hmac } from "../webcrypto.js"
import { decodeDeterministic, encodeDeterministic, type Value } from "./content/cbor.js"
import { ContentError, Reason } from "./content/errors.js"
import {
  ADDRESS_PATTERN, CANDIDATES_MAX, DIRECT_KINDS, DIRECT_LABEL, DIRECT_VERSION, FINGERPRINT_BYTES, PASSWORD_PATTERN, UFRAG_PATTERN,
} from "./direct-constants.js"

/** A UDP address of the device itself. */
export interface Candidate {
  readonly address: string
  readonly port: number
}

/** What the other side needs to connect: ICE credentials (RFC 8445), the certificate's SHA-256, addresses. */
export interface Description {
  readonly ufrag: string
  readonly password: string
  readonly fingerprint: Uint8Array
  readonly candidates: readonly Candidate[]
}

/** `description` comes with offer and answer alone; `attempt` is the offerer's number. */
export interface DirectMessage {
  readonly kind: (typeof DIRECT_KINDS)[number]
  readonly attempt: number
  readonly description: Description | null
}

/** The base key of the signalling frames, from the call's base key of the same epoch: HKDF-Expand, one block. */
export const directBaseKey = (baseKey: Uint8Array): Promise<Uint8Array> => hmac("SHA-256", baseKey, concat(utf8(DIRECT_LABEL), Uint8Array.of(1)))

/** The payload of a signalling frame. Throws ContentError for a message that `decodeDirect` would refuse. */
export function encodeDirect({ kind, attempt, description }: DirectMessage): Uint8Array {
  const fields: Value[] = [DIRECT_VERSION, DIRECT_KINDS.indexOf(kind), attempt]
  if (description !== null) {
    const { ufrag, password, fingerprint, candidates } = description
    fields.push(ufrag, password, fingerprint, candidates.map(({ address, port }) => [address, port]))
  }
  const encoded = encodeDeterministic(fields)
  decodeDirect(encoded)
  return encoded
}

/** Reads and checks a payload. Throws ContentError. */
export function decodeDirect(payload: Uint8Array): DirectMessage {
  const value = decodeDeterministic(payload)
  if (!Array.isArray(value) || value.length < 3) throw bad("no array of three or more")
  const [version, number, given, ...fields] = value as readonly Value[]
  if (version !== DIRECT_VERSION) throw new ContentError(Reason.UNSUPPORTED_VERSION, "another version of the direct channel")
  const kind = DIRECT_KINDS[numberOf(number, 2 ** 32)]
  const attempt = numberOf(given, 2 ** 32 - 1)
  if (kind === undefined) throw new ContentError(Reason.UNKNOWN_KIND, `message ${String(number)}`)
  const isDescribed = kind === "offer" || kind === "answer"
  if (fields.length !== (isDescribed ? 4 : 0)) throw bad(`fields of ${kind}`)
  return { kind, attempt, description: isDescribed ? descriptionOf(fields) : null }
}

function descriptionOf([ufrag, password, fingerprint, candidates]: readonly Value[]): Description {
  if (!(fingerprint instanceof Uint8Array) || fingerprint.length !== FINGERPRINT_BYTES) throw bad("no SHA-256 of a certificate")
  if (!Array.isArray(candidates) || candidates.length > CANDIDATES_MAX) throw bad("no list of candidates")
  return {
    ufrag: textOf(ufrag, UFRAG_PATTERN),
    password: textOf(password, PASSWORD_PATTERN),
    fingerprint,
    candidates: (candidates as readonly Value[]).map(candidateOf),
  }
}

function candidateOf(value: Value): Candidate {
  const [address, port, ...more] = Array.isArray(value) ? (value as readonly Value[]) : []
  if (more.length > 0 || port === 0) throw bad("no candidate")
  return { address: textOf(address, ADDRESS_PATTERN), port: numberOf(port, 65_535) }
}

/** An address becomes part of a line of SDP: nothing may end that line. */
function textOf(value: Value | undefined, pattern: string): string {
  if (typeof value !== "string" || !new RegExp(`^(?:${pattern})$`, "u").test(value)) throw bad("a text of another form")
  return value
}

function numberOf(value: Value | undefined, maximum: number): number {
  if (typeof value !== "number" || value < 0 || value > maximum) throw bad(`no number from 0 to ${maximum}`)
  return value
}

const bad = (message: string): ContentError => new ContentError(Reason.BAD_BODY, message)
