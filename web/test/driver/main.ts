// Holds many ts-mls members, each through our adapter, for a test that speaks JSON lines with us.
//
//   in:   {"id": 1, "op": "protect", "member": "m3", "data": "<base64>"}
//   out:  {"id": 1, "ok": {"message": "<base64>"}}    or    {"id": 1, "error": {"type": "MlsUsageError", "message": "…"}}
//
// Bytes are base64 everywhere. Requests are answered in order, one at a time.
import { createInterface } from "node:readline"
import { answer } from "./answer.js"
import { Members } from "./members.js"
import { openMlsOps } from "./openmls.js"

const ops = { ...new Members().ops(), ...openMlsOps() }

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await answer(ops, line)) + "\n")
}
