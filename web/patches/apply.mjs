// Applies our edits to the installed ts-mls, on every `npm ci` and `npm install`.
//
//   node patches/apply.mjs            apply each edit; an edit already there is left alone
//   node patches/apply.mjs --check    change nothing; fail unless all edits are there
//
// An edit is one unified diff. Its hunks are found by content, not by line number, and must match exactly once:
// a package that differs from the one we read is an error, never a guess.
import { readFileSync, readdirSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"

const patchFolder = join(dirname(fileURLToPath(import.meta.url)), "ts-mls-1.6.4")
export const patchedVersion = "1.6.4"

/** @returns {string[]} the edits' file names, in order */
export function editNames() {
  return readdirSync(patchFolder)
    .filter((name) => name.endsWith(".diff"))
    .sort()
}

/** @returns {{file: string, hunks: {before: string, after: string}[]}[]} */
export function readEdit(name) {
  const files = []
  for (const line of readFileSync(join(patchFolder, name), "utf8").split("\n")) {
    const file = files.at(-1)
    if (line.startsWith("+++ b/")) files.push({ file: line.slice("+++ b/".length), hunks: [] })
    else if (line.startsWith("@@")) file.hunks.push({ before: "", after: "" })
    else if (file?.hunks.length > 0 && /^[ +-]/.test(line) && !line.startsWith("--- a/")) {
      const hunk = file.hunks.at(-1)
      if (line[0] !== "+") hunk.before += line.slice(1) + "\n"
      if (line[0] !== "-") hunk.after += line.slice(1) + "\n"
    }
  }
  return files
}

const occurrences = (text, part) => text.split(part).length - 1

/**
 * Applies one edit to the package in `folder`.
 * @param {{reverse?: boolean, dryRun?: boolean}} options
 * @returns {"applied" | "present"}
 */
export function applyEdit(folder, name, { reverse = false, dryRun = false } = {}) {
  let changed = false
  for (const { file, hunks } of readEdit(name)) {
    const path = join(folder, file)
    let text = readFileSync(path, "utf8")
    for (const hunk of hunks) {
      const [from, to] = reverse ? [hunk.after, hunk.before] : [hunk.before, hunk.after]
      // An insertion contains its own context, so "already there" is asked first.
      if (occurrences(text, to) === 1 && (occurrences(text, from) === 0 || to.includes(from))) continue
      if (occurrences(text, from) !== 1) throw new Error(`${name}: a hunk does not fit ${file}`)
      text = text.replace(from, () => to)
      changed = true
    }
    if (!dryRun) writeFileSync(path, text)
  }
  return changed ? "applied" : "present"
}

function main() {
  const check = process.argv.includes("--check")
  const folder = fileURLToPath(new URL("../node_modules/ts-mls/", import.meta.url))
  const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
  if (version !== patchedVersion) throw new Error(`ts-mls ${version} is installed; the edits are for ${patchedVersion}`)
  const results = editNames().map((name) => ({ name, result: applyEdit(folder, name, { dryRun: check }) }))
  const missing = results.filter(({ result }) => result === "applied")
  if (check && missing.length > 0) throw new Error(`not applied: ${missing.map(({ name }) => name).join(", ")}`)
  console.log(`ts-mls ${version}: ${results.length} edits in place (${missing.length} applied now)`)
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  try {
    main()
  } catch (error) {
    console.error(`patches/apply.mjs: ${error.message}`)
    process.exitCode = 1
  }
}
