/** The scripted people of the screens, and what they say. Offsets in minutes before now. */

import type { MessageView, Person, Trust } from "../../src/worker/api.js"

export const ME: Person = { accountId: "11".repeat(16), address: "@noor", isMe: true, trust: "unverified" }

function somebody(seed: number, address: string, trust: Trust = "unverified"): Person {
  return { accountId: (seed * 2654435761 % 4294967296).toString(16).padStart(8, "0").repeat(4), address, isMe: false, trust }
}

export const ANA = somebody(3, "@ana", "verified")
export const TOMAS = somebody(7, "@tomas")
export const LINA = somebody(9, "@lina.haddad")
export const ECHO = somebody(21, "@echo")
export const CITY = somebody(31, "@city-library")
export const STRANGER = somebody(40, "@m.okafor@chat.example.net")
export const JUN = somebody(52, "@jun")
export const SARA = somebody(61, "@sara")

export interface Line {
  readonly from: Person
  readonly minutesAgo: number
  readonly text?: string
  readonly body?: MessageView["body"]
  readonly delivery?: MessageView["delivery"]
  readonly edited?: boolean
  /** Index of the line it answers. */
  readonly answers?: number
  readonly reactions?: MessageView["reactions"]
}

const DAY = 24 * 60

export const WITH_ANA: readonly Line[] = [
  { from: ANA, minutesAgo: 2 * DAY + 300, text: "Did the parcel arrive?" },
  { from: ME, minutesAgo: 2 * DAY + 296, text: "Yes! This morning. The lamp is beautiful, thank you." },
  { from: ME, minutesAgo: 2 * DAY + 295, text: "I put it on the desk by the window." },
  { from: ANA, minutesAgo: 2 * DAY + 290, text: "❤️" },
  { from: ME, minutesAgo: DAY + 410, body: { kind: "call", outgoing: true, outcome: "answered", seconds: 1284 } },
  { from: ANA, minutesAgo: DAY + 380, text: "That was good to hear your voice. The line held the whole time, even on the train." },
  { from: ME, minutesAgo: DAY + 378, text: "It said it was carried by the message connection. I noticed nothing.", reactions: [{ text: "👍", count: 1, mine: false }] },
  { from: ANA, minutesAgo: 96, text: "Are you coming on Saturday? We would walk up to the old observatory, about two hours, and eat at the top. Tomas brings bread." },
  { from: ANA, minutesAgo: 95, text: "Map: https://maps.example.org/walk/observatory" },
  { from: ME, minutesAgo: 61, text: "Gladly. When do we leave?", answers: 7 },
  { from: ANA, minutesAgo: 42, body: { kind: "file", file: { name: "observatory.png", contentType: "image/png", bytes: 184_312 }, caption: "Last spring, from up there" }, reactions: [{ text: "😮", count: 2, mine: true }, { text: "❤️", count: 1, mine: false }] },
  { from: ME, minutesAgo: 40, text: "Worth every step.", edited: true },
  { from: ANA, minutesAgo: 12, body: { kind: "file", file: { name: "Timetable Saturday.pdf", contentType: "application/pdf", bytes: 88_420 }, caption: "" } },
  { from: ANA, minutesAgo: 11, text: "The 8:10 from the main station, platform 4" },
  { from: ME, minutesAgo: 3, text: "Perfect. I bring coffee.", delivery: "delivered" },
  { from: ME, minutesAgo: 2, text: "And the good cheese.", delivery: "sent" },
]

export const IN_GROUP: readonly Line[] = [
  { from: LINA, minutesAgo: 3 * DAY, body: { kind: "members", text: "@lina.haddad made the group" } },
  { from: LINA, minutesAgo: 3 * DAY - 1, text: "Welcome, everybody. Minutes of the last meeting follow." },
  { from: TOMAS, minutesAgo: DAY + 200, text: "I can take the stall on the 14th." },
  { from: TOMAS, minutesAgo: DAY + 199, text: "Who has the key for the shed?" },
  { from: ME, minutesAgo: DAY + 190, text: "I do. I leave it with the library.", answers: 3 },
  { from: SARA, minutesAgo: DAY + 20, text: "🙏" },
  { from: LINA, minutesAgo: 34, text: "Rain is announced. Shall we move to the hall?", reactions: [{ text: "👍", count: 3, mine: true }] },
  { from: JUN, minutesAgo: 30, text: "Hall is free until six. I asked." },
  { from: LINA, minutesAgo: 29, body: { kind: "deleted" } },
  { from: LINA, minutesAgo: 28, text: "Then the hall it is. See you at two." },
]

export const FROM_STRANGER: readonly Line[] = [
  { from: STRANGER, minutesAgo: 9, text: "Good evening, this is Mary from the tenants' association. Lina gave me your handle." },
  { from: STRANGER, minutesAgo: 8, body: { kind: "file", file: { name: "leaflet.png", contentType: "image/png", bytes: 402_000 }, caption: "" } },
]

export const WITH_ECHO: readonly Line[] = [
  { from: ME, minutesAgo: 5 * DAY, text: "Hello!" },
  { from: ECHO, minutesAgo: 5 * DAY, text: "Hello!" },
]

export const WITH_TOMAS: readonly Line[] = [
  { from: TOMAS, minutesAgo: DAY + 30, text: "Rye or wheat?" },
  { from: TOMAS, minutesAgo: DAY + 10, body: { kind: "call", outgoing: false, outcome: "missed", seconds: 0 } },
]

export const WITH_LIBRARY: readonly Line[] = [
  { from: CITY, minutesAgo: 4 * DAY, text: "Your book is ready to be picked up until Friday." },
]

const WORDS = "the call held on the train and we heard every word of it although the signal was thin so I think we can plan for the weekend and bring bread coffee maps good shoes".split(" ")

/** A long conversation, the same each time. */
export function longTalk(count: number): readonly Line[] {
  return Array.from({ length: count }, (_, index) => {
    const length = 3 + ((index * 7919) % 38)
    const text = Array.from({ length }, (_, word) => WORDS[(index * 13 + word * 5) % WORDS.length]).join(" ")
    return { from: (index * 7919) % 5 < 2 ? ME : JUN, minutesAgo: (count - index) * 7, text: `${index + 1}. ${text}` }
  })
}
