"""Cipher suites 1 to 7 (RFC 9420 sections 5.1, 5.2 and 17.1) with the labelled primitives built on them."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from functools import cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from .codec import opaque, u16, u32
from .errors import DecryptionFailed, LimitExceeded, Unsupported
from .kem import DHKEM_P256, DHKEM_P384, DHKEM_P521, DHKEM_X448, DHKEM_X25519, Kem, hkdf_expand
from .signatures import ECDSA_P256, ECDSA_P384, ECDSA_P521, ED448, ED25519, SignatureScheme

PROTOCOL_VERSION: Final = 1
"""`mls10`."""

_LABEL_PREFIX: Final = b"MLS 1.0 "


@cache
def _label(label: str) -> bytes:
    return opaque(_LABEL_PREFIX + label.encode())


@dataclass(frozen=True)
class Aead:
    """An AEAD with its number in RFC 9180 section 7.3 and its Nk."""

    id: int
    cipher: type[AESGCM] | type[ChaCha20Poly1305]
    key_bytes: int
    nonce_bytes: int = 12
    tag_bytes: int = 16

    def seal(self, key: bytes, nonce: bytes, aad: bytes, plaintext: bytes) -> bytes:
        """Ciphertext with the tag behind it."""
        return self.cipher(key).encrypt(nonce, plaintext, aad)

    def open(self, key: bytes, nonce: bytes, aad: bytes, ciphertext: bytes) -> bytes:
        """The plaintext, or `DecryptionFailed`."""
        if len(ciphertext) < self.tag_bytes:
            raise DecryptionFailed("a ciphertext is shorter than its tag")
        try:
            return self.cipher(key).decrypt(nonce, ciphertext, aad)
        except InvalidTag as error:
            raise DecryptionFailed("a ciphertext does not open") from error


@dataclass(frozen=True, eq=False)
class CipherSuite:
    """One row of RFC 9420 section 17.1. `hash_bytes` is Nh, `kdf_id` the number of RFC 9180 section 7.2."""

    id: int
    name: str
    kem: Kem
    digest: str
    hash_bytes: int
    kdf_id: int
    aead: Aead
    signature: SignatureScheme

    def __repr__(self) -> str:
        return f"CipherSuite({self.id}, {self.name})"

    def hash(self, data: bytes) -> bytes:
        """Hash(data)."""
        return hashlib.new(self.digest, data).digest()

    def mac(self, key: bytes, data: bytes) -> bytes:
        """MAC(key, data): HMAC with the suite's hash."""
        return hmac.digest(key, data, self.digest)

    def mac_equal(self, key: bytes, data: bytes, tag: bytes) -> bool:
        """Whether `tag` is MAC(key, data), in constant time."""
        return hmac.compare_digest(self.mac(key, data), tag)

    def extract(self, salt: bytes, key: bytes) -> bytes:
        """KDF.Extract(salt, key)."""
        return hmac.digest(salt, key, self.digest)

    def expand_with_label(self, secret: bytes, label: str, context: bytes, size: int) -> bytes:
        """ExpandWithLabel of RFC 9420 section 8."""
        if size > 255 * self.hash_bytes:
            raise LimitExceeded(f"HKDF cannot expand to {size} bytes")
        info = u16(size) + _label(label) + opaque(context)
        return hkdf_expand(self.digest, secret, info, size)

    def derive_secret(self, secret: bytes, label: str) -> bytes:
        """DeriveSecret of RFC 9420 section 8."""
        return self.expand_with_label(secret, label, b"", self.hash_bytes)

    def derive_tree_secret(self, secret: bytes, label: str, generation: int, size: int) -> bytes:
        """DeriveTreeSecret of RFC 9420 section 9."""
        return self.expand_with_label(secret, label, u32(generation), size)

    def ref_hash(self, label: str, value: bytes) -> bytes:
        """RefHash of RFC 9420 section 5.2; `label` is the full one."""
        return self.hash(opaque(label.encode()) + opaque(value))

    def sign_with_label(self, private: bytes, label: str, content: bytes) -> bytes:
        """SignWithLabel of RFC 9420 section 5.1.2."""
        return self.signature.sign(private, _label(label) + opaque(content))

    def verify_with_label(self, public: bytes, label: str, content: bytes, signature: bytes) -> None:
        """VerifyWithLabel of RFC 9420 section 5.1.2; raises `InvalidSignature` or `InvalidKey`."""
        self.signature.verify(public, _label(label) + opaque(content), signature)

    def zero(self) -> bytes:
        """The all-zero secret of Nh bytes."""
        return bytes(self.hash_bytes)


_AES_128: Final = Aead(0x0001, AESGCM, 16)
_AES_256: Final = Aead(0x0002, AESGCM, 32)
_CHACHA: Final = Aead(0x0003, ChaCha20Poly1305, 32)

_ROWS: Final = (
    CipherSuite(
        1,
        "MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519",
        DHKEM_X25519,
        "sha256",
        32,
        0x0001,
        _AES_128,
        ED25519,
    ),
    CipherSuite(2, "MLS_128_DHKEMP256_AES128GCM_SHA256_P256", DHKEM_P256, "sha256", 32, 0x0001, _AES_128, ECDSA_P256),
    CipherSuite(
        3,
        "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519",
        DHKEM_X25519,
        "sha256",
        32,
        0x0001,
        _CHACHA,
        ED25519,
    ),
    CipherSuite(4, "MLS_256_DHKEMX448_AES256GCM_SHA512_Ed448", DHKEM_X448, "sha512", 64, 0x0003, _AES_256, ED448),
    CipherSuite(5, "MLS_256_DHKEMP521_AES256GCM_SHA512_P521", DHKEM_P521, "sha512", 64, 0x0003, _AES_256, ECDSA_P521),
    CipherSuite(
        6, "MLS_256_DHKEMX448_CHACHA20POLY1305_SHA512_Ed448", DHKEM_X448, "sha512", 64, 0x0003, _CHACHA, ED448
    ),
    CipherSuite(7, "MLS_256_DHKEMP384_AES256GCM_SHA384_P384", DHKEM_P384, "sha384", 48, 0x0002, _AES_256, ECDSA_P384),
)

_SUITES: Final = {row.id: row for row in _ROWS}

CIPHER_SUITE_DEFAULT: Final = _SUITES[1]
"""MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519, the one every MLS client implements."""


def suite(id: int) -> CipherSuite:
    """The cipher suite with this number, or `Unsupported`."""
    found = _SUITES.get(id)
    if found is None:
        raise Unsupported(f"cipher suite {id} is not supported")
    return found
