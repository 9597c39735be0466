"""What two devices say to open a direct channel during a call, sealed (docs/spec/media.md section 8.2).

Addresses and keys of the channel are the two devices' own business: they travel as SFrame frames (RFC 9605) under
keys made from the call's, so the server sees neither, and nobody else's offer is opened.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from .content.cbor import Value, decode_deterministic, encode_deterministic
from .content.errors import ContentError, Reason

DIRECT_LABEL: Final = "ringthrough direct v1"
DIRECT_VERSION: Final = 1
DIRECT_KINDS: Final = ("offer", "answer", "refuse", "ask")
"""The number of a kind on the wire is its place here."""
CANDIDATES_MAX: Final = 16
FINGERPRINT_BYTES: Final = 32
"""SHA-256 of the certificate (RFC 8122)."""
UFRAG_PATTERN: Final = "[A-Za-z0-9+/]{4,64}"
PASSWORD_PATTERN: Final = "[A-Za-z0-9+/]{22,64}"
"""RFC 8839 section 5.4; shorter than it allows at most."""
ADDRESS_PATTERN: Final = (
    "[0-9]{1,3}(?:\\.[0-9]{1,3}){3}|[0-9a-f:.]{2,45}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\\.local"
)
"""IPv4, IPv6, or the name that a browser shows in their place."""

Kind = Literal["offer", "answer", "refuse", "ask"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A UDP address of the device itself."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class Description:
    """What the other side needs to connect: ICE credentials (RFC 8445), the certificate's SHA-256, addresses."""

    ufrag: str
    password: str
    fingerprint: bytes
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class DirectMessage:
    """`description` comes with offer and answer alone; `attempt` is the offerer's number."""

    kind: Kind
    attempt: int
    description: Description | None = None


def direct_base_key(base_key: bytes) -> bytes:
    """The base key of the signalling frames, from the call's base key of the same epoch."""
    return HKDFExpand(SHA256(), 32, DIRECT_LABEL.encode()).derive(base_key)


def encode_direct(message: DirectMessage) -> bytes:
    """The payload of a signalling frame.

    Raises:
        ContentError: a message that `decode_direct` would refuse, for the same reason.
    """
    fields: list[Value] = [DIRECT_VERSION, DIRECT_KINDS.index(message.kind), message.attempt]
    if message.description is not None:
        d = message.description
        candidates: list[Value] = [[c.address, c.port] for c in d.candidates]
        fields += [d.ufrag, d.password, d.fingerprint, candidates]
    encoded = encode_deterministic(fields)
    decode_direct(encoded)
    return encoded


def decode_direct(payload: bytes) -> DirectMessage:
    """Read and check a payload.

    Raises:
        ContentError: not deterministic CBOR, `unsupported_version`, `unknown_kind`, `bad_body`.
    """
    value = decode_deterministic(payload)
    if not isinstance(value, list) or len(value) < 3:
        raise ContentError(Reason.BAD_BODY, "no array of three or more")
    version, number, attempt, *fields = value
    if version != DIRECT_VERSION or isinstance(version, bool):
        raise ContentError(Reason.UNSUPPORTED_VERSION, f"version {version!r}")
    kind_number, attempt = _number(number, 2**32), _number(attempt, 2**32 - 1)
    match kind_number, fields:
        case 0, [ufrag, password, fingerprint, candidates]:
            return DirectMessage("offer", attempt, _description(ufrag, password, fingerprint, candidates))
        case 1, [ufrag, password, fingerprint, candidates]:
            return DirectMessage("answer", attempt, _description(ufrag, password, fingerprint, candidates))
        case 2, []:
            return DirectMessage("refuse", attempt)
        case 3, []:
            return DirectMessage("ask", attempt)
    if kind_number >= len(DIRECT_KINDS):
        raise ContentError(Reason.UNKNOWN_KIND, f"message {kind_number}")
    raise ContentError(Reason.BAD_BODY, f"fields of {DIRECT_KINDS[kind_number]}")


def _description(ufrag: Value, password: Value, fingerprint: Value, candidates: Value) -> Description:
    if not isinstance(fingerprint, bytes) or len(fingerprint) != FINGERPRINT_BYTES:
        raise ContentError(Reason.BAD_BODY, "no SHA-256 of a certificate")
    if not isinstance(candidates, list) or len(candidates) > CANDIDATES_MAX:
        raise ContentError(Reason.BAD_BODY, "no list of candidates")
    return Description(
        _text(ufrag, UFRAG_PATTERN),
        _text(password, PASSWORD_PATTERN),
        fingerprint,
        tuple(_candidate(candidate) for candidate in candidates),
    )


def _candidate(value: Value) -> Candidate:
    match value:
        case [address, port] if port != 0:
            return Candidate(_text(address, ADDRESS_PATTERN), _number(port, 65_535))
    raise ContentError(Reason.BAD_BODY, "no candidate")


def _text(value: Value, pattern: str) -> str:
    # An address becomes part of a line of SDP: nothing may end that line.
    if not isinstance(value, str) or re.fullmatch(pattern, value) is None:
        raise ContentError(Reason.BAD_BODY, f"{value!r}")
    return value


def _number(value: Value, maximum: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= maximum:
        raise ContentError(Reason.BAD_BODY, f"{value!r} is no number from 0 to {maximum}")
    return value
