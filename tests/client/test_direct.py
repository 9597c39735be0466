"""The SDK has no direct channel and says so to whoever offers one."""

from __future__ import annotations

import pytest

from ringthrough.client.direct import DirectRefusal
from ringthrough.e2ee.direct import (
    Candidate,
    Description,
    DirectMessage,
    decode_direct,
    direct_base_key,
    encode_direct,
)
from ringthrough.e2ee.sframe import SFrameReceiver, SFrameSender, call_key, open_frame, seal_frame

BASE_KEY = bytes(range(32))
OFFER = DirectMessage(
    "offer", 3, Description("aB3+", "0123456789abcdefghij+/", bytes(32), (Candidate("192.0.2.7", 50_000),))
)


@pytest.fixture
def refusal() -> DirectRefusal:
    refusal = DirectRefusal(0, 159)
    refusal.take_key(BASE_KEY, 1, 7)
    return refusal


def peer(leaf: int = 0, epoch: int = 7) -> SFrameSender:
    return SFrameSender(call_key(direct_base_key(BASE_KEY), leaf, epoch))


def sealed(message: DirectMessage, sender: SFrameSender | None = None) -> bytes:
    return seal_frame(sender or peer(), encode_direct(message), 319)


@pytest.mark.parametrize("asked", [OFFER, DirectMessage("ask", 3)])
def test_an_offer_is_refused_by_its_number(refusal: DirectRefusal, asked: DirectMessage) -> None:
    answer = refusal.answer(sealed(asked))
    assert answer is not None
    assert len(answer) == 159
    opened = open_frame(SFrameReceiver(call_key(direct_base_key(BASE_KEY), 1, 7)), answer)
    assert decode_direct(opened.payload) == DirectMessage("refuse", 3)


@pytest.mark.parametrize("kind", ["answer", "refuse"])
def test_what_asks_nothing_gets_no_answer(refusal: DirectRefusal, kind: str) -> None:
    message = DirectMessage("refuse", 3) if kind == "refuse" else DirectMessage("answer", 3, OFFER.description)
    assert refusal.answer(sealed(message)) is None


@pytest.mark.promise("CANNOT-FORGE")
def test_what_is_forged_repeated_or_malformed_gets_none(refusal: DirectRefusal) -> None:
    offer = sealed(OFFER)
    assert refusal.answer(offer[:-1] + bytes([offer[-1] ^ 1])) is None
    assert refusal.answer(sealed(OFFER, peer(leaf=2))) is None
    assert refusal.answer(seal_frame(peer(), b"\x80", 319)) is None
    assert refusal.answer(b"") is None
    assert refusal.answer(sealed(DirectMessage("ask", 3))) is None, "counter 0 was the malformed one's"


def test_the_counter_goes_on_in_another_epoch(refusal: DirectRefusal) -> None:
    refusal.answer(sealed(OFFER))
    refusal.take_key(BASE_KEY, 1, 8)
    answer = refusal.answer(sealed(OFFER, peer(epoch=8)))
    assert answer is not None
    assert open_frame(SFrameReceiver(call_key(direct_base_key(BASE_KEY), 1, 8)), answer).ctr == 1
