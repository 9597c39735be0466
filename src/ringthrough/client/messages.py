"""A stored message as an application reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ringthrough.audio.note import note_slots
from ringthrough.audio.pcm import SLOT_MS
from ringthrough.e2ee import content as mimi

from .store import MessageRow

Kind = Literal["text", "reaction", "deletion", "file", "call", "note", "status", "unknown"]


@dataclass(frozen=True)
class Message:
    """`text` is always something to show. `id` is local to this device; `message_id` is the same for all members."""

    id: int
    conversation: int
    message_id: bytes
    sender: bytes
    device: bytes
    seq: int | None
    received_s: int | None
    status: str
    kind: Kind
    text: str
    in_reply_to: bytes | None
    replaces: bytes | None
    attachment: mimi.ExternalPart | None = None
    call: mimi.CallBody | None = None
    note: mimi.Note | None = None


def read_message(row: MessageRow) -> Message:
    """Interpret a stored message."""
    content = mimi.decode(row.content)
    meaning = mimi.interpret(content)
    kind, text = _kind_and_text(meaning)
    return Message(
        id=row.id,
        conversation=row.conversation,
        message_id=row.message_id,
        sender=row.sender,
        device=row.device,
        seq=row.seq,
        received_s=row.received_s,
        status=row.status,
        kind=kind,
        text=text,
        in_reply_to=content.in_reply_to,
        replaces=content.replaces,
        attachment=_attachment(meaning),
        call=meaning.body if isinstance(meaning, mimi.CallSignal) else None,
        note=meaning.note if isinstance(meaning, mimi.VoiceNote) else None,
    )


def _kind_and_text(meaning: mimi.Meaning) -> tuple[Kind, str]:
    match meaning:
        case mimi.Text(text):
            return "text", text
        case mimi.Reaction(text):
            return "reaction", text
        case mimi.Deletion():
            return "deletion", "(withdrawn)"
        case mimi.Attachment(part):
            return "file", f"(file) {part.filename or part.content_type}, {part.size} bytes"
        case mimi.CallSignal(body):
            return "call", "(call)" if body.kind == "offer" else f"(call: {body.kind})"
        case mimi.VoiceNote(note):
            return "note", f"(voice note, {note_seconds(note)} s)" if note.packets else "(still in the call)"
        case mimi.StatusReport():
            return "status", "(status)"
        case mimi.Several(items):
            texts = [_kind_and_text(item) for item in items]
            kind: Kind = "file" if any(k == "file" for k, _ in texts) else texts[0][0]
            return kind, "\n".join(text for _, text in texts)
        case mimi.Unknown(content_type):
            return "unknown", f"(a message of a kind this version does not know: {content_type or 'unnamed'})"


def check_notes(meaning: mimi.Meaning) -> None:
    """Raises `MalformedNote` for a message with a voice note that cannot be one: never shown, never played
    (CANNOT-FORGE)."""
    match meaning:
        case mimi.VoiceNote(note) if note.packets:
            note_slots(note.packets)
        case mimi.Several(items):
            for item in items:
                check_notes(item)


def note_seconds(note: mimi.Note) -> int:
    """How long a checked voice note is, rounded to whole seconds; 0 for one that only says that somebody is there."""
    return round(note_slots(note.packets) * SLOT_MS / 1000) if note.packets else 0


def _attachment(meaning: mimi.Meaning) -> mimi.ExternalPart | None:
    match meaning:
        case mimi.Attachment(part):
            return part
        case mimi.Several(items):
            return next((found for item in items if (found := _attachment(item)) is not None), None)
        case _:
            return None
