/**
 * Every word people read, in one place: a second language is a second object of this shape.
 * Functions where a word depends on a number or a name. Faults of the engine bring their own words.
 */

import type { CallOutcome, Delivery } from "../worker/api.js"

const plural = new Intl.PluralRules("en")

function counted(count: number, one: string, other: string): string {
  return `${count.toLocaleString("en")} ${plural.select(count) === "one" ? one : other}`
}

export const text = {
  language: "en",
  direction: "ltr" as "ltr" | "rtl",
  name: "Ringthrough",
  unaudited: "Unaudited",
  unauditedLong: "The encryption has not been audited by an independent party yet. Do not trust your life to it.",

  cancel: "Cancel",
  close: "Close",
  back: "Back",
  copy: "Copy",
  copied: "Copied",
  again: "Try again",
  internal: { what: "Something went wrong in this page.", next: "Try again; if it stays, reload the page." },
  skip: "Skip to the conversation",
  nav: { label: "Main", chats: "Chats", calls: "Calls", settings: "Settings" },

  start: {
    title: "Messages and calls that get through.",
    lead: "Choose a handle. No phone number, no email.",
    handle: "Handle",
    handleHint: "2 to 32 letters, digits, dots, dashes. Others find you by it.",
    bad: "Use 2 to 32 of a–z, 0–9, dot, dash, underscore, with a letter or digit at both ends.",
    create: "Create account",
    creating: "Making your keys…",
    where: (host: string) => `on ${host}`,
    keys: "Your keys are made in this browser and stay in it.",
    opening: "Opening…",
  },
  welcome: {
    title: (address: string) => `You are ${address}`,
    echo: "Say hello to @echo. It answers everything you write, and picks up when you call.",
    invited: (address: string) => `You came by a link from ${address}.`,
    hello: (address: string) => `Write to ${address}`,
    greeting: "Hello!",
    share: "Show my code",
    later: "Later",
  },

  list: {
    title: "Chats",
    search: "Search chats",
    new: "New chat",
    empty: "No chats yet",
    emptyHint: "Start with somebody's handle, link or code.",
    nothing: (query: string) => `Nothing matches “${query}”`,
    requests: "Requests",
    requestCount: (count: number) => counted(count, "person wants to write to you", "people want to write to you"),
    creating: "Preparing encryption…",
    left: "You are not in this group any more",
    unread: (count: number) => counted(count, "unread message", "unread messages"),
    typing: "typing…",
    label: "Conversations",
  },
  offline: {
    title: "Offline",
    connecting: "Connecting…",
    next: "What you write is kept here and leaves when the connection is back.",
  },

  add: {
    title: "New chat",
    person: "Person",
    group: "Group",
    address: "Handle or link",
    addressHint: "@handle, @handle@server, or a link somebody sent you",
    badAddress: "This is no handle and no link. A handle looks like @name.",
    open: "Start chat",
    scan: "Scan a code",
    groupName: "Name of the group",
    members: "Members",
    addMember: "Add",
    removeMember: (address: string) => `Remove ${address}`,
    noMembers: "Add at least one person.",
    create: "Create group",
    you: "This is you.",
  },
  code: {
    title: "My code",
    hint: "Others scan it, or open the link, and write to you.",
    alt: (what: string) => `QR code: ${what}`,
    link: "Link",
  },
  scan: {
    title: "Scan a code",
    hint: "Hold the code before the camera.",
    denied: "The camera is not available. Allow it in the browser's settings for this page, or type the handle.",
    notOurs: "This code is no Ringthrough code.",
    camera: "View of the camera",
  },

  chat: {
    open: (title: string) => `Chat with ${title}`,
    messages: "Messages",
    info: "About",
    call: "Call",
    members: (count: number) => counted(count, "member", "members"),
    encrypted: "End-to-end encrypted",
    typing: (names: readonly string[]) =>
      names.length === 1 ? `${names[0]} is typing…` : names.length === 2 ? `${names[0]} and ${names[1]} are typing…` : "Several people are typing…",
    empty: "Nothing here yet",
    emptyHint: "Messages and calls are encrypted on your devices. The server cannot read them.",
    pick: "Choose a chat",
    pickHint: "or start a new one.",
    new: "New",
    down: "To the newest message",
    downUnread: (count: number) => `To the newest message, ${counted(count, "new", "new")}`,
    you: "You",
    arrived: (sender: string, what: string) => `${sender}: ${what}`,
    creating: "Waiting for the other side's keys. You can write already; it leaves as soon as they are here.",
    left: "You are not in this group any more.",
    gone: "This chat does not exist here.",
    loading: "Loading messages…",
  },
  message: {
    edited: "edited",
    deleted: "Deleted",
    unknown: "Sent by a newer version. Reload the page to see it.",
    delivery: {
      waiting: "Waiting to be sent", sent: "Sent", delivered: "Delivered", received: "",
    } satisfies Record<Delivery, string>,
    actions: "Message actions",
    reply: "Reply",
    react: "React",
    edit: "Edit",
    copy: "Copy text",
    delete: "Delete",
    deleteAsk: "Delete this message?",
    deleteHint: "It disappears for everybody whose app follows. Somebody may have read it already.",
    reaction: (emoji: string, count: number, mine: boolean) =>
      `${emoji} ${counted(count, "reaction", "reactions")}${mine ? ", one is yours; press to take it back" : "; press to join"}`,
    quote: (sender: string) => `In reply to ${sender}`,
    picture: "Picture",
    file: "File",
    download: (name: string, size: string) => `Save ${name}, ${size}`,
    showPicture: (name: string) => `Show picture ${name}`,
    failed: "Could not be loaded. Press to try again.",
    progress: (name: string) => `Transfer of ${name}`,
    save: "Save",
  },
  composer: {
    label: (title: string) => `Message to ${title}`,
    placeholder: "Message",
    send: "Send",
    save: "Save the change",
    attach: "Add files",
    replying: (sender: string) => `Reply to ${sender}`,
    editing: "Editing",
    drop: "Drop to add",
    pending: "Files to send",
    removeFile: (name: string) => `Do not send ${name}`,
    sendFiles: (count: number) => `Send ${counted(count, "file", "files")}`,
    emoji: "Emoji",
  },
  request: {
    title: (address: string) => `${address} wants to write to you`,
    group: (title: string) => `You were added to “${title}”`,
    hint: "They do not learn that you saw this. Pictures and files load only after you accept.",
    accept: "Accept",
    refuse: "Refuse",
  },

  people: {
    aboutPerson: "About",
    aboutGroup: "Group",
    members: "Members",
    add: "Add member",
    remove: "Remove from the group",
    removeAsk: (address: string) => `Remove ${address}?`,
    removeHint: "They keep what they have, and read nothing that is sent afterwards.",
    leave: "Leave the group",
    leaveAsk: "Leave this group?",
    leaveHint: "You keep what you have here and receive nothing more.",
    you: "you",
    verify: "Safety number",
    verifyHint: (address: string) => `Compare it with ${address}, side by side or by phone. If both screens show the same digits, nobody sits between you.`,
    verifyWaiting: "Making the number…",
    byCamera: "Compare by camera",
    sameDigits: "The digits are the same",
    match: "They match. Nobody sits between you. This is remembered until the key changes.",
    differ: "They do not match. Do not trust this chat: compare again, face to face.",
    verified: "Verified",
    verifiedHint: "You compared this number. The mark goes away, and a warning comes, when the key changes.",
    unverify: "Take the mark back",
    changed: "Key changed",
    changedTitle: (address: string) => `The key of ${address} has changed.`,
    changedHint: "They may have started anew, or somebody may sit between you. Compare the safety number, face to face or by phone, before you go on.",
    compare: "Compare",
    withoutComparing: "Go on without",
    direct: "Write",
    copyNumber: "Copy the number",
    digits: "Sixty digits in groups of five",
  },
  person: {
    title: (address: string) => `Start a chat with ${address}?`,
    hint: "You followed a link. They see your handle when you write.",
    start: "Start chat",
  },

  call: {
    label: "Call",
    calling: "Calling…",
    ringingThere: "Ringing…",
    ringingHere: "Incoming call",
    connecting: "Connecting…",
    inCall: "In call",
    ended: "Call ended",
    preparing: "Opening the microphone…",
    answer: "Answer",
    decline: "Decline",
    hangUp: "Hang up",
    mute: "Mute",
    unmute: "Unmute",
    muted: "Muted",
    devices: "Devices",
    microphone: "Microphone",
    speaker: "Loudspeaker",
    systemDefault: "The system's choice",
    unnamed: (kind: string, number: number) => `${kind} ${number}`,
    again: "Call again",
    message: "Write a message",
    back: "Back to the call",
    needsClick: "The browser holds the sound back.",
    playSound: "Play sound",
    quality: { good: "Good quality", fair: "Fair quality", poor: "Poor quality", unknown: "" },
    duration: "Duration",
    incoming: (address: string) => `${address} is calling`,
    minimise: "Back to the chats",
    hold: "Hold",
    resume: "Take up again",
    onHold: "On hold: nothing is sent or played. The other side is not told.",
    speaksMuted: "You are muted, and speak.",
    window: "Small window",
    why: "Which way, and why",
    tried: {
      message: "Message connection",
      messageState: (isSilent: boolean) => (isSilent ? "answers nothing at the moment" : "carries the call"),
      lanes: "Further connections",
      lanesState: (lanes: number, opened: number) =>
        opened <= 1 ? "none was needed so far" : `${counted(lanes, "connection", "connections")} in use, ${opened.toLocaleString("en")} opened so far`,
      copies: "Redundancy",
      copiesState: { lean: "none: the connection is narrow", normal: "what gets lost is sent again", boost: "everything is sent twice", heavy: "everything is sent three times" } as const,
      relay: "Media relay",
      relayState: "none is used, so none can be blocked",
    },
    trace: (roundTripMs: number, lostSeconds: number): string =>
      `Last minute: ${roundTripMs.toLocaleString("en")} ms to the server and back, ${lostSeconds === 0 ? "no sound lost" : `sound lost in ${counted(lostSeconds, "second", "seconds")}`}`,
  },
  calls: {
    title: "Calls",
    empty: "No calls yet",
    emptyHint: "Open a chat and press the phone.",
    call: (address: string) => `Call ${address}`,
    label: "Call history",
    outgoing: "Outgoing",
    incoming: "Incoming",
    missed: "Missed",
    line: (outgoing: boolean, outcome: CallOutcome): string => {
      switch (outcome) {
        case "answered": return outgoing ? "Outgoing call" : "Incoming call"
        case "missed": return outgoing ? "No answer" : "Missed call"
        case "unanswered": return outgoing ? "No answer" : "Missed call"
        case "declined": return outgoing ? "Declined" : "You declined"
        case "busy": return outgoing ? "Busy" : "Missed: you were in a call"
        case "answered_elsewhere": return "Answered on another device"
        case "failed": return "Call failed"
        case "no_audio": return "Ended: no sound came through"
      }
    },
  },

  settings: {
    title: "Settings",
    account: "Account",
    handle: "Handle",
    server: "Server",
    appearance: "Appearance",
    theme: "Colours",
    themes: { system: "System", light: "Light", dark: "Dark" },
    textSize: "Text size",
    calm: "Reduce motion",
    calmHint: "Nothing slides or fades.",
    notifications: "Notifications",
    notify: "Tell me when the page is in the background",
    notifyText: "Show who wrote and what",
    notifyRefused: "The browser does not allow notifications for this page. Change that in its settings for this page.",
    ringSound: "Ring aloud for calls",
    privacy: "Privacy",
    serverKnows: "What the server knows about me",
    serverKnowsHint: "Every row of it, from the server's own tables.",
    devices: "Calls",
    about: "About",
    version: (version: string) => `Version ${version}`,
    licence: "Free software under the Apache License 2.0",
    deleteTitle: "Delete account",
    deleteHint: "Your handle, keys and inboxes are removed from the server, and everything is removed from this browser. Nobody can undo it.",
    deleteAsk: (handle: string) => `Type ${handle} to delete it`,
    deleteNow: "Delete for good",
  },
  network: {
    title: "Network check",
    hint: "What this network does to calls",
    lead: "Tries each kind of connection with your own server, and nobody else. Nothing about it is kept or sent on.",
    pause: "Also wait out a silence",
    pauseHint: "Takes 12 s more and finds networks that forget silent connections.",
    start: "Check now",
    again: "Check again",
    stop: "Stop",
    progress: "Progress of the check",
    running: "Checking…",
    stopped: "Stopped before the end, so there is no verdict.",
    names: { connection: "Message connection", lanes: "Further connections", bytes: "Many bytes", idle: "Silent connection", direct: "Direct UDP" },
    states: { waiting: "waits its turn", running: "is being tried…", failed: "did not answer", left_out: "not tried", done: "" },
    results: {
      connection: ({ openMs = 0, p50Ms = 0, p95Ms = 0 }: Readonly<Record<string, number>>) => `open after ${openMs} ms; answers in ${p50Ms} ms, 95 of 100 within ${p95Ms} ms`,
      lanes: ({ opened = 0, live = 0 }: Readonly<Record<string, number>>) => `${live} of ${opened} live`,
      bytes: ({ bytes = 0, frozen = 0 }: Readonly<Record<string, number>>) => (frozen ? `frozen after ${bytes.toLocaleString("en")} bytes` : `${bytes.toLocaleString("en")} bytes pass`),
      idle: ({ cut = 0 }: Readonly<Record<string, number>>) => (cut ? "forgotten after 12 s of silence" : "still there after 12 s of silence"),
    },
    direct: {
      unknown: "looking…",
      possible: "this browser allows it. Whether it passes, a call will find out; calls work without it.",
      impossible: "this browser does not allow it. Calls work without it.",
    },
  },
  knows: {
    title: "What the server knows about me",
    lead: "This list is made from the server's real tables. What is not here, it does not store.",
    why: "Why",
    until: "Until",
    value: "Now",
    cannot: "It does not hold",
    cannotRows: [
      "what you write, send or say",
      "whom you talk with, and in which groups you are",
      "your phone number, email or contacts",
    ],
  },
  bytes: (count: number): string => {
    const units = ["B", "KB", "MB", "GB"]
    let value = count
    let unit = 0
    while (value >= 1000 && unit < units.length - 1) {
      value /= 1000
      unit++
    }
    return `${value.toLocaleString("en", { maximumFractionDigits: value < 10 && unit > 0 ? 1 : 0 })} ${units[unit]}`
  },
}

export type Text = typeof text
