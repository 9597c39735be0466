"""HPKE in base mode (RFC 9180) and its use with labels (RFC 9420 section 5.1.3)."""

from __future__ import annotations

import hmac
from functools import cache, lru_cache

from .codec import opaque
from .kem import HpkeKeyPair, hkdf_expand
from .signatures import Random
from .suites import CipherSuite

_MODE_BASE = b"\x00"


@cache
def _suite_id(cs: CipherSuite) -> bytes:
    numbers = (cs.kem.id, cs.kdf_id, cs.aead.id)
    return b"HPKE" + b"".join(number.to_bytes(2, "big") for number in numbers)


def _extract(cs: CipherSuite, salt: bytes, label: bytes, key: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + _suite_id(cs) + label + key, cs.digest)


def _expand(cs: CipherSuite, secret: bytes, label: bytes, info: bytes, size: int) -> bytes:
    labeled = size.to_bytes(2, "big") + b"HPKE-v1" + _suite_id(cs) + label + info
    return hkdf_expand(cs.digest, secret, labeled, size)


@lru_cache(maxsize=32)
def _key_schedule_context(cs: CipherSuite, info: bytes) -> bytes:
    """Public, and the same for every receiver of one path or Welcome: hence the cache."""
    psk_id_hash = _extract(cs, b"", b"psk_id_hash", b"")
    return _MODE_BASE + psk_id_hash + _extract(cs, b"", b"info_hash", info)


def _key_and_nonce(cs: CipherSuite, shared_secret: bytes, info: bytes) -> tuple[bytes, bytes]:
    context = _key_schedule_context(cs, info)
    secret = _extract(cs, shared_secret, b"secret", b"")
    key = _expand(cs, secret, b"key", context, cs.aead.key_bytes)
    return key, _expand(cs, secret, b"base_nonce", context, cs.aead.nonce_bytes)


def _exported(cs: CipherSuite, shared_secret: bytes, info: bytes, context: bytes, size: int) -> bytes:
    secret = _extract(cs, shared_secret, b"secret", b"")
    exporter_secret = _expand(cs, secret, b"exp", _key_schedule_context(cs, info), cs.hash_bytes)
    return _expand(cs, exporter_secret, b"sec", context, size)


def hpke_generate(cs: CipherSuite, random: Random) -> HpkeKeyPair:
    """A fresh key pair (public, private) for the suite's KEM."""
    return cs.kem.derive_key_pair(random(cs.kem.group.private_bytes))


def hpke_seal(
    cs: CipherSuite, public_key: bytes, info: bytes, aad: bytes, plaintext: bytes, random: Random
) -> tuple[bytes, bytes]:
    """SealBase (RFC 9180 section 6.1): (kem_output, ciphertext), or `InvalidKey`."""
    shared, kem_output = cs.kem.encap(public_key, random(cs.kem.group.private_bytes))
    key, nonce = _key_and_nonce(cs, shared, info)
    return kem_output, cs.aead.seal(key, nonce, aad, plaintext)


def hpke_open(
    cs: CipherSuite, private_key: bytes, kem_output: bytes, info: bytes, aad: bytes, ciphertext: bytes
) -> bytes:
    """OpenBase (RFC 9180 section 6.1): the plaintext, or `DecryptionFailed` or `InvalidKey`."""
    key, nonce = _key_and_nonce(cs, cs.kem.decap(private_key, kem_output), info)
    return cs.aead.open(key, nonce, aad, ciphertext)


def hpke_export_to(
    cs: CipherSuite, public_key: bytes, context: bytes, size: int, random: Random
) -> tuple[bytes, bytes]:
    """SendExportBase with empty info (RFC 9180 section 6.2): (kem_output, exported secret)."""
    shared, kem_output = cs.kem.encap(public_key, random(cs.kem.group.private_bytes))
    return kem_output, _exported(cs, shared, b"", context, size)


def hpke_export_from(cs: CipherSuite, private_key: bytes, kem_output: bytes, context: bytes, size: int) -> bytes:
    """ReceiveExportBase with empty info (RFC 9180 section 6.2): the exported secret."""
    return _exported(cs, cs.kem.decap(private_key, kem_output), b"", context, size)


def encrypt_with_label(
    cs: CipherSuite, public_key: bytes, label: str, context: bytes, plaintext: bytes, random: Random
) -> tuple[bytes, bytes]:
    """EncryptWithLabel of RFC 9420 section 5.1.3: (kem_output, ciphertext)."""
    return hpke_seal(cs, public_key, _encrypt_context(label, context), b"", plaintext, random)


def decrypt_with_label(
    cs: CipherSuite, private_key: bytes, label: str, context: bytes, kem_output: bytes, ciphertext: bytes
) -> bytes:
    """DecryptWithLabel of RFC 9420 section 5.1.3."""
    return hpke_open(cs, private_key, kem_output, _encrypt_context(label, context), b"", ciphertext)


def _encrypt_context(label: str, context: bytes) -> bytes:
    return opaque(b"MLS 1.0 " + label.encode()) + opaque(context)
