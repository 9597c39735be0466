/** How somebody without a picture looks: a colour, initials, and where the ring around them opens. From the id alone. */

export const HUES = 10

export interface Face {
  readonly hue: number
  readonly initials: string
  /** Degrees. */
  readonly opening: number
}

function hash(text: string): number {
  let value = 2166136261
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 16777619)
  value ^= value >>> 15
  return Math.imul(value, 0x2c1b3c6d) >>> 0
}

export function faceOf(id: string, name: string): Face {
  const value = hash(id)
  const words = name.replace(/^@/, "").split("@")[0]!.split(/[\s._-]+/).filter((word) => word !== "")
  const letters = words.length > 1 ? [words[0]!, words[1]!].map((word) => [...word][0]!) : [...(words[0] ?? "?")].slice(0, 1)
  return { hue: value % HUES, initials: letters.join("").toLocaleUpperCase(), opening: (value >>> 8) % 360 }
}
