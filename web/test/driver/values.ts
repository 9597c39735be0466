// What a request's fields may be, checked where they come in.
export type Request = Record<string, unknown>
export type Op = (request: Request) => Promise<unknown>

export const text = (value: unknown): string => {
  if (typeof value !== "string") throw new TypeError(`not a string: ${JSON.stringify(value)}`)
  return value
}
export const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])
export const number = (value: unknown): number => {
  if (typeof value !== "number") throw new TypeError(`not a number: ${JSON.stringify(value)}`)
  return value
}
export const seconds = (value: unknown): bigint => BigInt(Math.floor(number(value)))
export const bytes = (value: unknown): Uint8Array => Uint8Array.from(atob(text(value)), (char) => char.charCodeAt(0))
export const base64 = (value: Uint8Array): string => btoa(Array.from(value, (byte) => String.fromCharCode(byte)).join(""))
