"""Invitations: sealed to one device, padded, and refused when anything about them is wrong."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringthrough.e2ee.inbox import BlobReference, InboxError, Invitation, open_invitation, seal_invitation
from ringthrough.e2ee.mls import CIPHER_SUITE_DEFAULT
from ringthrough.e2ee.mls.hpke import hpke_generate, hpke_seal

VECTORS = json.loads((Path(__file__).parents[2] / "vectors/inbox/invitations.json").read_text())
INBOX = b"i" * 16
STREAM = b"s" * 16


class Counter:
    """Random bytes that are the same each time."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, length: int) -> bytes:
        self.calls += 1
        return hashlib.shake_256(bytes([self.calls])).digest(length)


KEYS = hpke_generate(CIPHER_SUITE_DEFAULT, Counter())
OTHER = hpke_generate(CIPHER_SUITE_DEFAULT, lambda n: bytes(n))
INVITATION = Invitation("https://a.example", STREAM, 7, True, "tea", b"welcome")


def pad(length: int) -> int:
    return 320 if length <= 320 else 1280


def seal(invitation: Invitation) -> bytes:
    return seal_invitation(invitation, KEYS.public, INBOX, pad=pad, random=Counter())


def seal_raw(padded: bytes) -> bytes:
    kem, ciphertext = hpke_seal(CIPHER_SUITE_DEFAULT, KEYS.public, b"ringthrough inbox v1", INBOX, padded, Counter())
    return kem + ciphertext


@pytest.mark.parametrize(
    "invitation",
    [INVITATION, replace(INVITATION, is_direct=False, welcome=BlobReference(b"h" * 32, b"k" * 16, b"n" * 12))],
)
def test_there_and_back_at_a_padded_size(invitation: Invitation) -> None:
    record = seal(invitation)
    assert len(record) == 320
    assert open_invitation(record, KEYS.private, INBOX) == invitation


def test_for_another_device_or_another_inbox_it_stays_shut() -> None:
    record = seal(INVITATION)
    with pytest.raises(InboxError):
        open_invitation(record, OTHER.private, INBOX)
    with pytest.raises(InboxError):
        open_invitation(record, KEYS.private, b"j" * 16)


@pytest.mark.promise("CANNOT-FORGE")
def test_no_bit_may_be_changed() -> None:
    record = seal(INVITATION)
    for at in range(len(record)):
        damaged = bytearray(record)
        damaged[at] ^= 1
        with pytest.raises(InboxError):
            open_invitation(bytes(damaged), KEYS.private, INBOX)


@given(st.binary(max_size=400))
@settings(max_examples=200, deadline=None)
def test_garbage_gives_the_typed_error(record: bytes) -> None:
    with pytest.raises(InboxError):
        open_invitation(record, KEYS.private, INBOX)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_garbage_inside_the_seal_gives_the_typed_error(padded: bytes) -> None:
    with pytest.raises(InboxError):
        open_invitation(seal_raw(padded), KEYS.private, INBOX)


@pytest.mark.parametrize("case", VECTORS["refused"], ids=lambda case: str(case["name"]))
def test_malformed_invitations_are_refused(case: dict[str, Any]) -> None:
    body = bytes.fromhex(case["body"])
    with pytest.raises(InboxError):
        open_invitation(seal_raw(len(body).to_bytes(4, "big") + body), KEYS.private, INBOX)


@pytest.mark.parametrize("case", VECTORS["accepted"], ids=lambda case: str(case["name"]))
def test_the_vectors_open(case: dict[str, Any]) -> None:
    record, private, inbox = (bytes.fromhex(case[name]) for name in ("record", "inbox_private_key", "inbox"))
    found = open_invitation(record, private, inbox)
    fields = case["invitation"]
    assert (found.origin, found.stream.hex(), found.from_seq) == (
        fields["origin"],
        fields["stream"],
        fields["from_seq"],
    )
    assert (found.is_direct, found.title) == (fields["is_direct"], fields["title"])
    if isinstance(found.welcome, bytes):
        assert found.welcome.hex() == fields["welcome"]
    else:
        reference = found.welcome
        assert [reference.sha256.hex(), reference.key.hex(), reference.nonce.hex()] == fields["welcome"]


def test_a_length_beyond_the_padding_is_refused() -> None:
    body = cbor2.dumps([1, 1, "https://a.example", STREAM, 7, True, "tea", b"welcome"])
    with pytest.raises(InboxError, match="length"):
        open_invitation(seal_raw((len(body) + 1).to_bytes(4, "big") + body), KEYS.private, INBOX)
