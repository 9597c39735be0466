// The first frame of a call that we place: whoever sends sound has answered, before their message says so.
import { MalformedPayload } from "../core/audio/errors.js"
import { decodePayload } from "../core/audio/payload.js"
import { concat, toHex } from "../core/bytes.js"
import { callKey, openFrame, SFrameError, SFrameReceiver, splitCallKid } from "../core/e2ee/sframe.js"
import { callKeys } from "./call-keys.js"
import { MEDIA_SIGNAL_KIND } from "./call-media.js"
import type { Conversation } from "./conversation.js"

/**
 * Tells who sealed an authentic frame of the call: a device of the one other account, called and still a member.
 *
 * In a conversation of more accounts a third could have sealed it in another's name, so nobody is told there
 * (CANNOT-FORGE); and only the newest epoch counts, which a removed member does not know (CANNOT-SNOOP-AFTER).
 */
export class FirstFrame {
  private readonly called: ReadonlyMap<number, string>

  constructor(
    private readonly conversation: Pick<Conversation, "context" | "row" | "snapshot">,
    private readonly callId: string,
  ) {
    this.called = this.others()
  }

  /** The device's leaf, or undefined for everything else. */
  async author(body: Uint8Array): Promise<number | undefined> {
    const { context, row } = this.conversation
    if (body[0] !== MEDIA_SIGNAL_KIND || row.status !== "active") return undefined
    const newest = callKeys(context.store, this.callId).at(-1)
    if (newest === undefined) return undefined
    const others = this.others()
    const mayAnswer = [...this.called].filter(([leaf, device]) => others.get(leaf) === device)
    const keys = await Promise.all(mayAnswer.map(([leaf]) => callKey(newest.baseKey, leaf, newest.epoch)))
    try {
      const { kid, payload } = await openFrame(new SFrameReceiver(...keys), body.subarray(1))
      decodePayload(payload)
      return splitCallKid(kid)[0]
    } catch (error) {
      if (error instanceof SFrameError || error instanceof MalformedPayload) return undefined
      throw error
    }
  }

  /** The devices of the other account, by their place; none where there are more accounts. */
  private others(): ReadonlyMap<number, string> {
    const own = toHex(this.conversation.context.own.accountId)
    const others = this.conversation.snapshot.members.filter(([, { accountId }]) => toHex(accountId) !== own)
    if (new Set(others.map(([, { accountId }]) => toHex(accountId))).size !== 1) return new Map()
    return new Map(others.map(([{ leaf }, { accountId, deviceId }]) => [leaf, toHex(concat(accountId, deviceId))]))
  }
}
