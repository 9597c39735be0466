// Passes requests on to the worker, one line of JSON each way.
const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" })
const waiting: ((answer: string) => void)[] = []
worker.addEventListener("message", ({ data }: MessageEvent<string>) => waiting.shift()?.(data))
worker.addEventListener("error", ({ message }) => {
  throw new Error(`the worker failed: ${message}`)
})

const ask = (request: string): Promise<string> =>
  new Promise((resolve) => {
    waiting.push(resolve)
    worker.postMessage(request)
  })

Object.assign(window, { ask })
