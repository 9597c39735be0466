// What concurrent work needs: one at a time, wait until something changed, stop.

/** The work was stopped; nobody waits for it any more. */
export class Stopped extends Error {
  override name = "Stopped"
}

export class Mutex {
  private last: Promise<unknown> = Promise.resolve()

  run<T>(work: () => Promise<T>): Promise<T> {
    const result = this.last.then(work)
    this.last = result.catch(() => undefined)
    return result
  }
}

/** Something that happens again and again, and on which many may wait. */
export class Pulse {
  private waiting: (() => void)[] = []

  beat(): void {
    const waiting = this.waiting
    this.waiting = []
    waiting.forEach((wake) => wake())
  }

  /** The next beat, or the end of `timeoutMs`, or of the life of `signal` (then it throws `Stopped`). */
  next(signal: AbortSignal, timeoutMs?: number): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(new Stopped("stopped"))
      const timer = timeoutMs === undefined ? undefined : setTimeout(wake, timeoutMs)
      const stop = (): void => {
        clearTimeout(timer)
        reject(new Stopped("stopped"))
      }
      function wake(): void {
        clearTimeout(timer)
        signal.removeEventListener("abort", stop)
        resolve()
      }
      signal.addEventListener("abort", stop, { once: true })
      this.waiting.push(wake)
    })
  }
}

export const pause = (ms: number, signal: AbortSignal): Promise<void> => new Pulse().next(signal, ms)
