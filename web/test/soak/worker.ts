// Members of MLS groups in a worker of the page, as the engine's worker holds them: the same adapter, and the same
// store for what must outlive the page. Requests are those of ../driver/main.ts.
import { IndexedDisk } from "../../src/worker/store/indexed-disk.js"
import { Store } from "../../src/worker/store/store.js"
import { answer } from "../driver/answer.js"
import { Members, type SavedMembers } from "../driver/members.js"

const ROW = "members"

async function open(): Promise<{ store: Store; members: Members }> {
  const disk = await IndexedDisk.open("soak")
  const store = await Store.open(disk, await disk.key())
  const stored = store.get("profile", ROW)
  const members = new Members()
  if (stored !== undefined) await members.load(stored.value as SavedMembers)
  return { store, members }
}

const opened = open()
let last: Promise<unknown> = opened

async function serve(line: string): Promise<void> {
  const { store, members } = await opened
  const put = async () => {
    const value = await members.save()
    await store.transaction((tx) => tx.put("profile", ROW, { value }))
    return {}
  }
  postMessage(JSON.stringify(await answer({ ...members.ops(), store: put }, line)))
}

addEventListener("message", ({ data }: MessageEvent<string>) => (last = last.then(() => serve(data))))
