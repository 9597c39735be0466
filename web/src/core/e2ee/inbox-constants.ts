// Generated from src/ringthrough/e2ee/inbox.py by tools/generate_web.py: change that file, not this one.

export const SEAL_OVERHEAD_BYTES = 48
export const ORIGIN_CHARS_MAX = 255
export const TITLE_CHARS_MAX = 128
