/** The messages of one conversation in order, and how neighbours look beside each other. Pure. */

import type { MessageId, MessageView } from "../worker/api.js"

/** Messages of one person closer than this stand as one group. */
const GROUP_S = 300

export type Timeline = readonly MessageView[]

function compare(a: MessageView, b: MessageView): number {
  return a.order - b.order || a.timeS - b.timeS
}

/** Where `message` belongs among sorted messages. */
function place(messages: readonly MessageView[], message: MessageView): number {
  let low = 0
  let high = messages.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compare(messages[middle]!, message) <= 0) low = middle + 1
    else high = middle
  }
  return low
}

/** The timeline with `changed` in their places and without `removed`; the same object when nothing changed. */
export function merged(timeline: Timeline, changed: readonly MessageView[], removed: readonly MessageId[] = []): Timeline {
  if (changed.length === 0 && removed.length === 0) return timeline
  const fresh = new Map(changed.map((message) => [message.id, message]))
  const gone = new Set(removed)
  const result: MessageView[] = []
  for (const old of timeline) {
    if (gone.has(old.id)) continue
    const update = fresh.get(old.id)
    if (update === undefined) {
      result.push(old)
    } else if (compare(old, update) === 0) {
      result.push(update)
      fresh.delete(old.id)
    }
  }
  const added = [...fresh.values()].filter((message) => !gone.has(message.id)).sort(compare)
  if (added.length === 0) return result
  if (result.length === 0 || compare(result.at(-1)!, added[0]!) <= 0) return result.concat(added)
  if (compare(added.at(-1)!, result[0]!) < 0) return added.concat(result)
  for (const message of added) result.splice(place(result, message), 0, message)
  return result
}

/** How a message is drawn beside its neighbours. */
export interface RowShape {
  /** A line with the day comes first. */
  readonly startsDay: boolean
  /** First and last of one person's group. */
  readonly startsGroup: boolean
  readonly endsGroup: boolean
}

function dayOf(timeS: number): number {
  const date = new Date(timeS * 1000)
  return date.getFullYear() * 400 + date.getMonth() * 32 + date.getDate()
}

function standsAlone(message: MessageView): boolean {
  return message.body.kind === "call" || message.body.kind === "members"
}

function together(above: MessageView | undefined, below: MessageView | undefined): boolean {
  if (above === undefined || below === undefined || standsAlone(above) || standsAlone(below)) return false
  return above.sender.accountId === below.sender.accountId && below.timeS - above.timeS < GROUP_S
    && dayOf(above.timeS) === dayOf(below.timeS)
}

export function shapeOf(timeline: Timeline, index: number): RowShape {
  const message = timeline[index]!
  const above = timeline[index - 1]
  return {
    startsDay: above === undefined || dayOf(above.timeS) !== dayOf(message.timeS),
    startsGroup: !together(above, message),
    endsGroup: !together(message, timeline[index + 1]),
  }
}

/** Calls that one missed are news; of the others one knows. */
const isNews = ({ sender, body }: MessageView): boolean =>
  !sender.isMe && (body.kind !== "call" || (body.outcome === "missed" && !body.outgoing))

/** The first of the newest `unread` messages that are news, or null. */
export function firstUnread(timeline: Timeline, unread: number): MessageId | null {
  let left = unread
  let found: MessageId | null = null
  for (let index = timeline.length - 1; index >= 0 && left > 0; index--) {
    const message = timeline[index]!
    if (!isNews(message)) continue
    found = message.id
    left--
  }
  return found
}
