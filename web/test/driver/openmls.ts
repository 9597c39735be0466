// OpenMLS (Rust, compiled to WebAssembly) as a second opinion. The package is a small demo: suite 3 only; it creates,
// adds, joins, sends, processes and exports, and it hands out neither its key packages nor its trees as bytes.
import { readFile } from "node:fs/promises"
import type { Group, Identity, KeyPackage, Provider, RatchetTree } from "openmls-wasm"
import { keyPackagesIn } from "./openmls-memory.js"
import { type Op, base64, bytes, list, number, text } from "./values.js"

interface Glue {
  Group: typeof Group
  Identity: typeof Identity
  Provider: typeof Provider
  RatchetTree: typeof RatchetTree
  __wbg_set_wasm(exports: WebAssembly.Exports): void
}

interface Member {
  provider: Provider
  identity: Identity
  keyPackage: KeyPackage
  group?: Group
}

let memory: WebAssembly.Memory | undefined

/** The package imports its .wasm as a module, which Node does not do by itself. */
async function loadGlue(): Promise<Glue> {
  const glueUrl = new URL("openmls_wasm_bg.js", import.meta.resolve("openmls-wasm"))
  const glue = (await import(glueUrl.href)) as Glue
  const wasm = await readFile(new URL("openmls_wasm_bg.wasm", glueUrl))
  const imports = { "./openmls_wasm_bg.js": glue as unknown as WebAssembly.ModuleImports }
  const { instance } = await WebAssembly.instantiate(wasm, imports)
  glue.__wbg_set_wasm(instance.exports)
  ;(instance.exports["__wbindgen_start"] as () => void)()
  memory = instance.exports["memory"] as WebAssembly.Memory
  return glue
}

export function openMlsOps(): Record<string, Op> {
  let loading: Promise<Glue> | undefined
  const load = () => (loading ??= loadGlue())
  const members = new Map<string, Member>()
  const member = (name: unknown): Member => {
    const known = members.get(text(name))
    if (known === undefined) throw new Error(`no member ${text(name)}`)
    return known
  }
  const group = (name: unknown): Group => {
    const { group } = member(name)
    if (group === undefined) throw new Error(`${text(name)} is in no group`)
    return group
  }

  return {
    async openmls_member(request) {
      const { Identity, Provider } = await load()
      const provider = new Provider()
      const identity = new Identity(provider, text(request["member"]))
      members.set(text(request["member"]), { provider, identity, keyPackage: identity.key_package(provider) })
      return { key_packages: memory ? keyPackagesIn(memory, text(request["member"])).map(base64) : [] }
    },
    async openmls_create(request) {
      const own = member(request["member"])
      own.group = (await load()).Group.create_new(own.provider, own.identity, text(request["group_id"]))
      return {}
    },
    /**
     * The package insists on a tree, as an object that only a group gives out. A Welcome with a ratchet_tree extension
     * does not use it, so an unrelated one will do; `tree_of` names a member whose group's tree is to be used instead.
     */
    async openmls_join(request) {
      const own = member(request["member"])
      const { Group, Identity, Provider } = await load()
      const unrelated = () => {
        const provider = new Provider()
        return Group.create_new(provider, new Identity(provider, "unrelated"), "unrelated")
      }
      const source = request["tree_of"] === undefined ? unrelated() : group(request["tree_of"])
      own.group = Group.join(own.provider, bytes(request["welcome"]), source.export_ratchet_tree())
      return {}
    },
    async openmls_add(request) {
      const own = member(request["member"])
      const made = group(request["member"]).propose_and_commit_add(own.provider, own.identity, member(request["add"]).keyPackage)
      return { proposal: base64(made.proposal), commit: base64(made.commit), welcome: base64(made.welcome) }
    },
    async openmls_merge(request) {
      group(request["member"]).merge_pending_commit(member(request["member"]).provider)
      return {}
    },
    async openmls_protect(request) {
      const own = member(request["member"])
      return { message: base64(group(request["member"]).create_message(own.provider, own.identity, bytes(request["data"]))) }
    },
    async openmls_process(request) {
      const message = bytes(request["message"])
      const one = (name: unknown) => {
        try {
          return { data: base64(group(name).process_message(member(name).provider, message)) }
        } catch (error) {
          return { error: { type: "OpenMlsError", message: String(error) } }
        }
      }
      return { results: list(request["members"]).map(one) }
    },
    async openmls_export(request) {
      const { provider } = member(request["member"])
      const exported = group(request["member"]).export_key(
        provider,
        text(request["label"]),
        bytes(request["context"]),
        number(request["length"]),
      )
      return { exported: base64(exported) }
    },
  }
}
