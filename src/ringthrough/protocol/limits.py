"""Versions and limits of the wire, each named once and quoted by docs/spec (a test compares them)."""

VERSION_MIN = 1
VERSION_MAX = 1

STREAM_ID_BYTES = 16
TOKEN_BYTES = 32
TOKEN_HASH_BYTES = 32

PADDED_SIZES_BYTES = (160, 320, 640, 1280, 2560, 5120, 10240, 20480, 40960, 65536)
"""The only sizes a record or a signal may have, so that its length says little about what it carries."""

RECORD_BYTES_MAX = PADDED_SIZES_BYTES[-1]
SIGNAL_BYTES_MAX = 5120
APPEND_RECORDS_MAX = 64
APPEND_BYTES_MAX = 262_144
MESSAGE_BYTES_MAX = APPEND_BYTES_MAX + 4096
"""Largest WebSocket message either side may send."""

BUNDLE_ID_BYTES = 16
LANES_PER_BUNDLE_MAX = 8

STREAMS_PER_CONNECTION_MAX = 4096
REQUESTS_IN_FLIGHT_MAX = 256

RECORD_LIFETIME_S = 30 * 24 * 3600
BLOB_LIFETIME_S = 30 * 24 * 3600
BLOB_BYTES_MAX = 64 * 1024 * 1024

HANDLE_PATTERN = r"[a-z0-9](?:[a-z0-9._-]{0,30}[a-z0-9])"
DEVICES_PER_ACCOUNT_MAX = 16
KEY_PACKAGE_BYTES_MAX = 4096
KEY_PACKAGES_PER_DEVICE_MAX = 200

CHALLENGE_LIFETIME_S = 60
SESSION_LIFETIME_S = 3600


def padded_size(length: int) -> int:
    """The wire size for a body of `length` bytes.

    Raises:
        ValueError: the body is larger than the largest wire size.
    """
    for size in PADDED_SIZES_BYTES:
        if length <= size:
            return size
    raise ValueError(f"{length} bytes exceed the largest wire size of {RECORD_BYTES_MAX}")
