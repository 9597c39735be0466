"""IPv4 packets as rules look at them. Pure: bytes in, fields out."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from socket import inet_aton, inet_ntoa

from lab.middlebox.rules import Match

TCP, UDP = 6, 17
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10
_STUN_COOKIE = b"\x21\x12\xa4\x42"
_DTLS_HANDSHAKE, _CLIENT_HELLO = 22, 1
_DTLS_TYPE_AT, _HANDSHAKE_TYPE_AT = 0, 13
_HEADER_BYTES_MIN = 20


@dataclass(slots=True)
class Packet:
    """An IP packet. Ports, flags and payload are zero or empty for other protocols and for later fragments."""

    data: bytes
    protocol: int
    source: str
    destination: str
    source_port: int = 0
    destination_port: int = 0
    sequence: int = 0
    acknowledged: int = 0
    flags: int = 0
    payload_at: int = 0
    end: int = 0

    @property
    def payload_bytes(self) -> int:
        """Bytes after the transport header."""
        return self.end - self.payload_at

    @property
    def payload(self) -> bytes:
        """What is behind the transport header."""
        return self.data[self.payload_at : self.end]

    @property
    def flow(self) -> tuple[str, int, str, int]:
        """Source and destination with ports: names a TCP connection in one direction."""
        return self.source, self.source_port, self.destination, self.destination_port


def parse(data: bytes) -> Packet | None:
    """The packet in `data` (from the IP header on); None for anything that is not a whole IPv4 packet."""
    if len(data) < _HEADER_BYTES_MIN or data[0] >> 4 != 4:
        return None
    header = (data[0] & 15) * 4
    (length,) = struct.unpack_from("!H", data, 2)
    if not _HEADER_BYTES_MIN <= header <= length <= len(data):
        return None
    protocol = data[9]
    packet = Packet(data, protocol, inet_ntoa(data[12:16]), inet_ntoa(data[16:20]), payload_at=length, end=length)
    first_fragment = struct.unpack_from("!H", data, 6)[0] & 0x1FFF == 0
    if protocol == UDP and first_fragment and length >= header + 8:
        packet.source_port, packet.destination_port = struct.unpack_from("!HH", data, header)
        packet.payload_at = header + 8
    elif protocol == TCP and first_fragment and length >= header + 20:
        ports_and_numbers = struct.unpack_from("!HHIIBB", data, header)
        packet.source_port, packet.destination_port, packet.sequence, packet.acknowledged = ports_and_numbers[:4]
        packet.flags = ports_and_numbers[5]
        packet.payload_at = min(header + (ports_and_numbers[4] >> 4) * 4, length)
    return packet


def matches(match: Match, packet: Packet) -> bool:
    """Whether all that `match` asks holds for the packet."""
    if match.protocol is not None and packet.protocol != (TCP if match.protocol == "tcp" else UDP):
        return False
    if match.address is not None and match.address not in (packet.source, packet.destination):
        return False
    if match.port is not None and match.port not in (packet.source_port, packet.destination_port):
        return False
    if match.content == "stun":
        return is_stun(packet)
    if match.content == "dtls_client_hello":
        return is_dtls_client_hello(packet)
    return True


def is_stun(packet: Packet) -> bool:
    """A UDP packet with STUN's magic cookie (RFC 8489, section 5)."""
    at = packet.payload_at + 4
    return packet.protocol == UDP and packet.data[at : at + 4] == _STUN_COOKIE and at + 4 <= packet.end


def is_dtls_client_hello(packet: Packet) -> bool:
    """A UDP packet that begins with a DTLS ClientHello (RFC 6347, sections 4.1 and 4.2.2)."""
    payload = packet.payload
    return (
        packet.protocol == UDP
        and len(payload) > _HANDSHAKE_TYPE_AT
        and payload[_DTLS_TYPE_AT] == _DTLS_HANDSHAKE
        and payload[1] == 0xFE
        and payload[_HANDSHAKE_TYPE_AT] == _CLIENT_HELLO
    )


def reset(packet: Packet) -> bytes:
    """The RST that answers a TCP packet, as its destination would send it (RFC 9293, section 3.10.7.1)."""
    sequence = packet.acknowledged if packet.flags & ACK else 0
    advance = packet.payload_bytes + bool(packet.flags & SYN) + bool(packet.flags & FIN)
    acknowledged = (packet.sequence + advance) & 0xFFFFFFFF
    flags = RST if packet.flags & ACK else RST | ACK
    addresses = inet_aton(packet.destination) + inet_aton(packet.source)
    segment = struct.pack(
        "!HHIIBBHHH",
        packet.destination_port,
        packet.source_port,
        sequence,
        0 if packet.flags & ACK else acknowledged,
        5 << 4,
        flags,
        0,
        0,
        0,
    )
    pseudo = addresses + struct.pack("!BBH", 0, TCP, len(segment))
    segment = segment[:16] + struct.pack("!H", _checksum(pseudo + segment)) + segment[18:]
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0x4000, 64, TCP, 0) + addresses
    return header[:10] + struct.pack("!H", _checksum(header)) + header[12:] + segment


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
