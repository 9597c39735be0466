"""Voice notes of a call, media type `application/vnd.ringthrough.note+cbor`:
`[version, call id, number, codec, packets]`.

What the packets are is the codec's matter and checked where the codec is known (docs/spec/media.md section 9).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from . import limits
from .cbor import Value, decode_deterministic, encode_deterministic
from .errors import ContentError, Reason

NOTE_MEDIA_TYPE: Final = "application/vnd.ringthrough.note+cbor"
NOTE_VERSION: Final = 1
NOTE_CODEC: Final = "opus"


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody said while the call `call_id` could not carry speech: the `number`th of their device, from 0.

    Without packets it only says that its sender is still in the call.
    """

    call_id: bytes
    number: int
    packets: tuple[bytes, ...] = ()


def encode_note(note: Note) -> bytes:
    """The part's content.

    Raises:
        ContentError: a note that `decode_note` would refuse, for the same reason.
    """
    encoded = encode_deterministic([NOTE_VERSION, note.call_id, note.number, NOTE_CODEC, list(note.packets)])
    decode_note(encoded)
    return encoded


def decode_note(content: bytes) -> Note:
    """Read and check a note.

    Raises:
        ContentError: not deterministic CBOR, `unsupported_version`, `unknown_codec`, `too_many`,
            `too_long`, `bad_body`.
    """
    value = decode_deterministic(content)
    if not isinstance(value, list) or not value:
        raise ContentError(Reason.BAD_BODY, "no array")
    if value[0] != NOTE_VERSION or isinstance(value[0], bool):
        raise ContentError(Reason.UNSUPPORTED_VERSION, f"version {value[0]!r} of a note")
    match value[1:]:
        case [bytes(call_id), int(number), str(codec), list(packets)] if not isinstance(number, bool):
            if len(call_id) != limits.CALL_ID_BYTES or not 0 <= number < 2**32:
                raise ContentError(Reason.BAD_BODY, "call id or number of a note")
            if codec != NOTE_CODEC:
                raise ContentError(Reason.UNKNOWN_CODEC, repr(codec))
            return Note(call_id, number, _packets(packets))
    raise ContentError(Reason.BAD_BODY, "fields of a note")


def _packets(values: list[Value]) -> tuple[bytes, ...]:
    if len(values) > limits.NOTE_PACKETS_MAX:
        raise ContentError(Reason.TOO_MANY, f"{len(values)} packets in a note")
    packets = tuple(value for value in values if isinstance(value, bytes) and value)
    if len(packets) != len(values):
        raise ContentError(Reason.BAD_BODY, "a packet that is empty, or no bytes")
    if sum(map(len, packets)) > limits.NOTE_BYTES_MAX:
        raise ContentError(Reason.TOO_LONG, "a note")
    return packets
