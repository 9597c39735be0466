// The frames of one connection (docs/spec/transport.md): what they hold, and their bytes.
export * from "./frame-types.js"
export { decodeClient, decodeServer } from "./frames-decode.js"
export { encode } from "./frames-encode.js"
