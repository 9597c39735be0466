// The dedicated worker of one tab: puts the engine together and serves the page.
//
// From the page: {kind: "call", id, method, args}. To it: {kind: "answer", id, value}, {kind: "refusal", id, fault} and
// {kind: "news", event}.
import type * as api from "./api.js"
import { faultOf, isFault } from "./errors.js"
import { LocalEngine } from "./engine.js"
import { IndexedDisk } from "./store/indexed-disk.js"
import { Store } from "./store/store.js"
import { type Led, type Method, Tabs } from "./tabs.js"

declare const self: DedicatedWorkerGlobalScope
const DATABASE = "ringthrough"
const LOCK = "ringthrough engine"

const METHODS: Readonly<Record<Method, true>> = {
  account: true, createAccount: true, connectionState: true, conversations: true, conversationWith: true, createGroup: true,
  addMembers: true, removeMember: true, acceptRequest: true, refuseRequest: true, messages: true, sendText: true, editText: true,
  deleteMessage: true, react: true, sendFile: true, fetchFile: true, fetchNote: true, typing: true, markRead: true, safetyNumber: true,
  verify: true,
  serverKnows: true, checkNetwork: true, stopCheck: true, deleteAccount: true, placeCall: true, answerCall: true, declineCall: true, hangUp: true, mute: true, speak: true,
  callHistory: true, attachAudio: true, attachDirect: true,
}

async function openStore(): Promise<Store> {
  const disk = await IndexedDisk.open(DATABASE)
  return Store.open(disk, await disk.key())
}

/** The engine of this tab while it leads; starts anew, empty, after the account was deleted. */
async function lead(emit: (event: api.EngineEvent) => void): Promise<Led> {
  const open = async (): Promise<LocalEngine> => LocalEngine.start(await openStore(), self.location.origin, emit, () => (engine = open()))
  let engine = open()
  await engine
  const back = (): void => void engine.then((current) => current.networkIsBack())
  self.addEventListener("online", back)
  return {
    call: async (method, args) => {
      const current = await engine
      return (current[method] as (...given: readonly unknown[]) => Promise<unknown>).apply(current, [...args])
    },
    greet: async () => (await engine).greet(),
    stop: () => {
      self.removeEventListener("online", back)
      void engine.then((current) => current.stop())
    },
  }
}

const tabs = new Tabs(
  {
    id: crypto.randomUUID(),
    lock: async (steal, held) => void (await navigator.locks.request(LOCK, { steal }, held)),
    channel: new BroadcastChannel(LOCK),
  },
  lead,
  (event) => self.postMessage({ kind: "news", event }),
)

self.addEventListener("message", ({ data }: MessageEvent<{ kind: unknown; id: unknown; method: unknown; args: unknown }>) => {
  if (data?.kind !== "call" || typeof data.method !== "string" || !Object.hasOwn(METHODS, data.method) || !Array.isArray(data.args)) return
  const { id } = data
  tabs.call(data.method as Method, data.args).then(
    (value) => self.postMessage({ kind: "answer", id, value }),
    (error: unknown) => self.postMessage({ kind: "refusal", id, fault: isFault(error) && !(error instanceof Error) ? error : faultOf(error) }),
  )
})
tabs.start()
