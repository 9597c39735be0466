"""Signalling of the direct channel: the shared payloads, and the key it is sealed under."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ringthrough.e2ee.direct import decode_direct, direct_base_key, encode_direct
from ringthrough.e2ee.sframe import AuthenticationFailed as Unauthentic
from ringthrough.e2ee.sframe import (
    SFrameReceiver,
    SFrameSender,
    UnknownKid,
    call_key,
    open_frame,
    seal_frame,
)

from . import make_direct_vectors as vectors

DOCUMENT: dict[str, Any] = json.loads(vectors.FILE.read_text())


def test_file_is_the_one_the_program_writes() -> None:
    assert vectors.document() == DOCUMENT


@pytest.mark.parametrize("case", DOCUMENT["cases"], ids=lambda case: str(case["name"]))
def test_case(case: dict[str, Any]) -> None:
    payload = bytes.fromhex(case["payload"])
    assert vectors.refusal(payload) == case["expect"]
    if case["expect"] == "ok":
        assert encode_direct(decode_direct(payload)) == payload
        assert decode_direct(payload) == vectors.MESSAGES[case["name"]]


@pytest.mark.promise("CANNOT-FORGE")
def test_a_voice_frame_is_no_signalling_and_the_other_way_round() -> None:
    base_key = bytes(range(32))
    voice = call_key(base_key, 1, 7)
    signalling = call_key(direct_base_key(base_key), 1, 7)
    for sealed_with, opened_with in ((voice, signalling), (signalling, voice)):
        with pytest.raises(Unauthentic):
            open_frame(SFrameReceiver(opened_with), seal_frame(SFrameSender(sealed_with), b"x"))
    with pytest.raises(UnknownKid):
        open_frame(
            SFrameReceiver(call_key(direct_base_key(base_key), 0, 7)), seal_frame(SFrameSender(signalling), b"x")
        )
