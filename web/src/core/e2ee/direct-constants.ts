// Generated from src/ringthrough/e2ee/direct.py by tools/generate_web.py: change that file, not this one.

export const DIRECT_LABEL = "ringthrough direct v1"
export const DIRECT_VERSION = 1
/** The number of a kind on the wire is its place here. */
export const DIRECT_KINDS = ["offer", "answer", "refuse", "ask"] as const
export const CANDIDATES_MAX = 16
/** SHA-256 of the certificate (RFC 8122). */
export const FINGERPRINT_BYTES = 32
export const UFRAG_PATTERN = "[A-Za-z0-9+/]{4,64}"
/** RFC 8839 section 5.4; shorter than it allows at most. */
export const PASSWORD_PATTERN = "[A-Za-z0-9+/]{22,64}"
/** IPv4, IPv6, or the name that a browser shows in their place. */
export const ADDRESS_PATTERN = "[0-9]{1,3}(?:\\.[0-9]{1,3}){3}|[0-9a-f:.]{2,45}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\\.local"
