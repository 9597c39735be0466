/** Times in words, in the language of the texts and the person's own time zone. */

import { text } from "./text.js"

const clockTime = new Intl.DateTimeFormat(text.language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" })
const weekday = new Intl.DateTimeFormat(text.language, { weekday: "long" })
const shortWeekday = new Intl.DateTimeFormat(text.language, { weekday: "short" })
const day = new Intl.DateTimeFormat(text.language, { day: "numeric", month: "short" })
const dayAndYear = new Intl.DateTimeFormat(text.language, { day: "numeric", month: "short", year: "numeric" })
const whole = new Intl.DateTimeFormat(text.language, { dateStyle: "full", timeStyle: "short", hourCycle: "h23" })
const relative = new Intl.RelativeTimeFormat(text.language, { numeric: "auto" })

function daysAgo(timeS: number, nowMs: number): number {
  const then = new Date(timeS * 1000)
  const now = new Date(nowMs)
  return Math.round((new Date(now.getFullYear(), now.getMonth(), now.getDate()).getTime()
    - new Date(then.getFullYear(), then.getMonth(), then.getDate()).getTime()) / 86_400_000)
}

function capital(words: string): string {
  return words.charAt(0).toLocaleUpperCase(text.language) + words.slice(1)
}

/** 14:05 */
export function timeOf(timeS: number): string {
  return clockTime.format(timeS * 1000)
}

/** For a list: 14:05, Mon, 3 Mar, 3 Mar 2024. */
export function shortWhen(timeS: number, nowMs: number): string {
  const days = daysAgo(timeS, nowMs)
  if (days <= 0) return timeOf(timeS)
  if (days < 7) return shortWeekday.format(timeS * 1000)
  return (days < 300 ? day : dayAndYear).format(timeS * 1000)
}

/** For the line between days: Today, Yesterday, Monday, 3 Mar. */
export function dayWords(timeS: number, nowMs: number): string {
  const days = daysAgo(timeS, nowMs)
  if (days <= 1) return capital(relative.format(-Math.max(days, 0), "day"))
  if (days < 7) return weekday.format(timeS * 1000)
  return (days < 300 ? day : dayAndYear).format(timeS * 1000)
}

export function wholeWhen(timeS: number): string {
  return whole.format(timeS * 1000)
}

/** 0:07, 12:30, 1:02:03 */
export function durationOf(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds))
  const two = (value: number): string => String(value).padStart(2, "0")
  const hours = Math.floor(whole / 3600)
  const minutes = Math.floor((whole % 3600) / 60)
  return hours > 0 ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`
}
