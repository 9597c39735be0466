"""What people and devices say, as MIMI content: text, replies, reactions, edits, files, calls, receipts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from . import limits
from .calls import CALL_MEDIA_TYPE, CallBody, decode_call, encode_call
from .errors import ContentError, Reason
from .model import (
    Disposition,
    Expiration,
    ExternalPart,
    MessageId,
    MimiContent,
    MultiPart,
    NestedPart,
    NullPart,
    Salt,
    Semantics,
    SinglePart,
)
from .notes import NOTE_MEDIA_TYPE, Note, decode_note, encode_note
from .status import STATUS_MEDIA_TYPE, Mark, decode_status, encode_status

PLAIN_MEDIA_TYPE: Final = "text/plain;charset=utf-8"
MARKDOWN_MEDIA_TYPE: Final = "text/markdown;variant=GFM-MIMI"


@dataclass(frozen=True, slots=True)
class Text:
    """Words to show."""

    text: str
    markdown: bool = False


@dataclass(frozen=True, slots=True)
class Reaction:
    """A short sign about the message that `in_reply_to` names."""

    text: str


@dataclass(frozen=True, slots=True)
class Deletion:
    """The message that `replaces` names is withdrawn (also: a reaction is taken back)."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that lies elsewhere; see `open_file`."""

    part: ExternalPart


@dataclass(frozen=True, slots=True)
class CallSignal:
    """A call event, for the signalling machine."""

    body: CallBody


@dataclass(frozen=True, slots=True)
class VoiceNote:
    """What was said in a call that could not carry it as speech."""

    note: Note


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Delivery and read marks."""

    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Several:
    """More than one thing in one message, such as a file with a caption."""

    items: tuple[Meaning, ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nothing this software can show. The person is told that there was a message."""

    content_type: str = ""


Meaning = Text | Reaction | Deletion | Attachment | CallSignal | VoiceNote | StatusReport | Several | Unknown


def text_message(
    salt: bytes,
    text: str,
    *,
    markdown: bool = False,
    in_reply_to: MessageId | None = None,
    replaces: MessageId | None = None,
    topic_id: bytes = b"",
    expires: Expiration | None = None,
) -> MimiContent:
    """A message; a reply with `in_reply_to`; an edit with `replaces` (the id of the first version)."""
    content_type = MARKDOWN_MEDIA_TYPE if markdown else PLAIN_MEDIA_TYPE
    body = SinglePart(content_type, text.encode())
    return MimiContent(Salt(salt), body, replaces, topic_id, expires, in_reply_to)


def reaction_message(salt: bytes, text: str, to: MessageId) -> MimiContent:
    """One reaction, usually one emoji."""
    body = SinglePart(PLAIN_MEDIA_TYPE, text.encode(), Disposition.REACTION)
    return MimiContent(Salt(salt), body, in_reply_to=to)


def delete_message(salt: bytes, target: MessageId, *, reaction_to: MessageId | None = None) -> MimiContent:
    """Withdraw a message (its first version), or, with `reaction_to`, the reaction `target` to that message."""
    disposition = Disposition.RENDER if reaction_to is None else Disposition.REACTION
    return MimiContent(Salt(salt), NullPart(disposition), replaces=target, in_reply_to=reaction_to)


def attachment_message(
    salt: bytes, part: ExternalPart, *, caption: str = "", in_reply_to: MessageId | None = None
) -> MimiContent:
    """A file, with a caption if there is one."""
    body: NestedPart = part
    if caption:
        body = MultiPart(Semantics.PROCESS_ALL, (SinglePart(PLAIN_MEDIA_TYPE, caption.encode()), part))
    return MimiContent(Salt(salt), body, in_reply_to=in_reply_to)


def call_message(salt: bytes, body: CallBody) -> MimiContent:
    """A call event.

    Raises:
        ContentError: see `encode_call`.
    """
    return MimiContent(Salt(salt), SinglePart(CALL_MEDIA_TYPE, encode_call(body), Disposition.SESSION))


def note_message(salt: bytes, note: Note) -> MimiContent:
    """A voice note of a call.

    Raises:
        ContentError: see `encode_note`.
    """
    return MimiContent(Salt(salt), SinglePart(NOTE_MEDIA_TYPE, encode_note(note), Disposition.SESSION))


def status_message(salt: bytes, marks: list[Mark] | tuple[Mark, ...]) -> MimiContent:
    """Delivery and read marks.

    Raises:
        ContentError: see `encode_status`.
    """
    return MimiContent(Salt(salt), SinglePart(STATUS_MEDIA_TYPE, encode_status(marks), Disposition.UNSPECIFIED))


def interpret(message: MimiContent) -> Meaning:
    """What the body means; the message's own fields tell what it replies to or replaces.

    Raises:
        ContentError: a body of a type we know that breaks that type's rules.
    """
    return _meaning(message.body, message)


def _meaning(part: NestedPart, message: MimiContent) -> Meaning:
    match part:
        case NullPart():
            return Deletion() if message.replaces is not None else Unknown()
        case ExternalPart():
            return Attachment(part)
        case SinglePart():
            return _single(part)
        case MultiPart(semantics=Semantics.CHOOSE_ONE):
            meanings = [_meaning(inner, message) for inner in part.parts]
            return next((meaning for meaning in meanings if not isinstance(meaning, Unknown)), Unknown())
        case MultiPart():
            items = tuple(_meaning(inner, message) for inner in part.parts)
            if part.semantics is Semantics.SINGLE_UNIT and any(isinstance(item, Unknown) for item in items):
                return Unknown()
            return Several(items)


def _single(part: SinglePart) -> Meaning:
    media_type = part.content_type.split(";", 1)[0].strip().lower()
    match media_type:
        case "text/plain" | "text/markdown":
            try:
                text = part.content.decode()
            except UnicodeDecodeError:
                raise ContentError(Reason.BAD_UTF8, "a text body") from None
            if part.disposition == Disposition.REACTION:
                if len(part.content) > limits.REACTION_BYTES_MAX:
                    raise ContentError(Reason.TOO_LONG, "a reaction")
                return Reaction(text)
            return Text(text, media_type == "text/markdown")
        case _ if media_type == CALL_MEDIA_TYPE:
            return CallSignal(decode_call(part.content))
        case _ if media_type == NOTE_MEDIA_TYPE:
            return VoiceNote(decode_note(part.content))
        case _ if media_type == STATUS_MEDIA_TYPE:
            return StatusReport(decode_status(part.content))
        case _:
            return Unknown(part.content_type)
