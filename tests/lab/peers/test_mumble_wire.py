"""Mumble's protocol, byte by byte as its documentation has it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.peers.mumble_wire import HEADER_BYTES, Kind, Voice, header, message, protobuf, read_varint, varint


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (0x7F, "7f"),
        (0x80, "8080"),
        (0x3FFF, "bfff"),
        (0x4000, "c04000"),
        (0x200000, "e0200000"),
        (0xFFFFFFFF, "f0ffffffff"),
    ],
)
def test_integers(value: int, encoded: str) -> None:
    assert varint(value).hex() == encoded
    assert read_varint(varint(value) + b"rest", 0) == (value, len(encoded) // 2)


@given(st.integers(0, 2**32 - 1))
def test_integers_return(value: int) -> None:
    assert read_varint(b"." + varint(value), 1) == (value, 1 + len(varint(value)))


def test_messages() -> None:
    sent = message(Kind.AUTHENTICATE, protobuf([(1, "bob"), (5, 1), (1, 300)]))
    assert header(sent[:HEADER_BYTES]) == (2, 10)
    assert sent[HEADER_BYTES:].hex() == "0a03626f62280108ac02"


@given(st.integers(0, 2**20), st.binary(min_size=1, max_size=500), st.booleans())
def test_voice_from_the_server_names_a_session(sequence: int, packet: bytes, last: bool) -> None:
    mine = Voice(sequence, packet)
    sent = mine.to_bytes()
    assert sent[0] == 0x80
    body = sent[1 + len(varint(sequence)) :]
    if last:
        body = varint(len(packet) | 0x2000) + packet
    assert Voice.from_server(b"\x80" + varint(7) + varint(sequence) + body) == mine


def test_what_is_no_voice() -> None:
    assert Voice.from_server(b"\x20\x01") is None
    assert Voice.from_server(b"") is None


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_cut_off_packet_is_refused(cut: int) -> None:
    whole = b"\x80" + varint(7) + varint(1000) + varint(3) + b"abc"
    with pytest.raises(ValueError, match="voice packet"):
        Voice.from_server(whole[:-cut] if cut < len(whole) - 1 else whole[:1])
