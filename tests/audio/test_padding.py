"""Packets in fixed-size plaintext."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringthrough.audio.errors import PaddingError
from ringthrough.audio.opus import CALL_PROFILE
from ringthrough.audio.padding import BUCKET_BYTES, packet_bytes_max, pad, unpad


def test_call_profile_always_fits_the_default_bucket() -> None:
    assert CALL_PROFILE.packet_bytes_max == packet_bytes_max(BUCKET_BYTES)


@given(bucket=st.integers(2, 700), data=st.data())
def test_round_trip_at_one_size(bucket: int, data: st.DataObject) -> None:
    packet = data.draw(st.binary(min_size=1, max_size=packet_bytes_max(bucket)))
    padded = pad(packet, bucket)
    assert len(padded) == bucket
    assert unpad(padded, bucket) == packet


@given(plaintext=st.binary(min_size=16, max_size=16))
def test_only_what_pad_writes_is_accepted(plaintext: bytes) -> None:
    try:
        packet = unpad(plaintext, 16)
    except PaddingError:
        return
    assert pad(packet, 16) == plaintext


@given(packet=st.binary(min_size=1, max_size=60), zeros=st.integers(0, 8), mark=st.sampled_from([b"", b"\x80"]))
def test_packet_that_looks_like_padding_survives(packet: bytes, zeros: int, mark: bytes) -> None:
    tricky = packet + mark + bytes(zeros)
    assert unpad(pad(tricky)) == tricky


@pytest.mark.promise("CANNOT-SINGLE-OUT")
@given(first=st.binary(min_size=1, max_size=127), second=st.binary(min_size=1, max_size=127))
def test_length_of_what_was_said_does_not_show(first: bytes, second: bytes) -> None:
    assert len(pad(first)) == len(pad(second)) == BUCKET_BYTES


@pytest.mark.parametrize("packet", [b"", bytes(128), b"x" * 128, b"x" * 5000])
def test_packet_that_does_not_fit_is_refused(packet: bytes) -> None:
    with pytest.raises(PaddingError):
        pad(packet)


@pytest.mark.parametrize(
    "plaintext",
    [
        b"",
        bytes(128),
        b"\x80" + bytes(127),
        b"x" * 128,
        pad(b"x")[:-1],
        pad(b"x") + b"\x00",
        pad(b"x")[:-1] + b"\x01",
    ],
)
def test_malformed_padding_is_refused(plaintext: bytes) -> None:
    with pytest.raises(PaddingError):
        unpad(plaintext)


@pytest.mark.parametrize("bucket", [-1, 0, 1])
def test_bucket_that_carries_nothing_is_refused(bucket: int) -> None:
    with pytest.raises(PaddingError):
        pad(b"x", bucket)
