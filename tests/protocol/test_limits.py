from __future__ import annotations

import pytest

from ringthrough.protocol import limits


def test_padding_goes_up_to_the_next_size() -> None:
    assert [limits.padded_size(n) for n in (0, 160, 161, 65535, 65536)] == [160, 160, 320, 65536, 65536]
    with pytest.raises(ValueError, match="65537"):
        limits.padded_size(65537)


@pytest.mark.promise("CANNOT-SINGLE-OUT")
def test_signals_and_records_share_their_sizes() -> None:
    """A voice frame must not be told from a message by a size that only one of them may have."""
    assert limits.SIGNAL_BYTES_MAX in limits.PADDED_SIZES_BYTES
    assert max(limits.PADDED_SIZES_BYTES) == limits.RECORD_BYTES_MAX
    assert sorted(set(limits.PADDED_SIZES_BYTES)) == list(limits.PADDED_SIZES_BYTES)


def test_a_full_append_fits_a_message() -> None:
    heads = 10 + 40 + 2 + limits.APPEND_RECORDS_MAX * 4
    assert limits.APPEND_BYTES_MAX + heads <= limits.MESSAGE_BYTES_MAX
