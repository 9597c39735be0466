/** Own line icons on a grid of 24. `flip`: mirrored where text runs from right to left. */

export interface IconShape {
  readonly path: string
  readonly flip?: boolean
  readonly solid?: boolean
}

const PHONE = "M7.6 3.8 9.9 8.2 8 10.3a12.6 12.6 0 0 0 5.7 5.7l2.1-1.9 4.4 2.3v2.3a2 2 0 0 1-2.2 2A16.3 16.3 0 0 1 3.3 6a2 2 0 0 1 2-2.2z"
const MIC = "M12 14.5a3 3 0 0 0 3-3v-5a3 3 0 0 0-6 0v5a3 3 0 0 0 3 3zM6 11.5a6 6 0 0 0 12 0M12 17.5V21"

export const ICONS = {
  back: { path: "M14.5 5.5 8 12l6.5 6.5", flip: true },
  forward: { path: "M9.5 5.5 16 12l-6.5 6.5", flip: true },
  down: { path: "M6 9.5l6 6 6-6" },
  send: { path: "M12 19.5V5M5.5 11.5 12 5l6.5 6.5" },
  plus: { path: "M12 5v14M5 12h14" },
  close: { path: "M6 6l12 12M18 6 6 18" },
  check: { path: "M5 12.8l4.4 4.4L19 7.6" },
  checks: { path: "M2.5 12.8l4.2 4.2 8.6-9M11.2 16l1.1 1.1 9.2-9.4" },
  clock: { path: "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17zM12 7.5V12l3 2" },
  phone: { path: PHONE },
  mic: { path: MIC },
  micOff: { path: `${MIC}M4 4l16 16` },
  speaker: { path: "M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15.5 9a4.2 4.2 0 0 1 0 6M18 6.5a7.8 7.8 0 0 1 0 11", flip: true },
  play: { path: "M8 5.5v13L18.5 12z", flip: true },
  pause: { path: "M8.5 5.5v13M15.5 5.5v13" },
  window: { path: "M3.5 5.5h17v13h-17zM12.5 12h5.5v4h-5.500z", flip: true },
  tune: { path: "M4 7.5h8.5M17.5 7.5H20M4 16.5h2.5M11.5 16.5H20M15 10a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM9 19a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z" },
  reply: { path: "M9.5 6.5 4 12l5.5 5.5M4 12h9.5a6.5 6.5 0 0 1 6.5 6.5", flip: true },
  smile: { path: "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17zM8.3 14a4.3 4.3 0 0 0 7.4 0M9 9.6v.3M15 9.6v.3" },
  more: { path: "M6 12h.01M12 12h.01M18 12h.01", solid: true },
  pencil: { path: "M4.5 19.5l1-4L16 5l3 3L8.5 18.5zM14 7l3 3", flip: true },
  compose: { path: "M19.5 13v5a2 2 0 0 1-2 2h-11a2 2 0 0 1-2-2V7a2 2 0 0 1 2-2h5M9.5 14.5l.6-3 8-8 2.4 2.4-8 8z", flip: true },
  trash: { path: "M5 7h14M9.5 7V4.5h5V7M7 7l.8 12.5h8.400L17 7M10.5 10.5v5.5M13.5 10.5v5.5" },
  copy: { path: "M9 8.5h9.5V20H9zM5.5 15.5V4H15" },
  clip: { path: "M19.5 11.5 12 19a5 5 0 0 1-7.1-7.100l8-8a3.4 3.4 0 0 1 4.8 4.800l-7.8 7.800a1.7 1.7 0 0 1-2.4-2.400l7-7" },
  file: { path: "M6.5 3.5h7l4 4v13h-11zM13.5 3.5v4h4", flip: true },
  download: { path: "M12 4v11M7 10.5l5 5 5-5M5 20h14" },
  search: { path: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM15.5 15.5 20 20" },
  chats: { path: "M5.5 4.5h13a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H12l-4.5 3.5v-3.5h-2a2 2 0 0 1-2-2v-8a2 2 0 0 1 2-2z", flip: true },
  code: { path: "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h2.5v2.5H14zM19.9 14v.1M14 19.900v.1M17 20h3v-3" },
  camera: { path: "M4 8h3.5L9 5.5h6L16.5 8H20v11H4zM12 16.5a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.400z" },
  person: { path: "M12 11.5a3.8 3.8 0 1 0 0-7.6 3.8 3.8 0 0 0 0 7.600zM4.5 20a7.5 7.5 0 0 1 15 0" },
  people: { path: "M9 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 19.5a6.5 6.5 0 0 1 13 0M15.5 4.700a3.5 3.5 0 0 1 0 6.600M18 14a6.5 6.5 0 0 1 3.5 5.5", flip: true },
  shield: { path: "M12 3.5l7 2.5v5.5c0 4.5-3 7.5-7 9-4-1.5-7-4.5-7-9V6zM8.8 12l2.3 2.3 4.1-4.3" },
  lock: { path: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3" },
  warning: { path: "M12 4.5 21 19.5H3zM12 10.5v4M12 17v.1" },
  info: { path: "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17zM12 11v5.5M12 7.800v.1" },
  incoming: { path: "M17.5 6.5 7 17M7 9v8h8", flip: true },
  outgoing: { path: "M6.5 17.5 17 7M9 7h8v8", flip: true },
  missed: { path: "M18 5.5l-6.5 6.5-6-6M5.5 10V6h4M4 18.5h16", flip: true },
  cloudOff: { path: "M4 4l16 16M9 6.200A6 6 0 0 1 17.6 10 4 4 0 0 1 20 16.5M6.5 9.5A4.5 4.5 0 0 0 7 18.5h9" },
  leave: { path: "M13.5 4.5h-8v15h8M10 12h10.5M17 8.5l3.5 3.5-3.5 3.5", flip: true },
  database: { path: "M12 9.5c4 0 7-1.1 7-2.5s-3-2.5-7-2.5S5 5.6 5 7s3 2.5 7 2.5zM5 7v10c0 1.4 3 2.5 7 2.5s7-1.1 7-2.5V7M5 12c0 1.4 3 2.5 7 2.5s7-1.1 7-2.5" },
} as const satisfies Record<string, IconShape>

export type IconName = keyof typeof ICONS
