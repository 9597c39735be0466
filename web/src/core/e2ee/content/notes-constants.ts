// Generated from src/ringthrough/e2ee/content/notes.py by tools/generate_web.py: change that file, not this one.

export const NOTE_MEDIA_TYPE = "application/vnd.ringthrough.note+cbor"
export const NOTE_VERSION = 1
export const NOTE_CODEC = "opus"
