"""The error tree of the audio package: everything it raises on bad input is an `AudioError`."""

from __future__ import annotations


class AudioError(Exception):
    """Base of every error of this package."""


class OpusUnavailable(AudioError):
    """No libopus could be loaded on this machine."""


class OpusError(AudioError):
    """libopus refused an operation.

    `code` is libopus's own (negative) error code, `OPUS_INVALID_PACKET` (-4) for a corrupt packet.
    """

    def __init__(self, operation: str, code: int, reason: str) -> None:
        super().__init__(f"{operation}: {reason} ({code})")
        self.operation = operation
        self.code = code
        self.reason = reason


class MalformedPayload(AudioError):
    """What an authentic frame carries breaks docs/spec/media.md section 5.1."""

    reason = "malformed_payload"


class MalformedNote(AudioError):
    """A voice note whose packets are no 1 to 3 s of sound (docs/spec/media.md section 9)."""


class PcmShapeError(AudioError):
    """Samples of the wrong type, shape or count."""


class ScoreError(AudioError):
    """The two recordings cannot be compared."""


class ScoreUnavailable(ScoreError):
    """The optional packages that compute the score are not installed."""
