// One tree for everything MLS can refuse. State is unchanged whenever one of these is thrown.
//
//   MlsError
//   ├── MlsMalformedError   the bytes do not parse, or are too long
//   ├── MlsRefusedError     they parse, but break RFC 9420 or our profile of it
//   │   ├── MlsForgedError  a signature, tag or authenticated encryption does not verify
//   │   └── MlsMemberError  the device list does not vouch for a credential
//   ├── MlsEpochError       they belong to another epoch of this group
//   ├── MlsRemovedError     this device is no longer a member
//   └── MlsUsageError       the caller asked for something that cannot be done now

export class MlsError extends Error {
  override name = "MlsError"
}
export class MlsMalformedError extends MlsError {
  override name = "MlsMalformedError"
}
export class MlsRefusedError extends MlsError {
  override name = "MlsRefusedError"
}
export class MlsForgedError extends MlsRefusedError {
  override name = "MlsForgedError"
}
export class MlsMemberError extends MlsRefusedError {
  override name = "MlsMemberError"
}
export class MlsEpochError extends MlsError {
  override name = "MlsEpochError"
}
export class MlsRemovedError extends MlsError {
  override name = "MlsRemovedError"
}
export class MlsUsageError extends MlsError {
  override name = "MlsUsageError"
}

/** The library's own errors, and the engine's, as members of this tree. Messages hold no secrets: the library's are constant. */
function translated(error: unknown): MlsError {
  if (error instanceof MlsError) return error
  const name = error instanceof Error ? error.name : "unknown"
  const message = error instanceof Error ? error.message : String(error)
  switch (name) {
    case "CodecError":
      return new MlsMalformedError(message, { cause: error })
    case "CryptoVerificationError":
    case "CryptoError":
    case "OperationError": // WebCrypto: an AEAD tag does not verify
    case "OpenError": // @hpke/core: the same for HPKE
      return new MlsForgedError(message, { cause: error })
    case "UsageError":
      return new MlsUsageError(message, { cause: error })
    case "ValidationError":
      if (message === "Could not validate credential") return new MlsMemberError(message, { cause: error })
      return new MlsRefusedError(message, { cause: error })
    default:
      // Anything else thrown while reading foreign bytes means that they are not what they claim to be.
      return new MlsRefusedError(`${name}: ${message}`, { cause: error })
  }
}

/** Runs `work`; whatever it throws comes out as an `MlsError`. */
export async function typed<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw translated(error)
  }
}
