// Shows that each edit is needed: for each, builds a tree without that one edit, runs the patch tests there, and
// requires that the tests named after it fail and that all others pass. Run by hand: `npm run prove`.
import { spawnSync } from "node:child_process"
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { applyEdit, editNames } from "./apply.mjs"

const web = fileURLToPath(new URL("..", import.meta.url))
const testFile = "build/test/core/e2ee/patch.test.js"

/** A copy of the built tests with its own ts-mls; everything else is linked. */
function treeWithout(edit) {
  const folder = mkdtempSync(join(tmpdir(), "ts-mls-without-"))
  mkdirSync(join(folder, "node_modules"))
  for (const name of readdirSync(join(web, "node_modules"))) {
    if (!name.startsWith(".") && name !== "ts-mls") symlinkSync(join(web, "node_modules", name), join(folder, "node_modules", name))
  }
  cpSync(join(web, "node_modules", "ts-mls"), join(folder, "node_modules", "ts-mls"), { recursive: true })
  cpSync(join(web, "build"), join(folder, "build"), { recursive: true })
  cpSync(join(web, "package.json"), join(folder, "package.json"))
  if (edit !== undefined) applyEdit(join(folder, "node_modules", "ts-mls"), edit, { reverse: true })
  return folder
}

/** @returns {{failed: string[], passed: string[]}} names of top-level tests */
function run(folder) {
  const { stdout } = spawnSync(process.execPath, ["--test", "--test-reporter=tap", testFile], { cwd: folder, encoding: "utf8" })
  const names = (pattern) => [...stdout.matchAll(pattern)].map((match) => match[1]).filter((name) => name.startsWith("edit "))
  return { failed: names(/^ *not ok \d+ - (.*)$/gm), passed: names(/^ *ok \d+ - (.*)$/gm) }
}

let wrong = 0
for (const edit of [undefined, ...editNames()]) {
  const folder = treeWithout(edit)
  try {
    const { failed, passed } = run(folder)
    const own = edit === undefined ? "none" : `edit ${edit.split("-")[0]}:`
    const ownPassed = passed.filter((name) => name.startsWith(own))
    const othersFailed = failed.filter((name) => !name.startsWith(own))
    const good = ownPassed.length === 0 && othersFailed.length === 0 && (edit === undefined ? passed.length > 0 : failed.length > 0)
    if (!good) wrong++
    const title = edit === undefined ? "with all edits" : `without ${edit}`
    console.log(`${good ? "ok  " : "BAD "} ${title}: ${passed.length} pass, ${failed.length} fail`)
    for (const name of failed) console.log(`       fails: ${name}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
process.exitCode = wrong === 0 ? 0 : 1
