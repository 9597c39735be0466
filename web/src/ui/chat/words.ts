/** A message's text in parts: words, and links that may be followed. Pure. */

export interface Part {
  readonly text: string
  /** Set for links: always http or https. */
  readonly href?: string
}

const LINK = /\bhttps?:\/\/[^\s<>"]+/giu

export function parts(words: string): readonly Part[] {
  const result: Part[] = []
  let end = 0
  for (const match of words.matchAll(LINK)) {
    const link = match[0].replace(/[.,;:!?'")\]}]+$/u, "")
    if (!URL.canParse(link)) continue
    if (match.index > end) result.push({ text: words.slice(end, match.index) })
    result.push({ text: link, href: link })
    end = match.index + link.length
  }
  if (end < words.length) result.push({ text: words.slice(end) })
  return result
}

const EMOJI = /^(?:(?:\p{RI}\p{RI}|\p{Extended_Pictographic}(?:\uFE0F|\p{Emoji_Modifier}|\u200D\p{Extended_Pictographic})*)\s*){1,3}$/u

/** One to three emoji and nothing else: they are drawn large. */
export function isEmojiOnly(words: string): boolean {
  return words.length < 60 && EMOJI.test(words)
}
