/** What an authentic frame carries breaks docs/spec/media.md section 5.1. */
export class MalformedPayload extends Error {
  override name = "MalformedPayload"
}
