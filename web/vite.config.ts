/**
 * Builds the page. `vite build` writes what the server ships (`dist/`); `--mode screens` writes the same page before a
 * scripted engine (`build/ui-screens/`), for tests and pictures; `--mode tests` the view models' tests for Node;
 * `--mode soak` the MLS adapter's members in a worker (`build/soak/`).
 *
 * No inline script or style may come out: the server's Content-Security-Policy refuses them.
 */
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import { svelte } from "@sveltejs/vite-plugin-svelte"
import { defineConfig, type Plugin } from "vite"

const here = import.meta.dirname

const NOT_KEPT = /\.(wasm|map|png)$/
/** Kept after the page, for the calls to come: a third of a megabyte that no call should wait for. */
const FOR_CALLS = /capture|playout|codec|opus|note-player/

/** Writes `sw.js`: the service worker with the list of built files and a version made from their contents. */
function offlineShell(): Plugin {
  return {
    name: "offline-shell",
    apply: "build",
    generateBundle: {
      order: "post",
      handler(_options, bundle) {
        const files = Object.values(bundle).filter((file) => file.fileName !== "sw.js" && !NOT_KEPT.test(file.fileName))
        const digest = createHash("sha256")
        for (const file of files.toSorted((a, b) => (a.fileName < b.fileName ? -1 : 1))) {
          digest.update(file.fileName).update(file.type === "chunk" ? file.code : file.source)
        }
        for (const chunk of Object.values(bundle)) {
          if (chunk.type !== "chunk" || chunk.fileName !== "sw.js") continue
          const names = files.map((file) => file.fileName).filter((name) => !name.endsWith(".html"))
          const shell = ["./", "early.js", "icon.svg", "manifest.webmanifest", ...names.filter((name) => !FOR_CALLS.test(name))]
          const listed = (kept: readonly string[]): string => kept.map((name) => JSON.stringify(name)).join(",")
          chunk.code = chunk.code
            .replace("__SHELL_VERSION__", digest.digest("hex").slice(0, 16))
            .replace(/(["'`])__SHELL_FILES__\1/, listed(shell))
            .replace(/(["'`])__CALL_FILES__\1/, listed(names.filter((name) => FOR_CALLS.test(name))))
        }
      },
    },
  }
}

export default defineConfig(({ mode }) => {
  if (mode === "tests") {
    return {
      root: here,
      publicDir: false,
      plugins: [svelte({ configFile: resolve(here, "svelte.config.js"), dynamicCompileOptions: () => ({ generate: "client" }) })],
      // The browser's Svelte: the server's has no reactivity.
      ssr: { noExternal: true, resolve: { conditions: ["browser"] } },
      build: { ssr: resolve(here, "test/ui/state.test.ts"), outDir: resolve(here, "build/ui-tests"), target: "node20" },
    }
  }
  const screens = mode === "screens"
  const soak = mode === "soak"
  return {
    root: screens ? resolve(here, "test/ui") : soak ? resolve(here, "test/soak") : here,
    publicDir: resolve(here, "public"),
    base: "./",
    plugins: [svelte({ configFile: resolve(here, "svelte.config.js") }), offlineShell()],
    define: { __VERSION__: JSON.stringify(JSON.parse(readFileSync(resolve(here, "package.json"), "utf8")).version) },
    worker: { format: "es" },
    build: {
      outDir: resolve(here, screens ? "build/ui-screens" : soak ? "build/soak" : "dist"),
      emptyOutDir: true,
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
      rolldownOptions: {
        input: screens
          ? { page: resolve(here, "test/ui/page.html") }
          : soak
          ? { page: resolve(here, "test/soak/page.html") }
          : { index: resolve(here, "index.html"), sw: resolve(here, "src/ui/service-worker.ts") },
        output: {
          entryFileNames: (chunk) => (chunk.name === "sw" ? "sw.js" : "assets/[name]-[hash].js"),
        },
      },
    },
  }
})
