// Message content: MIMI content (draft-ietf-mimi-content-08) in deterministic CBOR, and bodies of our own.
//
// `encode` and `decode` are the format, `textMessage` and its like make messages, `interpret` reads them.
export * from "./attachments.js"
export * from "./calls.js"
export * from "./codec.js"
export * from "./errors.js"
export * from "./identity.js"
export * from "./messages.js"
export * from "./model.js"
export * from "./notes.js"
export * from "./status.js"
