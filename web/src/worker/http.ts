// The HTTP half of one server: directory and blobs (docs/spec/directory.md). No cookies, no credentials but the bearer.
import { fromBase64, toBase64, toHex } from "../core/bytes.js"
import { authorityOf } from "../core/origin.js"
import { BLOB_BYTES_MAX } from "../core/protocol/limits.js"
import { fromBytes, sha256 } from "./buffers.js"
import { Refused, Unreachable } from "./errors.js"

const ANSWER_BYTES_MAX = 2 * 1024 * 1024
const TIMEOUT_MS = 60_000

export interface SignedList {
  readonly payload: Uint8Array
  readonly signature: Uint8Array
}
export interface AccountDocument {
  readonly accountId: Uint8Array
  readonly handle: string
  readonly deviceList: SignedList
}
export interface ClaimedKeyPackage {
  readonly deviceId: Uint8Array
  readonly keyPackage: Uint8Array
}
export type Progress = (done: number, total: number) => void
type Json = Readonly<Record<string, unknown>>

export class ServerHttp {
  constructor(readonly origin: string) {}

  get authority(): string {
    return authorityOf(this.origin)
  }

  async createAccount(handle: string, list: SignedList): Promise<void> {
    await this.json("POST", "/v1/accounts", { handle, device_list: signedJson(list) })
  }

  async accountByHandle(handle: string): Promise<AccountDocument> {
    return accountOf(await this.json("GET", `/v1/handles/${encodeURIComponent(handle)}`))
  }

  async account(accountId: Uint8Array): Promise<AccountDocument> {
    return accountOf(await this.json("GET", `/v1/accounts/${toHex(accountId)}`))
  }

  /** One key package of each device of the account. */
  async claimKeyPackages(accountId: Uint8Array): Promise<ClaimedKeyPackage[]> {
    const answer = await this.json("POST", `/v1/accounts/${toHex(accountId)}/key-packages/claim`)
    return list(answer, "key_packages").map((item) => ({
      deviceId: bytes(item, "device_id"),
      keyPackage: bytes(item, "key_package"),
    }))
  }

  async challenge(accountId: Uint8Array, deviceId: Uint8Array): Promise<Uint8Array> {
    const request = { account_id: toBase64(accountId), device_id: toBase64(deviceId) }
    return bytes(await this.json("POST", "/v1/sign-in/challenge", request), "challenge")
  }

  /** A bearer for the calls below. */
  async signIn(accountId: Uint8Array, deviceId: Uint8Array, challenge: Uint8Array, signature: Uint8Array): Promise<string> {
    const answer = await this.json("POST", "/v1/sign-in", {
      account_id: toBase64(accountId),
      device_id: toBase64(deviceId),
      challenge: toBase64(challenge),
      signature: toBase64(signature),
    })
    return text(answer, "session")
  }

  async publishKeyPackages(session: string, packages: readonly Uint8Array[], lastResort: Uint8Array): Promise<void> {
    const body = { key_packages: packages.map(toBase64), last_resort: toBase64(lastResort) }
    await this.json("POST", "/v1/key-packages", body, session)
  }

  async keyPackageCount(session: string): Promise<number> {
    const { count } = await this.json("GET", "/v1/key-packages/count", undefined, session)
    if (typeof count !== "number") throw strange()
    return count
  }

  async deleteAccount(session: string): Promise<void> {
    await this.json("DELETE", "/v1/accounts", undefined, session)
  }

  /** What the server keeps about the signed-in account, column by column. */
  async serverKnows(session: string): Promise<{ what: string; why: string; until: string; value: string }[]> {
    return list(await this.json("GET", "/v1/server-knows", undefined, session), "rows").map((row) => ({
      what: text(row, "what"),
      why: text(row, "why"),
      until: text(row, "until"),
      value: text(row, "value"),
    }))
  }

