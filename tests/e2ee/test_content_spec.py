"""docs/spec/content.md says what `content` does: limits, reasons, numbers and the worked example are compared."""

from __future__ import annotations

import re
from pathlib import Path

from ringthrough.e2ee import content
from ringthrough.e2ee.content import limits

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "spec" / "content.md").read_text()
PLAIN = " ".join(TEXT.split())


def test_limits_equal_the_code() -> None:
    stated = dict(re.findall(r"^\| `([A-Z0-9_]+)` \| (\d+) \|", TEXT, re.MULTILINE))
    assert stated == {name: str(value) for name, value in vars(limits).items() if name.isupper()}


def test_reasons_equal_the_code() -> None:
    assert re.findall(r"^\| `([a-z0-9_]+)` \| \w", TEXT, re.MULTILINE) == list(content.Reason)


def test_numbers_equal_the_code() -> None:
    numbered = [(content.Disposition, "Dispositions: {};"), (content.Status, "Status: {};")]
    for enumeration, sentence in numbered:
        listing = ", ".join(f"{member.value} {member.name.lower()}" for member in enumeration)
        assert sentence.format(listing) in PLAIN
    reasons = ", ".join(f"{number} {name}" for number, name in enumerate(content.HANGUP_REASONS))
    assert f"Hangup reasons: {reasons}." in PLAIN
    assert re.findall(r"^\| (\d) \| ([a-z]+) \|", TEXT, re.MULTILINE)[-len(content.KINDS) :] == [
        (str(number), name) for number, name in enumerate(content.KINDS)
    ]
    for media_type in (content.CALL_MEDIA_TYPE, content.NOTE_MEDIA_TYPE, content.STATUS_MEDIA_TYPE):
        assert f"`{media_type}`" in TEXT


def test_worked_example() -> None:
    example = dict(re.findall(r"^([a-z][a-z ]*?) {2,}([0-9a-f]+)$", TEXT, re.MULTILINE))
    encoded = content.encode(content.text_message(bytes(range(16)), "Hello, Bob!"))
    identity = content.message_id(encoded, content.sender_uri(bytes(16)), content.room_uri(b"\xaa" * 16))
    offer = content.Offer(bytes(range(16)), 1_700_000_000_000, 1_700_000_060_000)
    written = [encoded.hex(), identity.hex(), content.encode_call(offer).hex()]
    assert example == dict(zip(("message", "message id", "offer"), written, strict=True))
