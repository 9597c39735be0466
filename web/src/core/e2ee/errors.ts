// The error tree of media frames and message content. MLS has a tree of its own in mls-errors.
//
//   E2eeError
//   ├── SFrameError    a sealed frame, see sframe-errors
//   └── ContentError   a message's content, see content/errors

/** Input refused; nothing was changed by it. `reason` is a stable name that specs and vectors share. */
export abstract class E2eeError extends Error {
  abstract readonly reason: string
}
