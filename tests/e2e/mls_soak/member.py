"""What the soak asks of a member of a group, whichever implementation stands behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


class Refused(Exception):
    """A member refused a message or a request; `kind` is the implementation's own name for the reason."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


@dataclass(frozen=True)
class View:
    """What all members of one epoch must agree on."""

    epoch: int
    authenticator: bytes
    tree_hash: bytes
    exported: bytes
    members: tuple[tuple[int, bytes], ...]


@dataclass(frozen=True)
class Application:
    """An application message as its reader sees it."""

    sender: int
    identity: bytes
    data: bytes


@dataclass(frozen=True)
class Proposed:
    """A proposal was stored."""


@dataclass(frozen=True)
class Committed:
    """A commit was processed; `removed_self` when it removed its reader."""

    removed_self: bool


Received = Application | Proposed | Committed
Outcome = Received | Refused


@dataclass(frozen=True)
class Change:
    """What a commit does besides covering the proposals that were received; nothing means a mere update."""

    add: tuple[bytes, ...] = ()
    remove: tuple[int, ...] = ()
    psks: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Made:
    """A commit that is not accepted yet."""

    commit: bytes
    welcome: bytes | None


class Member(Protocol):
    """A device with at most one group. Every method raises `Refused` for what its implementation refuses."""

    name: str
    identity: bytes
    implementation: str

    def key_package(self) -> bytes: ...

    def create(self, group_id: bytes) -> None: ...

    def join(self, welcome: bytes) -> None: ...

    def join_external(self, group_info: bytes, *, rejoin: bool = False) -> bytes:
        """Returns the commit; `merge` once it is accepted. `rejoin` removes this device's former leaf with it."""
        ...

    def leaf(self) -> int: ...

    def commit(self, change: Change) -> Made: ...

    def merge(self) -> None: ...

    def propose_add(self, key_package: bytes) -> bytes: ...

    def propose_remove(self, leaf: int) -> bytes: ...

    def propose_psk(self, psk_id: bytes) -> bytes: ...

    def protect(self, data: bytes, message_bytes: int | None = None) -> bytes:
        """`message_bytes` is how long the whole message should be, if it is not longer anyway."""
        ...

    def process(self, message: bytes) -> Received: ...

    def group_info(self) -> bytes: ...

    def view(self) -> View: ...

    def stolen(self, thief: str) -> Member:
        """Somebody else with a copy of this member's state."""
        ...

    def reload(self) -> None:
        """Goes on with what a restart would find."""
        ...


Psks = Mapping[bytes, bytes]
"""External pre-shared keys by their id."""

EXPORT_LABEL = "mixed soak"
EXPORT_CONTEXT = b"context"
EXPORT_BYTES = 40
