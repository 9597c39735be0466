"""DHKEM of RFC 9180 section 4.1 over X25519, X448 and the NIST curves."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from cryptography.hazmat.primitives.asymmetric import ec, x448, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .errors import InvalidKey
from .signatures import P256_ORDER, P384_ORDER, P521_ORDER


class HpkeKeyPair(NamedTuple):
    """An HPKE key pair in the serialisation of RFC 9180 section 7.1."""

    public: bytes
    private: bytes

    def __repr__(self) -> str:
        return f"HpkeKeyPair(public={self.public.hex()})"


class Group(Protocol):
    """A Diffie-Hellman group of RFC 9180 section 7.1."""

    @property
    def private_bytes(self) -> int: ...

    def public_of(self, private: bytes) -> bytes: ...

    def exchange(self, private: bytes, public: bytes) -> bytes: ...

    def public_and_exchange(self, private: bytes, public: bytes) -> tuple[bytes, bytes]: ...

    def private_from(self, expand: _Expand) -> bytes: ...


class _Expand(Protocol):
    def __call__(self, label: bytes, info: bytes, size: int) -> bytes: ...


@dataclass(frozen=True)
class Montgomery:
    """X25519 or X448 (RFC 7748)."""

    private_type: type[x25519.X25519PrivateKey] | type[x448.X448PrivateKey]
    public_type: type[x25519.X25519PublicKey] | type[x448.X448PublicKey]
    private_bytes: int

    def public_of(self, private: bytes) -> bytes:
        try:
            return self.private_type.from_private_bytes(private).public_key().public_bytes_raw()
        except ValueError as error:
            raise InvalidKey("not a private key of this curve") from error

    def exchange(self, private: bytes, public: bytes) -> bytes:
        return self.public_and_exchange(private, public)[1]

    def public_and_exchange(self, private: bytes, public: bytes) -> tuple[bytes, bytes]:
        try:
            own = self.private_type.from_private_bytes(private)
            peer = self.public_type.from_public_bytes(public)
            # An all-zero result (a small-order point) raises ValueError too, as RFC 7748 section 6 asks.
            return own.public_key().public_bytes_raw(), own.exchange(peer)  # type: ignore[arg-type]
        except ValueError as error:
            raise InvalidKey("not a usable key of this curve") from error

    def private_from(self, expand: _Expand) -> bytes:
        return expand(b"sk", b"", self.private_bytes)


@dataclass(frozen=True)
class NistCurve:
    """P-256, P-384 or P-521 (RFC 9180 sections 7.1.1 to 7.1.3)."""

    curve: ec.EllipticCurve
    order: int
    private_bytes: int
    top_byte_mask: int

    def _private(self, private: bytes) -> ec.EllipticCurvePrivateKey:
        try:
            return ec.derive_private_key(int.from_bytes(private, "big"), self.curve)
        except ValueError as error:
            raise InvalidKey("not a scalar of this curve") from error

    def public_of(self, private: bytes) -> bytes:
        public = self._private(private).public_key()
        return public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def exchange(self, private: bytes, public: bytes) -> bytes:
        return self.public_and_exchange(private, public)[1]

    def public_and_exchange(self, private: bytes, public: bytes) -> tuple[bytes, bytes]:
        own = self._private(private)
        if public[:1] != b"\x04":
            raise InvalidKey("not an uncompressed point")
        try:
            peer = ec.EllipticCurvePublicKey.from_encoded_point(self.curve, public)
        except ValueError as error:
            raise InvalidKey("not a point of this curve") from error
        own_public = own.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return own_public, own.exchange(ec.ECDH(), peer)

    def private_from(self, expand: _Expand) -> bytes:
        for counter in range(256):
            candidate = bytearray(expand(b"candidate", bytes([counter]), self.private_bytes))
            candidate[0] &= self.top_byte_mask
            if 0 < int.from_bytes(candidate, "big") < self.order:
                return bytes(candidate)
        raise InvalidKey("no scalar can be derived from this seed")


@dataclass(frozen=True)
class Kem:
    """One DHKEM: `id` is its number in RFC 9180 section 7.1, `secret_bytes` is Nsecret."""

    id: int
    group: Group
    digest: str
    secret_bytes: int
    suite_id: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "suite_id", b"KEM" + self.id.to_bytes(2, "big"))

    def derive_key_pair(self, seed: bytes) -> HpkeKeyPair:
        """DeriveKeyPair of RFC 9180 section 7.1.3."""
        extracted = self._extract(b"dkp_prk", seed)
        private = self.group.private_from(lambda label, info, size: self._expand(extracted, label, info, size))
        return HpkeKeyPair(self.group.public_of(private), private)

    def encap(self, public: bytes, seed: bytes) -> tuple[bytes, bytes]:
        """Encap with the ephemeral key that `seed` yields; gives (shared secret, kem_output)."""
        extracted = self._extract(b"dkp_prk", seed)
        ephemeral = self.group.private_from(lambda label, info, size: self._expand(extracted, label, info, size))
        kem_output, shared = self.group.public_and_exchange(ephemeral, public)
        return self._shared_secret(shared, kem_output + public), kem_output

    def decap(self, private: bytes, kem_output: bytes) -> bytes:
        """Decap; gives the shared secret."""
        public, shared = self.group.public_and_exchange(private, kem_output)
        return self._shared_secret(shared, kem_output + public)

    def _shared_secret(self, shared: bytes, context: bytes) -> bytes:
        extracted = self._extract(b"eae_prk", shared)
        return self._expand(extracted, b"shared_secret", context, self.secret_bytes)

    def _extract(self, label: bytes, key: bytes) -> bytes:
        return hmac.digest(b"", b"HPKE-v1" + self.suite_id + label + key, self.digest)

    def _expand(self, extracted: bytes, label: bytes, info: bytes, size: int) -> bytes:
        labeled = size.to_bytes(2, "big") + b"HPKE-v1" + self.suite_id + label + info
        return hkdf_expand(self.digest, extracted, labeled, size)


def hkdf_expand(digest: str, secret: bytes, info: bytes, size: int) -> bytes:
    """HKDF-Expand of RFC 5869."""
    block = hmac.digest(secret, info + b"\x01", digest)
    if size <= len(block):
        return block[:size]
    blocks = [block]
    for counter in range(2, -(-size // len(block)) + 1):
        block = hmac.digest(secret, block + info + bytes([counter]), digest)
        blocks.append(block)
    return b"".join(blocks)[:size]


_X25519: Final = Montgomery(x25519.X25519PrivateKey, x25519.X25519PublicKey, 32)
_X448: Final = Montgomery(x448.X448PrivateKey, x448.X448PublicKey, 56)

DHKEM_P256: Final = Kem(0x0010, NistCurve(ec.SECP256R1(), P256_ORDER, 32, 0xFF), "sha256", 32)
DHKEM_P384: Final = Kem(0x0011, NistCurve(ec.SECP384R1(), P384_ORDER, 48, 0xFF), "sha384", 48)
DHKEM_P521: Final = Kem(0x0012, NistCurve(ec.SECP521R1(), P521_ORDER, 66, 0x01), "sha512", 64)
DHKEM_X25519: Final = Kem(0x0020, _X25519, "sha256", 32)
DHKEM_X448: Final = Kem(0x0021, _X448, "sha512", 64)
