"""Signature schemes of the cipher suites (RFC 9420 section 5.1.2): raw keys in, raw or DER signatures out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature as _WrongSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .errors import InvalidKey, InvalidSignature

Random = Callable[[int], bytes]
"""`random(n)` gives n unpredictable bytes."""


@dataclass(frozen=True)
class SignatureKeyPair:
    """A signature key; `public` and `private` are the raw encodings of RFC 9420 section 5.1.1."""

    public: bytes
    private: bytes = field(repr=False)

    @staticmethod
    def generate(suite: _HasSignature, random: Random) -> SignatureKeyPair:
        """A fresh key pair for the suite's signature scheme."""
        return suite.signature.generate(random)


class SignatureScheme(Protocol):
    """What a suite needs from its signature algorithm."""

    def generate(self, random: Random) -> SignatureKeyPair: ...

    def sign(self, private: bytes, message: bytes) -> bytes: ...

    def verify(self, public: bytes, message: bytes, signature: bytes) -> None: ...


class _HasSignature(Protocol):
    @property
    def signature(self) -> SignatureScheme: ...


class Ed25519:
    """RFC 8032 Ed25519."""

    def generate(self, random: Random) -> SignatureKeyPair:
        private = random(32)
        key = ed25519.Ed25519PrivateKey.from_private_bytes(private)
        return SignatureKeyPair(key.public_key().public_bytes_raw(), private)

    def sign(self, private: bytes, message: bytes) -> bytes:
        try:
            return ed25519.Ed25519PrivateKey.from_private_bytes(private).sign(message)
        except ValueError as error:
            raise InvalidKey("not an Ed25519 private key") from error

    def verify(self, public: bytes, message: bytes, signature: bytes) -> None:
        try:
            ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        except ValueError as error:
            raise InvalidKey("not an Ed25519 public key") from error
        except _WrongSignature as error:
            raise InvalidSignature("the signature does not verify") from error


class Ed448:
    """RFC 8032 Ed448."""

    def generate(self, random: Random) -> SignatureKeyPair:
        private = random(57)
        key = ed448.Ed448PrivateKey.from_private_bytes(private)
        return SignatureKeyPair(key.public_key().public_bytes_raw(), private)

    def sign(self, private: bytes, message: bytes) -> bytes:
        try:
            return ed448.Ed448PrivateKey.from_private_bytes(private).sign(message)
        except ValueError as error:
            raise InvalidKey("not an Ed448 private key") from error

    def verify(self, public: bytes, message: bytes, signature: bytes) -> None:
        try:
            ed448.Ed448PublicKey.from_public_bytes(public).verify(signature, message)
        except ValueError as error:
            raise InvalidKey("not an Ed448 public key") from error
        except _WrongSignature as error:
            raise InvalidSignature("the signature does not verify") from error


@dataclass(frozen=True)
class Ecdsa:
    """ECDSA over a NIST curve; public keys are uncompressed points, private keys big-endian scalars."""

    curve: ec.EllipticCurve
    order: int
    scalar_bytes: int
    digest: hashes.HashAlgorithm

    def generate(self, random: Random) -> SignatureKeyPair:
        spare_bits = self.scalar_bytes * 8 - self.order.bit_length()
        while True:
            scalar = int.from_bytes(random(self.scalar_bytes), "big") >> spare_bits
            if 0 < scalar < self.order:
                break
        point = ec.derive_private_key(scalar, self.curve).public_key()
        public = point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return SignatureKeyPair(public, scalar.to_bytes(self.scalar_bytes, "big"))

    def sign(self, private: bytes, message: bytes) -> bytes:
        try:
            key = ec.derive_private_key(int.from_bytes(private, "big"), self.curve)
        except ValueError as error:
            raise InvalidKey("not a scalar of this curve") from error
        # RFC 6979 nonces: this package draws no randomness of its own.
        return key.sign(message, ec.ECDSA(self.digest, deterministic_signing=True))

    def verify(self, public: bytes, message: bytes, signature: bytes) -> None:
        if public[:1] != b"\x04":
            raise InvalidKey("not an uncompressed point")
        try:
            key = ec.EllipticCurvePublicKey.from_encoded_point(self.curve, public)
        except ValueError as error:
            raise InvalidKey("not a point of this curve") from error
        try:
            key.verify(signature, message, ec.ECDSA(self.digest))
        except (_WrongSignature, ValueError) as error:
            raise InvalidSignature("the signature does not verify") from error


P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P384_ORDER: Final = int(
    "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973", 16
)
P521_ORDER: Final = (((1 << 265) - 6) << 256) + int(
    "51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409", 16
)

ED25519: Final = Ed25519()
ED448: Final = Ed448()
ECDSA_P256: Final = Ecdsa(ec.SECP256R1(), P256_ORDER, 32, hashes.SHA256())
ECDSA_P384: Final = Ecdsa(ec.SECP384R1(), P384_ORDER, 48, hashes.SHA384())
ECDSA_P521: Final = Ecdsa(ec.SECP521R1(), P521_ORDER, 66, hashes.SHA512())
