"""What others send is shown harmlessly, whatever it is."""

from __future__ import annotations

import pytest

from ringthrough.client.messages import read_message
from ringthrough.client.store import MessageRow
from ringthrough.e2ee import content as mimi
from ringthrough.e2ee.content.model import MultiPart, NullPart, Semantics, SinglePart

SALT = bytes(16)


def row(message: mimi.MimiContent) -> MessageRow:
    return MessageRow(1, 2, 3, 4, "received", b"a" * 16, b"d" * 16, mimi.encode(message), b"m" * 32, None, None, None)


def part(name: str = "cat.png") -> mimi.ExternalPart:
    sealed = mimi.seal_file(b"cat", lambda n: bytes(n))
    return sealed.part("https://a.example/v1/blobs/" + "0" * 64, "image/png", filename=name)


def content(body: object) -> mimi.MimiContent:
    return mimi.MimiContent(mimi.Salt(SALT), body)  # type: ignore[arg-type]


TEXT = SinglePart("text/plain", b"hello")
UNKNOWN = SinglePart("application/x-evil\x1b[2J", b"\x00")


@pytest.mark.parametrize(
    ("message", "kind", "text"),
    [
        (mimi.text_message(SALT, "hello"), "text", "hello"),
        (
            mimi.reaction_message(SALT, "\N{THUMBS UP SIGN}", mimi.MessageId(b"\1" + bytes(31))),
            "reaction",
            "\N{THUMBS UP SIGN}",
        ),
        (mimi.delete_message(SALT, mimi.MessageId(b"\1" + bytes(31))), "deletion", "(withdrawn)"),
        (mimi.attachment_message(SALT, part()), "file", "(file) cat.png, 19 bytes"),
        (mimi.attachment_message(SALT, part(""), caption="look"), "file", "look\n(file) image/png, 19 bytes"),
        (mimi.call_message(SALT, mimi.Busy(bytes(16))), "call", "(call: busy)"),
        (mimi.call_message(SALT, mimi.Offer(bytes(16), 1, 2)), "call", "(call)"),
        (mimi.note_message(SALT, mimi.Note(bytes(16), 0, (b"\x58s",) * 40)), "note", "(voice note, 2 s)"),
        (mimi.note_message(SALT, mimi.Note(bytes(16), 1)), "note", "(still in the call)"),
        (mimi.status_message(SALT, ()), "status", "(status)"),
        (content(NullPart()), "unknown", "(a message of a kind this version does not know: unnamed)"),
        (
            content(SinglePart("image/gif", b"GIF")),
            "unknown",
            "(a message of a kind this version does not know: image/gif)",
        ),
        (content(MultiPart(Semantics.PROCESS_ALL, (TEXT, TEXT))), "text", "hello\nhello"),
        (content(MultiPart(Semantics.CHOOSE_ONE, (SinglePart("a/b", b""), TEXT))), "text", "hello"),
    ],
)
def test_every_kind_has_something_to_show(message: mimi.MimiContent, kind: str, text: str) -> None:
    shown = read_message(row(message))
    assert (shown.kind, shown.text) == (kind, text)
    assert (shown.id, shown.conversation, shown.seq, shown.received_s) == (1, 2, 3, 4)


def test_an_attachment_among_others_is_found() -> None:
    shown = read_message(row(mimi.attachment_message(SALT, part(), caption="look")))
    assert shown.attachment is not None
    assert shown.attachment.filename == "cat.png"
    assert read_message(row(mimi.text_message(SALT, "x"))).attachment is None


def test_a_reply_names_what_it_answers() -> None:
    target = mimi.MessageId(b"\1" + b"t" * 31)
    shown = read_message(row(mimi.text_message(SALT, "yes", in_reply_to=target)))
    assert shown.in_reply_to == target
