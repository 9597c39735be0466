"""Limits of message content, each named once and quoted by docs/spec/content.md (a test compares them)."""

from __future__ import annotations

from typing import Final

CONTENT_BYTES_MAX: Final = 61_440
"""Encoded content; leaves 4 KiB of the largest record to the MLS message around it."""
CBOR_DEPTH_MAX: Final = 16
PART_DEPTH_MAX: Final = 4
PARTS_MAX: Final = 1024
SALT_BYTES: Final = 16
MESSAGE_ID_BYTES: Final = 32
TOPIC_ID_BYTES_MAX: Final = 4096
EXTENSIONS_MAX: Final = 32
EXTENSION_NAME_BYTES_MAX: Final = 255
EXTENSION_VALUE_BYTES_MAX: Final = 4096
CONTENT_TYPE_BYTES_MAX: Final = 255
LANGUAGE_BYTES_MAX: Final = 255
URL_BYTES_MAX: Final = 2048
URI_BYTES_MAX: Final = 2048
DESCRIPTION_BYTES_MAX: Final = 4096
FILENAME_BYTES_MAX: Final = 255
CRYPTO_FIELD_BYTES_MAX: Final = 64
"""Key, nonce and content hash of an external part, for algorithms this software does not know."""
AAD_BYTES_MAX: Final = 4096
EXPIRY_SPAN_S_MAX: Final = 365 * 24 * 3600
CALL_ID_BYTES: Final = 16
OFFER_LIFETIME_MS: Final = 60_000
MEDIA_CHOICES_MAX: Final = 8
STATUSES_MAX: Final = 1024
REACTION_BYTES_MAX: Final = 64
NOTE_PACKETS_MAX: Final = 150
NOTE_BYTES_MAX: Final = 8192
"""Of all packets of a voice note together."""
