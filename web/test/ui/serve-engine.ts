/** The worker's side: answers calls from one page and passes events to it. */

import type { Engine, EngineEvent } from "../../src/worker/api.js"
import { ENGINE_METHODS, type EngineAnswer, type EngineCall, type EngineNews, type Wire } from "../../src/state/engine-messages.js"
import { faultOf } from "../../src/state/faults.js"

function isCall(message: unknown): message is EngineCall {
  if (typeof message !== "object" || message === null) return false
  const { kind, id, method, args } = message as Record<string, unknown>
  return kind === "call" && Number.isSafeInteger(id) && ENGINE_METHODS.some((name) => name === method) && Array.isArray(args)
}

export interface ServedEngine {
  /** Sends an event to the page. */
  emit(event: EngineEvent): void
  /** Answers no more calls. */
  close(): void
}

/** Serves `engine` to the page at the other end of `port`. What is no well-formed call is ignored. */
export function serveEngine(engine: Engine, port: Wire): ServedEngine {
  const send = (message: EngineAnswer | EngineNews): void => port.postMessage(message, [])
  const answer = async (call: EngineCall): Promise<void> => {
    try {
      const method = engine[call.method] as (...args: readonly unknown[]) => Promise<unknown>
      send({ kind: "answer", id: call.id, value: await method.apply(engine, call.args as unknown[]) })
    } catch (error) {
      send({ kind: "refusal", id: call.id, fault: faultOf(error) })
    }
  }
  const listener = (event: MessageEvent): void => {
    if (isCall(event.data)) void answer(event.data)
  }
  port.addEventListener("message", listener)
  port.start?.()
  return {
    emit: (event) => send({ kind: "news", event }),
    close: () => port.removeEventListener("message", listener),
  }
}
