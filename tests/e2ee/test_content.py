"""Content beyond the vectors: any bytes, any message, context, files, and what a body means."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringthrough.e2ee import content
from ringthrough.e2ee.content import ContentError, MessageId, Reason, Salt, cbor, limits
from ringthrough.e2ee.sframe import VOICE_BODY_BYTES, Suite
from ringthrough.protocol import calls

SALT = bytes(range(16))
TARGET = MessageId(b"\x01" + bytes(31))
SENDER, ROOM = content.sender_uri(bytes(16)), content.room_uri(b"room")

TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
KEYS = st.one_of(st.integers(-(2**53) + 1, 2**53 - 1), TEXT, st.binary(max_size=8))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**64), 2**64 - 1), TEXT, st.binary(max_size=30)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)
DISPOSITIONS = st.integers(0, 255)
LEAF_PARTS = st.one_of(
    st.builds(content.NullPart, DISPOSITIONS, TEXT),
    st.builds(content.SinglePart, TEXT, st.binary(max_size=40), DISPOSITIONS, TEXT),
)
PARTS: st.SearchStrategy[Any] = st.recursive(
    LEAF_PARTS,
    lambda inner: st.builds(
        content.MultiPart,
        st.sampled_from(list(content.Semantics)),
        st.lists(inner, min_size=2, max_size=3).map(tuple),
        DISPOSITIONS,
        TEXT,
    ),
    max_leaves=4,
)
IDS = st.none() | st.binary(min_size=31, max_size=31).map(lambda rest: MessageId(b"\x01" + rest))
MESSAGES = st.builds(
    content.MimiContent,
    salt=st.binary(min_size=16, max_size=16).map(Salt),
    body=PARTS,
    replaces=IDS,
    topic_id=st.binary(max_size=20),
    expires=st.none() | st.builds(content.Expiration, st.booleans(), st.integers(0, 2**32 - 1)),
    in_reply_to=IDS,
    extensions=st.dictionaries(st.integers(3, 99) | TEXT.filter(bool), VALUES, max_size=3),
)


@settings(deadline=None)
@given(MESSAGES)
def test_every_message_comes_back(message: content.MimiContent) -> None:
    encoded = content.encode(message)
    decoded = content.decode(encoded)
    assert decoded == dataclasses.replace(message, extensions=decoded.extensions)
    assert dict(decoded.extensions) == dict(message.extensions)
    assert content.encode(decoded) == encoded


@given(VALUES)
def test_deterministic_values_come_back(value: Any) -> None:
    encoded = cbor.encode_deterministic(value)
    assert cbor.encode_deterministic(cbor.decode_deterministic(encoded)) == encoded
    assert cbor2.loads(encoded) == value


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_come_back(data: bytes) -> None:
    try:
        value = cbor.decode_deterministic(data)
    except ContentError:
        return
    assert cbor.encode_deterministic(value) == data


@settings(max_examples=100)
@given(MESSAGES, st.data())
def test_altered_messages_raise_typed_errors_only(message: content.MimiContent, data: st.DataObject) -> None:
    altered = bytearray(content.encode(message))
    altered[data.draw(st.integers(0, len(altered) - 1))] = data.draw(st.integers(0, 255))
    try:
        decoded = content.decode(bytes(altered))
        assert content.encode(decoded) == bytes(altered)
        content.interpret(decoded)
    except ContentError:
        return


@given(st.binary(max_size=60))
def test_bodies_raise_typed_errors_only(data: bytes) -> None:
    for decode in (content.decode_call, content.decode_status):
        try:
            decode(data)
        except ContentError:
            continue


def test_hostile_lengths_and_depths_cost_nothing() -> None:
    for head in (b"\x9b", b"\xbb", b"\x5b", b"\x7b"):
        with pytest.raises(ContentError) as caught:
            content.decode(head + b"\xff" * 8)
        assert caught.value.reason is Reason.TRUNCATED
    with pytest.raises(ContentError) as caught:
        content.decode(b"\x81" * limits.CONTENT_BYTES_MAX)
    assert caught.value.reason is Reason.TOO_DEEP
    with pytest.raises(ContentError) as caught:
        content.decode(bytes(limits.CONTENT_BYTES_MAX + 1))
    assert caught.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (1.5, Reason.UNSUPPORTED_VALUE),
        (2**64, Reason.UNSUPPORTED_VALUE),
        (object(), Reason.UNSUPPORTED_VALUE),
        ("\ud800", Reason.BAD_UTF8),
        ({"\ud800": 1}, Reason.BAD_UTF8),
        ({None: 1}, Reason.BAD_KEY),
        ({True: 1}, Reason.BAD_KEY),
        ({2**53: 1}, Reason.BAD_KEY),
        ([[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]], Reason.TOO_DEEP),
    ],
)
def test_values_that_cannot_be_sent(value: Any, reason: Reason) -> None:
    with pytest.raises(ContentError) as caught:
        cbor.encode_deterministic(value)
    assert caught.value.reason is reason


def test_encode_refuses_what_decode_refuses() -> None:
    message = content.text_message(SALT, "hi")
    for changed, reason in (
        (dataclasses.replace(message, salt=Salt(b"short")), Reason.BAD_STRUCTURE),
        (dataclasses.replace(message, topic_id=bytes(5000)), Reason.TOO_LONG),
        (content.text_message(SALT, "x" * limits.CONTENT_BYTES_MAX), Reason.TOO_LARGE),
    ):
        with pytest.raises(ContentError) as caught:
            content.encode(changed)
        assert caught.value.reason is reason


def test_message_id_is_the_hash_the_draft_defines() -> None:
    encoded = content.encode(content.text_message(SALT, "hi"))
    parts = (len(SENDER).to_bytes(2, "big"), SENDER.encode(), len(ROOM).to_bytes(2, "big"), ROOM.encode())
    expected = hashlib.sha256(b"".join(parts) + encoded + SALT).digest()
    assert content.message_id(encoded, SENDER, ROOM) == b"\x01" + expected[:31]
    assert content.message_id(encoded, content.sender_uri(b"\1" * 16), ROOM)[1:] != expected[:31]
    with pytest.raises(ContentError):
        content.message_id(encoded[1:], SENDER, ROOM)
    with pytest.raises(ContentError):
        content.message_id(encoded, "x" * 3000, ROOM)


@pytest.mark.promise("CANNOT-FORGE")
def test_a_message_cannot_name_another_sender_or_room() -> None:
    message = content.text_message(SALT, "hi")
    content.check_context(message, SENDER, ROOM)
    content.check_context(dataclasses.replace(message, extensions={1: SENDER, 2: ROOM}), SENDER, ROOM)
    for key, reason in ((1, Reason.WRONG_SENDER), (2, Reason.WRONG_ROOM)):
        with pytest.raises(ContentError) as caught:
            content.check_context(dataclasses.replace(message, extensions={key: "other"}), SENDER, ROOM)
        assert caught.value.reason is reason


def test_an_expiry_more_than_a_year_away_is_implausible() -> None:
    now_s, year_s = 2e9, limits.EXPIRY_SPAN_S_MAX
    message = content.text_message(SALT, "hi")
    content.check_expiry(message, now_s)
    for relative, time_s, fine in (
        (True, year_s, True),
        (True, year_s + 1, False),
        (False, int(now_s) + year_s, True),
        (False, int(now_s) + year_s + 1, False),
        (False, int(now_s) - year_s - 1, False),
    ):
        expiring = dataclasses.replace(message, expires=content.Expiration(relative, time_s))
        if fine:
            content.check_expiry(expiring, now_s)
            continue
        with pytest.raises(ContentError) as caught:
            content.check_expiry(expiring, now_s)
        assert caught.value.reason is Reason.IMPLAUSIBLE_EXPIRY


def counting_random() -> Any:
    return lambda length: bytes(range(1, length + 1))


@pytest.mark.parametrize("algorithm", [content.EncAlg.AES_128_GCM, content.EncAlg.AES_256_GCM])
def test_a_file_comes_back_through_a_message(algorithm: content.EncAlg) -> None:
    sealed = content.seal_file(b"a cat", counting_random(), algorithm)
    part = sealed.part("https://example.org/b/1", "image/png", "cat.png", "a cat")
    message = content.decode(content.encode(content.attachment_message(SALT, part, caption="look")))
    meaning = content.interpret(message)
    assert isinstance(meaning, content.Several)
    caption, file = meaning.items
    assert caption == content.Text("look")
    assert isinstance(file, content.Attachment)
    assert content.open_file(file.part, sealed.blob) == b"a cat"
    assert sealed.key.hex() not in repr(sealed) + repr(message)


@pytest.mark.promise("CANNOT-FORGE")
def test_an_altered_file_is_refused() -> None:
    sealed = content.seal_file(b"a cat", counting_random())
    part = sealed.part("https://example.org/b/1", "image/png")
    altered = bytes((sealed.blob[0] ^ 1,)) + sealed.blob[1:]
    rehashed = dataclasses.replace(part, content_hash=hashlib.sha256(altered).digest())
    for changed, blob, reason in (
        (part, altered, Reason.HASH_MISMATCH),
        (part, sealed.blob + b"\0", Reason.HASH_MISMATCH),
        (dataclasses.replace(part, size=1), sealed.blob, Reason.HASH_MISMATCH),
        (rehashed, altered, Reason.DECRYPTION_FAILED),
        (dataclasses.replace(part, aad=b"x"), sealed.blob, Reason.DECRYPTION_FAILED),
        (dataclasses.replace(part, key=b""), sealed.blob, Reason.DECRYPTION_FAILED),
        (dataclasses.replace(part, enc_alg=0), sealed.blob, Reason.UNSUPPORTED_ALGORITHM),
        (dataclasses.replace(part, enc_alg=30), sealed.blob, Reason.UNSUPPORTED_ALGORITHM),
        (dataclasses.replace(part, hash_alg=0), sealed.blob, Reason.UNSUPPORTED_ALGORITHM),
    ):
        with pytest.raises(ContentError) as caught:
            content.open_file(changed, blob)
        assert caught.value.reason is reason
    with pytest.raises(ContentError):
        content.seal_file(b"", counting_random(), content.EncAlg.NONE)


def said(body: content.NestedPart, **fields: Any) -> content.Meaning:
    return content.interpret(content.MimiContent(Salt(SALT), body, **fields))


def test_what_messages_mean() -> None:
    text, markdown = content.text_message(SALT, "hi"), content.text_message(SALT, "*hi*", markdown=True)
    assert content.interpret(text) == content.Text("hi")
    assert content.interpret(markdown) == content.Text("*hi*", markdown=True)
    reaction = content.reaction_message(SALT, "❤", TARGET)
    assert content.interpret(reaction) == content.Reaction("❤")
    assert reaction.in_reply_to == TARGET
    for deletion in (content.delete_message(SALT, TARGET), content.delete_message(SALT, TARGET, reaction_to=TARGET)):
        assert content.interpret(deletion) == content.Deletion()
        assert deletion.replaces == TARGET
    call = content.call_message(SALT, content.Ringing(bytes(16)))
    assert content.interpret(call) == content.CallSignal(content.Ringing(bytes(16)))
    marks = (content.Mark(TARGET, content.Status.READ),)
    assert content.interpret(content.status_message(SALT, marks)) == content.StatusReport(marks)
    assert said(content.NullPart()) == content.Unknown()
    assert said(content.SinglePart("image/gif", b"")) == content.Unknown("image/gif")
    assert said(content.SinglePart("TEXT/Plain ; charset=utf-8", b"x")) == content.Text("x")


def test_what_several_parts_mean() -> None:
    text, image = content.SinglePart("text/plain", b"x"), content.SinglePart("image/gif", b"")
    choice = content.MultiPart(content.Semantics.CHOOSE_ONE, (image, text))
    unit = content.MultiPart(content.Semantics.SINGLE_UNIT, (image, text))
    every = content.MultiPart(content.Semantics.PROCESS_ALL, (image, text))
    assert said(choice) == content.Text("x")
    assert said(unit) == content.Unknown()
    assert said(every) == content.Several((content.Unknown("image/gif"), content.Text("x")))


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (content.SinglePart("text/plain", b"\xff"), Reason.BAD_UTF8),
        (content.SinglePart("text/plain", b"x" * 65, content.Disposition.REACTION), Reason.TOO_LONG),
        (content.SinglePart(content.CALL_MEDIA_TYPE, b"\x80"), Reason.BAD_BODY),
        (content.SinglePart(content.STATUS_MEDIA_TYPE, b"\x00"), Reason.BAD_BODY),
    ],
)
def test_known_types_with_bad_bodies_are_refused(part: content.SinglePart, reason: Reason) -> None:
    with pytest.raises(ContentError) as caught:
        said(part)
    assert caught.value.reason is reason


def test_call_bodies_have_the_names_of_the_signalling_machine() -> None:
    assert tuple(calls.Kind) == content.KINDS
    assert tuple(calls.HangupReason) == content.HANGUP_REASONS
    assert (limits.CALL_ID_BYTES, limits.OFFER_LIFETIME_MS) == (calls.CALL_ID_BYTES, calls.OFFER_LIFETIME_MS)
    media = content.MediaParams()
    assert (media.sframe_suite, media.frame_bytes) == (Suite.AES_128_GCM_SHA256_128, VOICE_BODY_BYTES)


def test_call_bodies_that_cannot_be_sent() -> None:
    with pytest.raises(ContentError) as caught:
        content.encode_call(content.Hangup(bytes(16), "bored"))
    assert caught.value.reason is Reason.UNKNOWN_REASON
    with pytest.raises(ContentError) as caught:
        content.encode_call(content.Offer(bytes(16), 5, 70_000))
    assert caught.value.reason is Reason.BAD_BODY
