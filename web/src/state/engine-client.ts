/** The page's side: the engine as an object whose calls cross to the worker. */

import type { Engine, EngineEvent } from "../worker/api.js"
import { ENGINE_METHODS, type EngineAnswer, type EngineCall, type EngineNews, type Wire } from "./engine-messages.js"
import { EngineFault } from "./faults.js"

/** Listens to the engine; the returned function ends it. */
export type Subscribe = (listener: (event: EngineEvent) => void) => () => void

export interface EngineClient extends Engine {
  readonly subscribe: Subscribe
}

interface Waiting {
  resolve(value: unknown): void
  reject(fault: EngineFault): void
}

/** Ports change hands with the call; everything else is copied. */
function transferables(args: readonly unknown[]): Transferable[] {
  return args.filter((arg): arg is MessagePort => typeof MessagePort !== "undefined" && arg instanceof MessagePort)
}

/** Calls reject with an `EngineFault`. They wait as long as the engine needs: it keeps what cannot be sent yet. */
export function connectEngine(port: Wire): EngineClient {
  const waiting = new Map<number, Waiting>()
  const listeners = new Set<(event: EngineEvent) => void>()
  let lastId = 0

  port.addEventListener("message", ({ data }: MessageEvent<EngineAnswer | EngineNews>) => {
    if (data.kind === "news") {
      for (const listener of [...listeners]) listener(data.event)
      return
    }
    const call = waiting.get(data.id)
    waiting.delete(data.id)
    if (data.kind === "answer") call?.resolve(data.value)
    else call?.reject(new EngineFault(data.fault))
  })
  port.start?.()

  const invoke = (method: EngineCall["method"], args: readonly unknown[]): Promise<unknown> =>
    new Promise((resolve, reject) => {
      const id = ++lastId
      waiting.set(id, { resolve, reject })
      port.postMessage({ kind: "call", id, method, args } satisfies EngineCall, transferables(args))
    })

  const subscribe: Subscribe = (listener) => {
    listeners.add(listener)
    return () => listeners.delete(listener)
  }
  const calls = ENGINE_METHODS.map((method) => [method, (...args: unknown[]) => invoke(method, args)])
  return { ...(Object.fromEntries(calls) as unknown as Engine), subscribe }
}
