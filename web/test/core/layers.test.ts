// What the pure layer may know: nothing of the layers above, no clock, no randomness of its own, no network, no storage.
import assert from "node:assert/strict"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { root } from "./vectors.js"

const CORE = join(root, "web", "src", "core")
const FILES = readdirSync(CORE, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"))
const OUTSIDE = /^(?:@hpke\/core|ts-mls(?:\/.*)?|@noble\/.*)$/

function imports(file: string): string[] {
  const text = readFileSync(join(CORE, file), "utf8")
  return [...text.matchAll(/^(?:import|export)[^"]*? from "([^"]+)"/gm), ...text.matchAll(/\bimport\("([^"]+)"\)/g)].map(([, from]) => from ?? "")
}

test("core imports itself and the crypto libraries only; protocol and e2ee do not know each other", () => {
  assert.ok(FILES.length > 30)
  for (const file of FILES) {
    for (const from of imports(file)) {
      const target = from.startsWith(".") ? join("/", file, "..", from) : from
      const isOurs = target.startsWith("/") && FILES.includes(target.slice(1).replace(/\.js$/, ".ts"))
      assert.ok(isOurs || OUTSIDE.test(target), `${file} imports ${from}`)
      if (file.startsWith("protocol/")) assert.ok(!target.startsWith("/e2ee/"), `${file} imports ${from}`)
      if (file.startsWith("e2ee/")) assert.ok(!target.startsWith("/protocol/"), `${file} imports ${from}`)
    }
  }
})

test("core has no clock, no randomness of its own, no I/O and no any", () => {
  const banned = /Date\.now|new Date|Math\.random|getRandomValues|setTimeout|setInterval|\bfetch\(|WebSocket\(|indexedDB|\bpostMessage|: any\b|as any\b|<any>/
  for (const file of FILES) {
    const code = readFileSync(join(CORE, file), "utf8").replace(/\/\*[^]*?\*\/|\/\/.*/g, "")
    assert.ok(!banned.test(code), `${file}: ${banned.exec(code)?.[0]}`)
  }
})

test("files stay readable: none above 600 lines", () => {
  for (const file of FILES) assert.ok(readFileSync(join(CORE, file), "utf8").split("\n").length <= 600, file)
})
