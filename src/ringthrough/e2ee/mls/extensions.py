"""Extensions (RFC 9420 section 13) and capabilities (section 7.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from .codec import Reader, decode, opaque, u16, u16_vector, vector
from .credentials import CREDENTIAL_BASIC
from .errors import DecodeError
from .limits import CAPABILITY_ENTRIES_MAX, EXTENSION_BYTES_MAX, EXTENSIONS_MAX, PUBLIC_KEY_BYTES_MAX
from .suites import PROTOCOL_VERSION, CipherSuite

APPLICATION_ID: Final = 0x0001
RATCHET_TREE: Final = 0x0002
REQUIRED_CAPABILITIES: Final = 0x0003
EXTERNAL_PUB: Final = 0x0004
EXTERNAL_SENDERS: Final = 0x0005
LAST_RESORT: Final = 0x000A

DEFAULT_EXTENSIONS: Final = frozenset(range(0x0001, 0x0006))
"""Extension types every client supports without listing them (section 7.2)."""

DEFAULT_PROPOSALS: Final = frozenset(range(0x0001, 0x0008))
"""Proposal types every client supports without listing them (section 7.2)."""


@dataclass(frozen=True)
class Extension:
    """One extension; `data` is opaque at this level."""

    type: int
    data: bytes

    def encode(self) -> bytes:
        return u16(self.type) + opaque(self.data)

    @staticmethod
    def read(reader: Reader) -> Extension:
        return Extension(reader.u16(), reader.opaque(EXTENSION_BYTES_MAX))


Extensions = tuple[Extension, ...]


def encode_extensions(extensions: Sequence[Extension]) -> bytes:
    """`Extension extensions<V>`."""
    return vector(extension.encode() for extension in extensions)


def read_extensions(reader: Reader) -> Extensions:
    """`Extension extensions<V>`; a type may appear once only (section 13.4)."""
    extensions = tuple(reader.vector(Extension.read, EXTENSIONS_MAX))
    if len({extension.type for extension in extensions}) != len(extensions):
        raise DecodeError("an extension type appears twice in a list")
    return extensions


def find_extension(extensions: Sequence[Extension], type: int) -> bytes | None:
    """The data of the extension of this type, if present."""
    for extension in extensions:
        if extension.type == type:
            return extension.data
    return None


@dataclass(frozen=True)
class Capabilities:
    """What a client can do (section 7.2): numbers of the IANA registries."""

    versions: tuple[int, ...]
    cipher_suites: tuple[int, ...]
    extensions: tuple[int, ...]
    proposals: tuple[int, ...]
    credentials: tuple[int, ...]

    @staticmethod
    def of(cs: CipherSuite, extensions: Sequence[int] = ()) -> Capabilities:
        """What this implementation offers with one cipher suite."""
        return Capabilities((PROTOCOL_VERSION,), (cs.id,), tuple(extensions), (), (CREDENTIAL_BASIC,))

    def encode(self) -> bytes:
        return b"".join(
            (
                u16_vector(self.versions),
                u16_vector(self.cipher_suites),
                u16_vector(self.extensions),
                u16_vector(self.proposals),
                u16_vector(self.credentials),
            )
        )

    @staticmethod
    def read(reader: Reader) -> Capabilities:
        start = reader.position
        for _ in range(5):
            reader.nested()
        return _capabilities(reader.data[start : reader.position])

    def support_extension(self, type: int) -> bool:
        return type in DEFAULT_EXTENSIONS or type in self.extensions

    def support_proposal(self, type: int) -> bool:
        return type in DEFAULT_PROPOSALS or type in self.proposals


@lru_cache(maxsize=64)
def _capabilities(encoded: bytes) -> Capabilities:
    """Members of one group mostly have equal capabilities, so their decoding is shared."""
    return decode(
        encoded,
        lambda reader: Capabilities(*(reader.u16_vector(CAPABILITY_ENTRIES_MAX) for _ in range(5))),
    )


@dataclass(frozen=True)
class RequiredCapabilities:
    """The extension of section 11.1: what each member of the group must support."""

    extensions: tuple[int, ...]
    proposals: tuple[int, ...]
    credentials: tuple[int, ...]

    def encode(self) -> bytes:
        return u16_vector(self.extensions) + u16_vector(self.proposals) + u16_vector(self.credentials)

    @staticmethod
    def read(reader: Reader) -> RequiredCapabilities:
        return RequiredCapabilities(*(reader.u16_vector(CAPABILITY_ENTRIES_MAX) for _ in range(3)))

    @staticmethod
    def of(extensions: Sequence[Extension]) -> RequiredCapabilities | None:
        """The requirement a group's extensions hold, if any."""
        data = find_extension(extensions, REQUIRED_CAPABILITIES)
        return None if data is None else decode(data, RequiredCapabilities.read)

    def met_by(self, capabilities: Capabilities) -> bool:
        return (
            all(capabilities.support_extension(type) for type in self.extensions)
            and all(capabilities.support_proposal(type) for type in self.proposals)
            and all(type in capabilities.credentials for type in self.credentials)
        )


def external_pub(extensions: Sequence[Extension]) -> bytes | None:
    """The public key external joiners encrypt to (section 12.4.3.2), if offered."""
    data = find_extension(extensions, EXTERNAL_PUB)
    return None if data is None else decode(data, lambda reader: reader.opaque(PUBLIC_KEY_BYTES_MAX))
