// Holds many ts-mls members, each through our adapter, for a test that speaks JSON lines with us.
//
//   in:   {"id": 1, "op": "protect", "member": "m3", "data": "<base64>"}
//   out:  {"id": 1, "ok": {"message": "<base64>"}}    or    {"id": 1, "error": {"type": "MlsUsageError", "message": "…"}}
//
// Bytes are base64 everywhere. Requests are answered in order, one at a time.
import { createInterface } from "node:readline"
import { memberOps } from "./members.js"
import { openMlsOps } from "./openmls.js"
import type { Op } from "./values.js"

const ops: Record<string, Op> = { ...memberOps(), ...openMlsOps() }

async function answer(line: string): Promise<unknown> {
  const request = JSON.parse(line) as { id: number; op: string } & Record<string, unknown>
  try {
    const op = ops[request.op]
    if (op === undefined) throw new Error(`no operation ${request.op}`)
    return { id: request.id, ok: await op(request) }
  } catch (error) {
    const { name, message } = error instanceof Error ? error : { name: "unknown", message: String(error) }
    return { id: request.id, error: { type: name, message } }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await answer(line)) + "\n")
}
