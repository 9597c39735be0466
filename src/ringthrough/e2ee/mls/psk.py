"""Pre-shared keys (RFC 9420 section 8.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from .codec import Reader, opaque, u8, u16, u64
from .errors import DecodeError
from .limits import GROUP_ID_BYTES_MAX, PSK_ID_BYTES_MAX
from .suites import CipherSuite


class PskType(IntEnum):
    EXTERNAL = 1
    RESUMPTION = 2


class ResumptionUsage(IntEnum):
    APPLICATION = 1
    REINIT = 2
    BRANCH = 3


@dataclass(frozen=True)
class PreSharedKeyId:
    """PreSharedKeyID: an external PSK has `psk_id`, a resumption PSK has the three fields after it."""

    type: PskType
    nonce: bytes
    psk_id: bytes = b""
    usage: ResumptionUsage = ResumptionUsage.APPLICATION
    group_id: bytes = b""
    epoch: int = 0

    @property
    def name(self) -> tuple[int, bytes, int, bytes, int]:
        """What identifies the key itself, whatever the nonce."""
        return (self.type, self.psk_id, self.usage, self.group_id, self.epoch)

    def encode(self) -> bytes:
        if self.type is PskType.EXTERNAL:
            return u8(self.type) + opaque(self.psk_id) + opaque(self.nonce)
        resumption = u8(self.usage) + opaque(self.group_id) + u64(self.epoch)
        return u8(self.type) + resumption + opaque(self.nonce)

    @staticmethod
    def read(reader: Reader) -> PreSharedKeyId:
        type = reader.u8()
        if type == PskType.EXTERNAL:
            psk_id = reader.opaque(PSK_ID_BYTES_MAX)
            return PreSharedKeyId(PskType.EXTERNAL, reader.opaque(PSK_ID_BYTES_MAX), psk_id)
        if type != PskType.RESUMPTION:
            raise DecodeError(f"PSK type {type} does not exist")
        usage = reader.u8()
        if usage not in (1, 2, 3):
            raise DecodeError(f"resumption PSK usage {usage} does not exist")
        group_id = reader.opaque(GROUP_ID_BYTES_MAX)
        epoch = reader.u64()
        nonce = reader.opaque(PSK_ID_BYTES_MAX)
        return PreSharedKeyId(PskType.RESUMPTION, nonce, b"", ResumptionUsage(usage), group_id, epoch)


def psk_secret(cs: CipherSuite, psks: Sequence[tuple[PreSharedKeyId, bytes]]) -> bytes:
    """The secret that all keys of a commit or a Welcome, in their order, contribute."""
    secret = cs.zero()
    for index, (psk_id, psk) in enumerate(psks):
        label = psk_id.encode() + u16(index) + u16(len(psks))
        extracted = cs.extract(cs.zero(), psk)
        psk_input = cs.expand_with_label(extracted, "derived psk", label, cs.hash_bytes)
        secret = cs.extract(psk_input, secret)
    return secret
