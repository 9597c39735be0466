// One request of the driver, from its line to the line of its answer.
import type { Op } from "./values.js"

export async function answer(ops: Readonly<Record<string, Op>>, line: string): Promise<unknown> {
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
