/** Builds the page into the folder named by the first argument: one file for each entry, what they share beside them. */

import { copyFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { build } from "vite"

const here = (path) => fileURLToPath(new URL(path, import.meta.url))
const outDir = process.argv[2]
const input = {
  "capture-worklet": here("../../../src/audio/capture-worklet.ts"),
  "playout-worklet": here("../../../src/audio/playout-worklet.ts"),
  "codec-worker": here("../../../src/audio/codec-worker.ts"),
  "tap-worklet": here("./tap-worklet.ts"),
  "network-worker": here("./network-worker.ts"),
  page: here("./page.ts"),
}

await build({
  configFile: false,
  root: here("."),
  logLevel: "warn",
  build: {
    outDir,
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    rollupOptions: { input, output: { entryFileNames: "[name].js", chunkFileNames: "[name]-[hash].js" } },
  },
})
copyFileSync(here("./index.html"), `${outDir}/index.html`)
