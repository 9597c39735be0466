"""Bodies of call events, media type `application/vnd.ringthrough.call+cbor`: `[version, kind, call id, ...]`.

The names of kinds and hangup reasons are those of the signalling machine (docs/spec/media.md); nothing is imported
from there, the shell maps them by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from . import limits
from .cbor import Value, decode_deterministic, encode_deterministic
from .errors import ContentError, Reason

CALL_MEDIA_TYPE: Final = "application/vnd.ringthrough.call+cbor"
CALL_VERSION: Final = 1
KINDS: Final = ("offer", "ringing", "answer", "decline", "busy", "hangup")
"""The number of a kind on the wire is its place here."""
HANGUP_REASONS: Final = (
    "hung_up",
    "unanswered",
    "declined",
    "busy",
    "answered_elsewhere",
    "glare",
    "no_audio",
    "failed",
)
"""The number of a reason on the wire is its place here."""


@dataclass(frozen=True, slots=True)
class MediaParams:
    """One way to talk that the caller offers. `frame_bytes` is the sealed frame's size on the wire."""

    codec: str = "opus"
    sample_rate_hz: int = 48_000
    channels: int = 1
    frame_ms: int = 60
    bitrate_bps: int = 12_000
    sframe_suite: int = 4
    frame_bytes: int = 160


@dataclass(frozen=True, slots=True)
class Offer:
    """Ring me through: made at `created_ms`, void after `expires_ms` (server time, at most 60 s later)."""

    call_id: bytes
    created_ms: int
    expires_ms: int
    media: tuple[MediaParams, ...] = (MediaParams(),)
    kind = "offer"


@dataclass(frozen=True, slots=True)
class Ringing:
    """This device rings."""

    call_id: bytes
    kind = "ringing"


@dataclass(frozen=True, slots=True)
class Answer:
    """This device takes the call, talking the way of `offer.media[media_index]`."""

    call_id: bytes
    media_index: int = 0
    kind = "answer"


@dataclass(frozen=True, slots=True)
class Decline:
    """The person does not take the call."""

    call_id: bytes
    kind = "decline"


@dataclass(frozen=True, slots=True)
class Busy:
    """The person is in another call."""

    call_id: bytes
    kind = "busy"


@dataclass(frozen=True, slots=True)
class Hangup:
    """The call is over for the leaf `to_leaf`, or for all."""

    call_id: bytes
    reason: str = "hung_up"
    to_leaf: int | None = None
    kind = "hangup"


CallBody = Offer | Ringing | Answer | Decline | Busy | Hangup
_PLAIN: Final[dict[str, type[Ringing | Decline | Busy]]] = {"ringing": Ringing, "decline": Decline, "busy": Busy}


def encode_call(body: CallBody) -> bytes:
    """The part's content.

    Raises:
        ContentError: a body that `decode_call` would refuse, for the same reason.
    """
    fields: list[Value] = [CALL_VERSION, KINDS.index(body.kind), body.call_id]
    match body:
        case Offer():
            media = [_media_value(choice) for choice in body.media]
            fields += [body.created_ms, body.expires_ms, media]
        case Answer():
            fields += [body.media_index]
        case Hangup():
            if body.reason not in HANGUP_REASONS:
                raise ContentError(Reason.UNKNOWN_REASON, body.reason)
            fields += [HANGUP_REASONS.index(body.reason), body.to_leaf]
    encoded = encode_deterministic(fields)
    decode_call(encoded)
    return encoded


def decode_call(content: bytes) -> CallBody:
    """Read and check a call event.

    Raises:
        ContentError: not deterministic CBOR, `unsupported_version`, `unknown_kind`, `unknown_reason`, `bad_body`.
    """
    value = decode_deterministic(content)
    if not isinstance(value, list) or len(value) < 3:
        raise ContentError(Reason.BAD_BODY, "no array of three or more")
    version, number, call_id, *fields = value
    if version != CALL_VERSION or isinstance(version, bool):
        raise ContentError(Reason.UNSUPPORTED_VERSION, f"version {version!r} of the call body")
    if _number(number, 2**32) >= len(KINDS):
        raise ContentError(Reason.UNKNOWN_KIND, f"call event {number}")
    if not isinstance(call_id, bytes) or len(call_id) != limits.CALL_ID_BYTES:
        raise ContentError(Reason.BAD_BODY, "no call id of 16 bytes")
    kind = KINDS[_number(number, len(KINDS))]
    match kind, fields:
        case "offer", [created_ms, expires_ms, list(media)]:
            return _offer(call_id, _number(created_ms, 2**53), _number(expires_ms, 2**53), media)
        case "answer", [media_index]:
            return Answer(call_id, _number(media_index, limits.MEDIA_CHOICES_MAX - 1))
        case "hangup", [reason, to_leaf]:
            if _number(reason, 2**32) >= len(HANGUP_REASONS):
                raise ContentError(Reason.UNKNOWN_REASON, f"hangup reason {reason}")
            leaf = None if to_leaf is None else _number(to_leaf, 2**32 - 1)
            return Hangup(call_id, HANGUP_REASONS[_number(reason, len(HANGUP_REASONS))], leaf)
        case (("ringing" | "decline" | "busy"), []):
            return _PLAIN[kind](call_id)
    raise ContentError(Reason.BAD_BODY, f"fields of {kind}")


def _offer(call_id: bytes, created_ms: int, expires_ms: int, media: list[Value]) -> Offer:
    if not created_ms < expires_ms <= created_ms + limits.OFFER_LIFETIME_MS:
        raise ContentError(Reason.BAD_BODY, f"an offer that lives {expires_ms - created_ms} ms")
    if not 1 <= len(media) <= limits.MEDIA_CHOICES_MAX:
        raise ContentError(Reason.BAD_BODY, f"{len(media)} choices of media")
    return Offer(call_id, created_ms, expires_ms, tuple(_media(choice) for choice in media))


def _media_value(media: MediaParams) -> Value:
    rates = [media.sample_rate_hz, media.channels, media.frame_ms, media.bitrate_bps]
    return [media.codec, *rates, media.sframe_suite, media.frame_bytes]


def _media(value: Value) -> MediaParams:
    match value:
        case [str(codec), *numbers] if len(numbers) == 6 and 0 < len(codec) <= 32:
            return MediaParams(codec, *(_number(number, 2**32 - 1) for number in numbers))
    raise ContentError(Reason.BAD_BODY, "media parameters")


def _number(value: Value, maximum: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= maximum:
        raise ContentError(Reason.BAD_BODY, f"{value!r} is no number from 0 to {maximum}")
    return value
