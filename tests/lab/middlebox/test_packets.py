"""What rules read from packets, and the RST they send."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.middlebox.packets import ACK, RST, SYN, is_dtls_client_hello, is_stun, parse, reset

from .make_packets import ALICE, BOB, SERVER, ip, tcp, udp

STUN_BINDING = struct.pack("!HHI", 1, 0, 0x2112A442) + bytes(12)
DTLS_HELLO = bytes([22, 0xFE, 0xFD]) + bytes(8) + b"\x00\x40" + bytes([1]) + bytes(63)


def test_fields_of_tcp_and_udp() -> None:
    seen = parse(tcp(payload=b"abc", flags=SYN | ACK))
    assert seen is not None
    assert seen.flow == (ALICE, 40_000, SERVER, 443)
    assert (seen.payload, seen.flags, seen.sequence, seen.acknowledged) == (b"abc", SYN | ACK, 1000, 2000)
    datagram = parse(udp(payload=b"xyz") + b"padding of the link")
    assert datagram is not None
    assert datagram.flow == (ALICE, 4000, BOB, 3478)
    assert datagram.payload == b"xyz"


def test_later_fragments_have_no_ports() -> None:
    fragment = bytearray(udp())
    fragment[6:8] = struct.pack("!H", 100)
    seen = parse(bytes(fragment))
    assert seen is not None
    assert (seen.source_port, seen.payload_bytes) == (0, 0)


@pytest.mark.parametrize(
    ("payload", "stun", "hello"),
    [
        (STUN_BINDING, True, False),
        (DTLS_HELLO, False, True),
        (b"", False, False),
        (DTLS_HELLO[:13] + b"\x02" + DTLS_HELLO[14:], False, False),
        (STUN_BINDING[:7], False, False),
    ],
)
def test_signatures(payload: bytes, stun: bool, hello: bool) -> None:
    seen = parse(udp(payload=payload))
    assert seen is not None
    assert (is_stun(seen), is_dtls_client_hello(seen)) == (stun, hello)
    over_tcp = parse(tcp(payload=payload))
    assert over_tcp is not None
    assert not is_stun(over_tcp)
    assert not is_dtls_client_hello(over_tcp)


def test_a_reset_is_what_its_receiver_accepts() -> None:
    """RFC 9293, 3.10.7.1: a SYN is reset with ACK of its number plus one, an ACK with its own number as sequence."""
    syn, data = parse(tcp(flags=SYN)), parse(tcp(payload=b"abc"))
    assert syn is not None
    assert data is not None
    for seen, flags, sequence, acknowledged in ((syn, RST | ACK, 0, 1001), (data, RST, 2000, 0)):
        answer = parse(reset(seen))
        assert answer is not None
        assert answer.flow == (SERVER, 443, ALICE, 40_000)
        assert (answer.flags, answer.sequence, answer.acknowledged) == (flags, sequence, acknowledged)
        for part in (answer.data[:20], answer.data[12:20] + struct.pack("!BBH", 0, 6, 20) + answer.data[20:]):
            total = sum(struct.unpack(f"!{len(part) // 2}H", part))
            assert (total & 0xFFFF) + (total >> 16) == 0xFFFF, "checksum"


@given(st.binary(max_size=80))
def test_no_bytes_upset_the_parser(data: bytes) -> None:
    parse(data)
    for protocol in (6, 17):
        seen = parse(ip(protocol, ALICE, BOB, data))
        assert seen is not None
        is_stun(seen)
        is_dtls_client_hello(seen)
        assert 0 <= seen.payload_at <= seen.end
        if protocol == 6:
            reset(seen)
