"""The error tree of the SDK. Every message says what to do next."""

from __future__ import annotations

from ringthrough.protocol.errors import ErrorCode

_TEMPORARY = frozenset(
    {
        ErrorCode.RATE_LIMITED,
        ErrorCode.UNAVAILABLE,
        ErrorCode.INTERNAL,
        ErrorCode.TOO_MANY,
        ErrorCode.BAD_HANDLE,  # the stream was closed meanwhile, and is opened again by and by
    }
)


class ClientError(Exception):
    """Base of everything the SDK raises on purpose."""


class ServerUnreachable(ClientError):
    """No connection to the server now; queued messages leave as soon as there is one."""


class Refused(ClientError):
    """The server refused a request and changed nothing."""

    def __init__(self, code: str, message: str, retry_after_ms: int = 0, detail: int = 0) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.retry_after_ms = retry_after_ms
        self.detail = detail

    @property
    def is_conflict(self) -> bool:
        """Somebody else's commit won, or the capability is retired: catch up, then try again."""
        return self.code in (ErrorCode.CONFLICT, ErrorCode.STALE)

    @property
    def is_temporary(self) -> bool:
        """The same request may pass later."""
        return self.code in _TEMPORARY


class UnknownHandle(ClientError):
    """Nobody on that server has this handle."""


class NoDeviceReachable(ClientError):
    """The account has no device that can be invited (no key package published)."""


class IdentityChanged(ClientError):
    """The server shows another identity key for an account than before: compare safety numbers before going on."""


class NoAccount(ClientError):
    """This folder holds no account yet: run `ringthrough account create HANDLE --server URL`."""


class StateUnreadable(ClientError):
    """The local state is no state file, or of another version."""


class AccountExists(ClientError):
    """This folder already holds an account: choose another with --home."""


class UnknownConversation(ClientError):
    """No conversation by that name here."""


class NotAMember(ClientError):
    """This device is no longer a member of the conversation."""


class ConversationFailed(ClientError):
    """A defect stopped a conversation on this device; the cause is attached. Starting again may help."""


class CommitRefused(ClientError):
    """The membership cannot be changed in this way."""


class TooLarge(ClientError):
    """The message or file exceeds what the server takes; send it as a file or in parts."""


class FileUnreadable(ClientError):
    """An attachment cannot be fetched or its hash or key does not match."""


class CallFailed(ClientError):
    """A call could not be placed or went wrong; the reason is in the message."""