  /** Uploads ciphertext under its hash. Only this old interface tells how far an upload has come. */
  putBlob(digest: Uint8Array, blob: Uint8Array, progress: Progress): Promise<void> {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest()
      request.open("PUT", `${this.origin}/v1/blobs/${toHex(digest)}`)
      request.setRequestHeader("Content-Type", "application/octet-stream")
      request.upload.onprogress = (event) => progress(event.loaded, blob.length)
      request.onerror = request.ontimeout = request.onabort = () => reject(unreachable(this.origin))
      request.onload = () => (request.status < 400 ? resolve() : reject(refusal(request.status, request.responseText)))
      request.send(fromBytes(blob))
    })
  }

  /** Ciphertext by its hash, checked while it is read. */
  async getBlob(digest: Uint8Array, bytesMax = BLOB_BYTES_MAX, progress: Progress = () => undefined): Promise<Uint8Array> {
    const response = await this.request("GET", `/v1/blobs/${toHex(digest)}`)
    if (!response.ok) throw refusal(response.status, decode(await readAll(response, 65_536)))
    const blob = await readAll(response, bytesMax, progress)
    if (toHex(await sha256(blob)) !== toHex(digest)) throw new Refused("hash_mismatch", "The server sent other bytes than asked for.")
    return blob
  }

  private async json(method: string, path: string, body?: object, session?: string): Promise<Json> {
    const response = await this.request(method, path, body && JSON.stringify(body), session)
    const raw = decode(await readAll(response, ANSWER_BYTES_MAX))
    if (!response.ok) throw refusal(response.status, raw)
    return raw === "" ? {} : object(parse(raw))
  }

  private async request(method: string, path: string, body?: string, session?: string): Promise<Response> {
    const headers: Record<string, string> = session === undefined ? {} : { Authorization: `Bearer ${session}` }
    if (body !== undefined) headers["Content-Type"] = "application/json"
    try {
      return await fetch(this.origin + path, {
        method,
        headers,
        ...(body === undefined ? {} : { body }),
        credentials: "omit",
        redirect: "error",
        referrerPolicy: "no-referrer",
        cache: "no-store",
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
    } catch {
      throw unreachable(this.origin)
    }
  }
}

async function readAll(response: Response, bytesMax: number, progress: Progress = () => undefined): Promise<Uint8Array> {
  const total = Number(response.headers.get("Content-Length") ?? 0)
  const chunks: Uint8Array[] = []
  let length = 0
  const reader = response.body?.getReader()
  for (;;) {
    const { done, value } = (await reader?.read().catch(() => Promise.reject(unreachable(response.url)))) ?? { done: true, value: undefined }
    if (done || value === undefined) break
    length += value.length
    if (length > bytesMax) {
      void reader?.cancel()
      throw new Refused("too_large", "The server sent more than it may.")
    }
    chunks.push(value)
    progress(length, Math.max(total, length))
  }
  const whole = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

const unreachable = (origin: string): Unreachable => new Unreachable(`The server ${authorityOf(origin)} cannot be reached.`)
const strange = (): Refused => new Refused("bad_frame", "The server answered with something else than asked for.")
const decode = (raw: Uint8Array): string => new TextDecoder().decode(raw)

function refusal(status: number, raw: string): Refused {
  try {
    const { code, message, retry_after_ms: retryAfterMs } = object(parse(raw))
    if (typeof code === "string" && typeof message === "string") {
      return new Refused(code, message, typeof retryAfterMs === "number" ? retryAfterMs : 0)
    }
  } catch {
    // not one of ours: told by its status
  }
  return new Refused("internal", `The server answered with status ${status}.`)
}

function parse(raw: string): unknown {
  try {
    return JSON.parse(raw)
  } catch {
    throw strange()
  }
}

function object(value: unknown): Json {
  if (typeof value !== "object" || value === null) throw strange()
  return value as Json
}

function list(value: Json, name: string): Json[] {
  const items = value[name]
  if (!Array.isArray(items) || items.length > 10_000) throw strange()
  return items.map(object)
}

function text(value: Json, name: string): string {
  const field = value[name]
  if (typeof field !== "string") throw strange()
  return field
}

function bytes(value: Json, name: string): Uint8Array {
  try {
    return fromBase64(text(value, name))
  } catch {
    throw strange()
  }
}

const signedJson = (signed: SignedList): object => ({ payload: toBase64(signed.payload), signature: toBase64(signed.signature) })

function accountOf(value: Json): AccountDocument {
  const deviceList = object(value["device_list"])
  return {
    accountId: bytes(value, "account_id"),
    handle: text(value, "handle"),
    deviceList: { payload: bytes(deviceList, "payload"), signature: bytes(deviceList, "signature") },
  }
}
