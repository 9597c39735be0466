"""Upper bounds on everything a peer can make large. Above them: `LimitExceeded`, before memory is spent."""

from typing import Final

MESSAGE_BYTES_MAX: Final = 16 * 1024 * 1024
"""A whole MLSMessage. A Welcome for 1000 members with the tree inside is about 0.4 MB."""

KEY_PACKAGE_BYTES_MAX: Final = 64 * 1024
GROUP_ID_BYTES_MAX: Final = 255
IDENTITY_BYTES_MAX: Final = 4096
PSK_ID_BYTES_MAX: Final = 1024
PUBLIC_KEY_BYTES_MAX: Final = 2048
SIGNATURE_BYTES_MAX: Final = 1024
AUTHENTICATED_DATA_BYTES_MAX: Final = 64 * 1024
APPLICATION_DATA_BYTES_MAX: Final = 8 * 1024 * 1024

GROUP_LEAVES_MAX: Final = 8192
"""Leaves of a tree, blank ones included; a power of two."""

EXTENSIONS_MAX: Final = 64
EXTENSION_BYTES_MAX: Final = MESSAGE_BYTES_MAX
CAPABILITY_ENTRIES_MAX: Final = 512
PROPOSALS_PER_COMMIT_MAX: Final = GROUP_LEAVES_MAX
PENDING_PROPOSALS_MAX: Final = 1024
PSKS_PER_COMMIT_MAX: Final = 64
TREE_DEPTH_MAX: Final = 32

PAST_EPOCHS_DEFAULT: Final = 5
"""How many epochs before the current one can still be read."""

SKIPPED_GENERATIONS_DEFAULT: Final = 2000
"""Kept keys of messages not yet seen, for each sender and epoch."""

FORWARD_RATCHET_DEFAULT: Final = 10_000
"""How far ahead of the last seen generation a message may be."""

RESUMPTION_PSKS_MAX: Final = 32
"""Resumption secrets of past epochs kept for PSK proposals (RFC 9420 section 8.6)."""

EXPORT_BYTES_MAX: Final = 255 * 32
"""The most HKDF-Expand with SHA-256 yields."""
