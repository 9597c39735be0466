"""What processing a message yields."""

from __future__ import annotations

from dataclasses import dataclass, field

from .credentials import Member


@dataclass(frozen=True)
class ApplicationMessage:
    """Application data of a member; `epoch` is the one it was sent in, perhaps a past one."""

    sender: Member
    epoch: int
    data: bytes = field(repr=False)
    aad: bytes


@dataclass(frozen=True)
class CommitApplied:
    """The group is in a new `epoch`. `sender` is the committer's leaf before it, None for an external joiner
    (who is then in `added`). With `self_removed` this member is out and `epoch` is one it cannot enter."""

    sender: int | None
    epoch: int
    added: list[Member]
    removed: list[Member]
    self_removed: bool
    aad: bytes = b""


@dataclass(frozen=True)
class ProposalStored:
    """A proposal waits for somebody to commit it; `ref` is its ProposalRef."""

    ref: bytes
    sender: Member


Processed = ApplicationMessage | CommitApplied | ProposalStored
