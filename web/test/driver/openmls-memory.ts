// OpenMLS's demo package hands out no key package as bytes. Its storage keeps each one as JSON inside the module's
// memory, so we read it there and write it out as RFC 9420 section 10 does. The reader of the result verifies both
// signatures in it, so a mistake here cannot go unnoticed.
interface StoredKeyPackage {
  payload: {
    init_key: { key: { vec: number[] } }
    leaf_node: {
      payload: {
        encryption_key: { key: { vec: number[] } }
        signature_key: { value: { vec: number[] } }
        credential: { serialized_credential_content: { vec: number[] } }
        capabilities: { ciphersuites: number[]; extensions: number[]; proposals: number[] }
        leaf_node_source: { KeyPackage: { not_before: number; not_after: number } }
      }
      signature: { value: { vec: number[] } }
    }
  }
  signature: { value: { vec: number[] } }
}

const recordStart = '{"key_package":'
const suite3 = 3

/** The key packages of `identity` found in `memory`, encoded; a name that is used once gives one. */
export function keyPackagesIn(memory: WebAssembly.Memory, identity: string): Uint8Array[] {
  const bytes = Buffer.from(memory.buffer)
  const found = new Map<string, Uint8Array>()
  for (let at = bytes.indexOf(recordStart); at !== -1; at = bytes.indexOf(recordStart, at + 1)) {
    const record = parseRecord(bytes.toString("latin1", at, at + 8_192))
    if (record === undefined) continue
    const owner = record.payload.leaf_node.payload.credential.serialized_credential_content.vec
    const encoded = encodeKeyPackage(record)
    if (Buffer.from(owner).toString() === identity) found.set(encoded.toString("hex"), encoded)
  }
  return [...found.values()]
}

/** The first complete JSON object in `text`, if that is a key package; freed memory also holds halves of them. */
function parseRecord(text: string): StoredKeyPackage | undefined {
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    if (text[i] === "{") depth++
    else if (text[i] === "}" && --depth === 0) {
      try {
        return (JSON.parse(text.slice(0, i + 1)) as { key_package: StoredKeyPackage }).key_package
      } catch {
        return undefined
      }
    }
  }
  return undefined
}

const uint = (value: number | bigint, size: number) => Buffer.from(BigInt(value).toString(16).padStart(size * 2, "0"), "hex")

/** opaque<V> of RFC 9420 section 2.1.2; everything here is shorter than 16,384 bytes. */
function opaque(data: readonly number[] | Buffer): Buffer {
  const header = data.length < 64 ? uint(data.length, 1) : uint(data.length | 0x4000, 2)
  return Buffer.concat([header, Buffer.from(data)])
}

const numbers = (values: readonly number[]) => opaque(Buffer.concat(values.map((value) => uint(value, 2))))

function encodeKeyPackage({ payload, signature }: StoredKeyPackage): Buffer {
  const leaf = payload.leaf_node.payload
  const { not_before, not_after } = leaf.leaf_node_source.KeyPackage
  return Buffer.concat([
    uint(1, 2), // mls10
    uint(suite3, 2),
    opaque(payload.init_key.key.vec),
    opaque(leaf.encryption_key.key.vec),
    opaque(leaf.signature_key.value.vec),
    uint(1, 2), // a basic credential
    opaque(leaf.credential.serialized_credential_content.vec),
    numbers([1]), // versions
    numbers(leaf.capabilities.ciphersuites),
    numbers(leaf.capabilities.extensions),
    numbers(leaf.capabilities.proposals),
    numbers([1]), // credential types
    uint(1, 1), // the leaf comes from a key package
    uint(not_before, 8),
    uint(not_after, 8),
    opaque([]), // extensions of the leaf
    opaque(payload.leaf_node.signature.value.vec),
    opaque([]), // extensions of the key package
    opaque(signature.value.vec),
  ])
}
