"""Sealed media frames: layout, forgery, replay, counters, fixed size, and our own vectors."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringthrough.e2ee import sframe
from ringthrough.e2ee.errors import E2eeError
from ringthrough.e2ee.sframe import SFrameKey, SFrameReceiver, SFrameSender, Suite

BASE_KEY = bytes(range(32))
KID = sframe.call_kid(1, 7)
VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "sframe"


def pair(
    kid: int = KID, suite: Suite = Suite.AES_128_GCM_SHA256_128, **range_: int
) -> tuple[SFrameSender, SFrameReceiver]:
    return SFrameSender(SFrameKey(BASE_KEY, kid, suite), **range_), SFrameReceiver(SFrameKey(BASE_KEY, kid, suite))


@pytest.mark.parametrize("suite", list(Suite))
def test_every_suite_opens_what_it_sealed(suite: Suite) -> None:
    sender, receiver = pair(suite=suite)
    for number in range(3):
        assert receiver.open(sender.seal(b"sound", b"about"), b"about") == (KID, number, b"sound")


@given(kid=st.integers(0, 2**64 - 1), ctr=st.integers(0, 2**64 - 1), tail=st.binary(max_size=4))
def test_header_round_trip(kid: int, ctr: int, tail: bytes) -> None:
    encoded = sframe.encode_header(kid, ctr)
    assert sframe.decode_header(encoded + tail) == (kid, ctr, len(encoded))


@given(st.binary(max_size=24))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        header = sframe.decode_header(data)
    except sframe.Malformed:
        return
    assert sframe.encode_header(header.kid, header.ctr) == data[: header.length]


@pytest.mark.promise("CANNOT-FORGE")
def test_every_flipped_bit_is_refused_and_changes_nothing() -> None:
    sender, receiver = pair(counter_start=300)
    frame = sframe.seal_frame(sender, b"sound")
    for bit in range(len(frame) * 8):
        altered = bytearray(frame)
        altered[bit // 8] ^= 1 << bit % 8
        with pytest.raises(sframe.SFrameError):
            sframe.open_frame(receiver, bytes(altered))
    assert sframe.open_frame(receiver, frame) == (KID, 300, b"sound")


@pytest.mark.promise("CANNOT-FORGE")
@pytest.mark.parametrize("suite", list(Suite))
def test_every_suite_refuses_a_flipped_tag_and_other_metadata(suite: Suite) -> None:
    sender, receiver = pair(suite=suite)
    frame = sender.seal(b"sound", b"about")
    for altered, metadata in ((frame[:-1] + bytes((frame[-1] ^ 1,)), b"about"), (frame, b"other")):
        with pytest.raises(sframe.AuthenticationFailed):
            receiver.open(altered, metadata)


@pytest.mark.promise("CANNOT-FORGE")
def test_a_forged_kid_is_refused_even_between_known_senders() -> None:
    alice, bob = (SFrameKey(BASE_KEY, sframe.call_kid(leaf, 7)) for leaf in (1, 2))
    receiver = SFrameReceiver(alice, bob)
    frame = SFrameSender(alice).seal(b"sound")
    header = sframe.decode_header(frame)
    body = frame[header.length :]
    with pytest.raises(sframe.AuthenticationFailed):
        receiver.open(sframe.encode_header(bob.kid, header.ctr) + body)
    with pytest.raises(sframe.UnknownKid):
        receiver.open(sframe.encode_header(sframe.call_kid(3, 7), header.ctr) + body)
    assert receiver.open(frame).kid == alice.kid


@pytest.mark.promise("CANNOT-FORGE")
def test_another_base_key_opens_nothing() -> None:
    sender, _ = pair()
    stranger = SFrameReceiver(SFrameKey(bytes(32), KID))
    with pytest.raises(sframe.AuthenticationFailed):
        stranger.open(sender.seal(b"sound"))


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
def test_a_forgotten_epoch_is_refused() -> None:
    sender, receiver = pair()
    receiver.forget(KID)
    with pytest.raises(sframe.UnknownKid):
        receiver.open(sender.seal(b"sound"))


@pytest.mark.promise("CANNOT-FORGE")
def test_a_replay_is_refused_and_late_frames_within_the_window_are_not() -> None:
    sender, receiver = pair()
    frames = [sender.seal(b"") for _ in range(sframe.REPLAY_WINDOW_FRAMES + 2)]
    receiver.open(frames[-1])
    for frame in reversed(frames[2:-1]):
        receiver.open(frame)
    for frame in frames[2:]:
        with pytest.raises(sframe.Replayed) as caught:
            receiver.open(frame)
        assert caught.value.reason == "replayed"
    for frame in frames[:2]:
        with pytest.raises(sframe.TooOld):
            receiver.open(frame)


@pytest.mark.promise("CANNOT-FORGE")
def test_a_forged_counter_cannot_push_real_frames_out_of_the_window() -> None:
    sender, receiver = pair()
    frame = sender.seal(b"sound")
    far = sframe.encode_header(KID, 2**60) + frame[sframe.decode_header(frame).length :]
    with pytest.raises(sframe.AuthenticationFailed):
        receiver.open(far)
    receiver.open(frame)


@given(st.lists(st.integers(0, 60), max_size=60))
def test_the_window_agrees_with_a_set(counters: list[int]) -> None:
    window, seen, highest = sframe.ReplayWindow(size=16), set[int](), -1
    for ctr in counters:
        expected = ctr not in seen and (ctr > highest or highest - ctr < 16)
        try:
            window.check(ctr)
        except sframe.Replayed:
            assert not expected
            continue
        assert expected
        window.accept(ctr)
        seen.add(ctr)
        highest = max(highest, ctr)


def test_a_huge_jump_is_cheap() -> None:
    window = sframe.ReplayWindow()
    window.accept(0)
    window.accept(2**64 - 1)
    window.check(2**64 - 2)
    with pytest.raises(sframe.TooOld):
        window.check(0)


@pytest.mark.promise("CANNOT-FORGE")
def test_counters_may_skip_and_never_go_back() -> None:
    sender, receiver = pair(counter_start=5, counter_end=20)
    assert sframe.open_frame(receiver, sframe.seal_frame(sender, b"a")).ctr == 5
    sender.skip_to(6)
    sender.skip_to(12)
    assert sframe.open_frame(receiver, sframe.seal_frame(sender, b"b")).ctr == 12
    for behind in (12, 5, 0, -1):
        with pytest.raises(sframe.BadParameter):
            sender.skip_to(behind)
    assert sender.counter_next == 13
    sender.skip_to(20)
    with pytest.raises(sframe.CounterExhausted):
        sframe.seal_frame(sender, b"c")


def test_counters_end_with_an_error_and_never_repeat() -> None:
    sender, receiver = pair(counter_start=5, counter_end=7)
    assert [receiver.open(sender.seal(b"")).ctr for _ in range(2)] == [5, 6]
    for _ in range(2):
        with pytest.raises(sframe.CounterExhausted):
            sender.seal(b"")
        with pytest.raises(sframe.CounterExhausted):
            sframe.seal_frame(sender, b"")


def test_neither_side_can_be_copied_or_saved() -> None:
    for side in (SFrameSender(SFrameKey(BASE_KEY, KID)), SFrameReceiver()):
        for attempt, what in ((copy.copy, "copied"), (copy.deepcopy, "copied"), (pickle.dumps, "saved")):
            with pytest.raises(TypeError, match=f"cannot be {what}"):
                attempt(side)


def test_a_key_id_keeps_its_replay_window() -> None:
    _, receiver = pair()
    with pytest.raises(sframe.BadParameter):
        receiver.add_key(SFrameKey(BASE_KEY, KID))


@given(
    payload=st.binary(max_size=sframe.AUDIO_PAYLOAD_BYTES_MAX),
    ctr=st.integers(0, sframe.CALL_COUNTER_END - 1),
    leaf=st.integers(0, sframe.LEAF_INDEX_MAX),
    epoch=st.integers(0, 2**64 - 1),
    total=st.sampled_from([159, 160, 320, 5120]),
)
def test_a_voice_frame_has_one_size(payload: bytes, ctr: int, leaf: int, epoch: int, total: int) -> None:
    key = sframe.call_key(BASE_KEY, leaf, epoch)
    sender, receiver = SFrameSender(key, counter_start=ctr), SFrameReceiver(key)
    body = sframe.seal_frame(sender, payload, total)
    assert len(body) == total
    assert sframe.open_frame(receiver, body) == (key.kid, ctr, payload)
    assert sframe.split_call_kid(key.kid) == (leaf, epoch % 256)


def test_a_60_ms_packet_fits_and_too_large_takes_no_counter() -> None:
    assert sframe.AUDIO_PAYLOAD_BYTES_MAX >= 117
    sender, _ = pair()
    assert len(sframe.seal_frame(sender, bytes(sframe.payload_bytes_max(160)))) == 160
    for payload, total in ((bytes(sframe.payload_bytes_max(160) + 1), 160), (b"", 20), (b"", 70000)):
        with pytest.raises(sframe.TooLarge):
            sframe.seal_frame(sender, payload, total)
    assert sender.counter_next == 1


@pytest.mark.parametrize("inner", [b"", b"\0", b"\0\5abcd", b"\0\1a\0\1", b"\xff\xff"])
def test_a_bad_inside_is_refused_and_its_counter_stays_free(inner: bytes) -> None:
    key = SFrameKey(BASE_KEY, KID)
    receiver = SFrameReceiver(key)
    with pytest.raises(sframe.Malformed):
        sframe.open_frame(receiver, SFrameSender(key).seal(inner))
    assert receiver.open(SFrameSender(key).seal(inner)).ctr == 0


def test_parameters_out_of_range() -> None:
    with pytest.raises(sframe.BadParameter):
        SFrameKey(BASE_KEY, 2**64)
    with pytest.raises(sframe.BadParameter):
        SFrameKey(b"", 0)
    with pytest.raises(sframe.BadParameter):
        sframe.encode_header(0, 2**64)
    with pytest.raises(sframe.BadParameter):
        sframe.call_kid(sframe.LEAF_INDEX_MAX + 1, 0)
    with pytest.raises(sframe.BadParameter):
        sframe.split_call_kid(2**24)
    with pytest.raises(sframe.BadParameter):
        sframe.call_key(bytes(16), 0, 0)
    with pytest.raises(sframe.BadParameter):
        pair(counter_start=5, counter_end=5)


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_garbage_raises_typed_errors_only(data: bytes) -> None:
    _, receiver = pair(kid=0)
    with pytest.raises(E2eeError):
        sframe.open_frame(receiver, data)


def vector_cases() -> list[tuple[str, dict[str, Any]]]:
    files = sorted(VECTORS.glob("*.json"))
    return [(f"{file.stem}:{case['name']}", case) for file in files for case in json.loads(file.read_text())["cases"]]


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in vector_cases()])
def test_our_vectors(case: dict[str, Any]) -> None:
    """A case opens `frames` in order with the keys of `leaves`; the last one has the outcome `expect`."""
    base_key = bytes.fromhex(case["base_key"])
    receiver = SFrameReceiver(*(sframe.call_key(base_key, leaf, case["epoch"]) for leaf in case["leaves"]))
    *before, last = (bytes.fromhex(frame) for frame in case["frames"])
    for frame in before:
        sframe.open_frame(receiver, frame)
    if case["expect"] != "ok":
        with pytest.raises(sframe.SFrameError) as caught:
            sframe.open_frame(receiver, last)
        assert caught.value.reason == case["expect"]
        return
    opened = sframe.open_frame(receiver, last)
    assert (opened.kid, opened.ctr, opened.payload.hex()) == (case["kid"], case["ctr"], case["payload"])
    key = sframe.call_key(base_key, *sframe.split_call_kid(opened.kid))
    assert sframe.seal_frame(SFrameSender(key, opened.ctr), opened.payload, len(last)) == last


def test_our_vectors_are_there_and_half_of_them_are_refused() -> None:
    cases = [case for _, case in vector_cases()]
    refused = [case for case in cases if case["expect"] != "ok"]
    assert len(cases) >= 12
    assert len(refused) * 2 >= len(cases)
    assert len({name for name, _ in vector_cases()}) == len(cases)
    assert {file.name for file in VECTORS.iterdir()} == {"voice-frames.json"}
