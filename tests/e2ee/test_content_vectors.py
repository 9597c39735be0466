"""Every case of vectors/content, decoded and encoded back, or refused for the reason it names."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from ringthrough.e2ee import content
from ringthrough.e2ee.content import ContentError

FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "content"
Case = dict[str, Any]


def load(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((FOLDER / name).read_text())
    assert document["format"] == "ringthrough-vectors-1"
    return document


def params(name: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in load(name)["cases"]]


def plain(value: Any) -> Any:
    """The form the vectors have: bytes in hexadecimal, no tuples, no enums."""
    match value:
        case bytes():
            return value.hex()
        case bool() | str() | None:
            return value
        case int():
            return int(value)
        case list() | tuple():
            return [plain(item) for item in value]
        case dict():
            return {key: plain(item) for key, item in value.items()}
    raise TypeError(type(value))


def part_form(part: content.NestedPart) -> Any:
    if isinstance(part, content.MultiPart):
        inner = [part_form(item) for item in part.parts]
        head = {"disposition": int(part.disposition), "language": part.language, "cardinality": "multi"}
        return {**head, "semantics": int(part.semantics), "parts": inner}
    names = {content.NullPart: "null", content.SinglePart: "single", content.ExternalPart: "external"}
    return {**plain(dataclasses.asdict(part)), "cardinality": names[type(part)]}


def message_form(message: content.MimiContent) -> Any:
    expires = message.expires
    return {
        "salt": message.salt.hex(),
        "replaces": plain(message.replaces),
        "topic_id": message.topic_id.hex(),
        "expires": None if expires is None else [expires.relative, expires.time_s],
        "in_reply_to": plain(message.in_reply_to),
        "extensions": [[key, plain(value)] for key, value in message.extensions.items()],
        "body": part_form(message.body),
    }


def call_form(body: content.CallBody) -> Any:
    fields = plain(dataclasses.asdict(body))
    if isinstance(body, content.Offer):
        fields["media"] = [list(choice.values()) for choice in fields["media"]]
    return {"kind": body.kind, **fields}


@pytest.mark.parametrize("case", params("messages.json"))
def test_message(case: Case) -> None:
    document, raw = load("messages.json"), bytes.fromhex(case["hex"])
    if case["expect"] != "ok":
        with pytest.raises(ContentError) as caught:
            content.decode(raw)
        assert caught.value.reason == case["expect"]
        return
    message = content.decode(raw)
    assert message_form(message) == case["message"]
    assert content.encode(message) == raw
    assert content.message_id(raw, document["sender"], document["room"]).hex() == case["message_id"]


@pytest.mark.parametrize("case", params("bodies.json"))
def test_body(case: Case) -> None:
    raw = bytes.fromhex(case["hex"])
    decoders = {"call": content.decode_call, "note": content.decode_note, "status": content.decode_status}
    if case["expect"] != "ok":
        with pytest.raises(ContentError) as caught:
            decoders[case["body"]](raw)
        assert caught.value.reason == case["expect"]
    elif case["body"] == "call":
        body = content.decode_call(raw)
        assert call_form(body) == case["decoded"]
        assert content.encode_call(body) == raw
    elif case["body"] == "note":
        note = content.decode_note(raw)
        assert plain(dataclasses.asdict(note)) == case["decoded"]
        assert content.encode_note(note) == raw
    else:
        marks = content.decode_status(raw)
        assert plain(marks) == case["decoded"]
        assert content.encode_status(marks) == raw


def test_no_file_is_unread_no_name_comes_twice_and_half_are_refused() -> None:
    assert {file.name for file in FOLDER.iterdir()} == {"messages.json", "bodies.json"}
    for name in ("messages.json", "bodies.json"):
        cases = load(name)["cases"]
        assert len({case["name"] for case in cases}) == len(cases)
        assert sum(case["expect"] != "ok" for case in cases) * 2 >= len(cases)


def test_every_reason_of_the_format_has_a_vector() -> None:
    used = {case["expect"] for name in ("messages.json", "bodies.json") for case in load(name)["cases"]}
    elsewhere = {"too_large", "wrong_sender", "wrong_room", "implausible_expiry"}
    elsewhere |= {"unsupported_algorithm", "hash_mismatch", "decryption_failed"}
    assert used - {"ok"} == {str(reason) for reason in content.Reason} - elsewhere
