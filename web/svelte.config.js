import { vitePreprocess } from "@sveltejs/vite-plugin-svelte"

/** Runes everywhere: a component that reads the old way does not compile. */
export default {
  preprocess: vitePreprocess(),
  compilerOptions: { runes: true },
}
