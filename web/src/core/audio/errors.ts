/** A voice note whose packets are no 1 to 3 s of sound (docs/spec/media.md section 9). */
export class MalformedNote extends Error {
  override name = "MalformedNote"
}

/** What an authentic frame carries breaks docs/spec/media.md section 5.1. */
export class MalformedPayload extends Error {
  override name = "MalformedPayload"
  readonly reason = "malformed_payload"
}
