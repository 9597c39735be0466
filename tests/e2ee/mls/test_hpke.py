"""HPKE in all suites: what is sealed opens for its reader alone."""

from __future__ import annotations

import random

import pytest

from ringthrough.e2ee.mls import (
    DecryptionFailed,
    InvalidKey,
    MlsError,
    SignatureKeyPair,
    Unsupported,
    hpke_generate,
    hpke_open,
    hpke_seal,
    suite,
)
from ringthrough.e2ee.mls.hpke import hpke_export_from, hpke_export_to

RANDOM = random.Random(1).randbytes


@pytest.mark.parametrize("number", range(1, 8))
def test_sealed_bytes_open(number: int) -> None:
    cs = suite(number)
    keys, other = hpke_generate(cs, RANDOM), hpke_generate(cs, RANDOM)
    kem_output, ciphertext = hpke_seal(cs, keys.public, b"info", b"aad", b"plain", RANDOM)
    assert hpke_open(cs, keys.private, kem_output, b"info", b"aad", ciphertext) == b"plain"
    for wrong in (
        (other.private, kem_output, b"info", b"aad", ciphertext),
        (keys.private, kem_output, b"other", b"aad", ciphertext),
        (keys.private, kem_output, b"info", b"other", ciphertext),
        (keys.private, kem_output, b"info", b"aad", ciphertext[:-1]),
        (keys.private, other.public, b"info", b"aad", ciphertext),
        (keys.private, kem_output, b"info", b"aad", b""),
    ):
        with pytest.raises(DecryptionFailed):
            hpke_open(cs, *wrong)


@pytest.mark.parametrize("number", range(1, 8))
def test_both_ends_export_the_same_secret(number: int) -> None:
    cs = suite(number)
    keys = hpke_generate(cs, RANDOM)
    kem_output, secret = hpke_export_to(cs, keys.public, b"context", 32, RANDOM)
    assert hpke_export_from(cs, keys.private, kem_output, b"context", 32) == secret
    assert hpke_export_from(cs, keys.private, kem_output, b"another", 32) != secret


@pytest.mark.parametrize("number", range(1, 8))
@pytest.mark.parametrize("key", [b"", b"\x00", bytes(32), bytes(56), bytes(65), b"\x02" + bytes(32)])
def test_bad_public_keys_are_refused(number: int, key: bytes) -> None:
    """Too short, of small order, not on the curve, compressed."""
    cs = suite(number)
    with pytest.raises(InvalidKey):
        hpke_seal(cs, key, b"", b"", b"plain", RANDOM)
    keys = hpke_generate(cs, RANDOM)
    with pytest.raises(MlsError):
        hpke_open(cs, keys.private, key, b"", b"", bytes(32))


@pytest.mark.promise("CANNOT-FORGE")
@pytest.mark.parametrize("number", range(1, 8))
def test_signatures_hold_for_one_key_label_and_content(number: int) -> None:
    cs = suite(number)
    pair, other = SignatureKeyPair.generate(cs, RANDOM), SignatureKeyPair.generate(cs, RANDOM)
    signature = cs.sign_with_label(pair.private, "Label", b"content")
    cs.verify_with_label(pair.public, "Label", b"content", signature)
    for public, label, content in (
        (other.public, "Label", b"content"),
        (pair.public, "Other", b"content"),
        (pair.public, "Label", b"other"),
        (b"", "Label", b"content"),
        (bytes(len(pair.public)), "Label", b"content"),
    ):
        with pytest.raises(MlsError):
            cs.verify_with_label(public, label, content, signature)
    for broken in (b"", signature[:-1], bytes(len(signature))):
        with pytest.raises(MlsError):
            cs.verify_with_label(pair.public, "Label", b"content", broken)


@pytest.mark.parametrize("number", [0, 8, 0xF00D])
def test_other_suites_are_refused(number: int) -> None:
    with pytest.raises(Unsupported):
        suite(number)


def test_private_keys_are_not_shown() -> None:
    cs = suite(1)
    keys, pair = hpke_generate(cs, RANDOM), SignatureKeyPair.generate(cs, RANDOM)
    assert keys.private.hex() not in repr(keys)
    assert repr(pair.private) not in repr(pair)
