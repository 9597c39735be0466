// Tells when the machine stood still: a timer that comes late in a worker with nothing else to do.
const LATE_MS = 40
let stalls = 0
let last = performance.now()
setInterval(() => {
  const now = performance.now()
  if (now - last > LATE_MS) postMessage(++stalls)
  last = now
}, 10)
