"""The store port: what the server needs kept, and how surely.

Durability contract, for every adapter:

- When a write returns (or a job settles without `refused`) it is on disk, synced: it survives kill -9 and power loss.
- A write that raises `Unavailable` has either happened whole or not at all; nobody knows which. The adapter forgets
  what it cached, so that the next answer comes from the disk. Any other refusal has changed nothing.
- Writes take effect in the order in which they were submitted. Jobs settle in that order, on the event loop.
- A `Lane` keeps one subscriber's order through refusals: after one refused job every later job of it is refused.
- Reads never wait for writes, and each read sees one moment.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ringthrough.protocol.errors import ErrorCode
from ringthrough.protocol.frames import Record, StreamKind

PERIOD_S = 182 * 24 * 3600
"""Streams remember the half-year in which they were last wanted, and nothing finer."""
KEPT_PERIODS = 2
"""A stream without records goes after this many whole half-years in which nobody opened it."""


class StoreError(Exception):
    """Base of what a store raises."""


class Refused(StoreError):
    """The request cannot be granted; nothing changed. `detail` as in the Error frame."""

    def __init__(self, code: ErrorCode, detail: int = 0, retry_after_ms: int = 0) -> None:
        super().__init__(code)
        self.code = code
        self.detail = detail
        self.retry_after_ms = retry_after_ms


class Unavailable(Refused):
    """The store could not commit (disk full, I/O error, closing). The outcome is unknown; ask again later."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.UNAVAILABLE, retry_after_ms=1000)


class Lane:
    """The order of one subscriber's appends: once one is refused, all later ones of the lane are.

    `held` is set by the store; `shut` by the connection, for what would come later, while earlier ones are under way.
    """

    __slots__ = ("held", "shut")

    def __init__(self) -> None:
        self.held: Refused | None = None
        self.shut: Refused | None = None

    def hold(self, why: Refused) -> Refused:
        """What waits behind a lost commit is not itself in conflict: its capability is stale."""
        if self.held is None:
            self.held = Refused(ErrorCode.STALE, why.detail) if why.code is ErrorCode.CONFLICT else why
        return why


@dataclass(slots=True, eq=False)
class AppendJob:
    """One append on its way to the disk. `capability_epoch` is None for a deposit into an inbox without its token.

    The store fills in either `refused`, or `first_seq`, `epoch` (under which the records were appended) and
    `received_s`.
    """

    sid: int
    capability_epoch: int | None
    bodies: tuple[bytes, ...]
    commit_epoch: int | None
    next_token_hash: bytes
    lane: Lane
    request: int = 0
    context: object = None
    refused: Refused | None = None
    first_seq: int = 0
    epoch: int = 0
    received_s: int = 0

    @property
    def size(self) -> int:
        return sum(map(len, self.bodies))

    @property
    def last_seq(self) -> int:
        return self.first_seq + len(self.bodies) - 1


@dataclass(frozen=True, slots=True)
class Opening:
    """What a capability opens. `capability_epoch` is None for an inbox without its token; `read_to` is None while the
    capability is current."""

    sid: int
    kind: StreamKind
    capability_epoch: int | None
    read_to: int | None
    epoch: int
    first: int
    head: int
    kept_period: int


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a backlog, as one capability may read it. `complete`: there was nothing more at that moment.

    `end`: the last seq that this capability could have read at that moment. `read_to`: set once it is retired.
    """

    records: tuple[Record, ...]
    end: int
    read_to: int | None
    complete: bool


@dataclass(frozen=True, slots=True)
class StoredAccount:
    """An account as the directory keeps it: a handle and the signed device list."""

    account_id: bytes
    handle: str
    version: int
    payload: bytes
    signature: bytes


def period_of(now_s: float) -> int:
    """The half-year that holds this moment (Unix seconds)."""
    return int(now_s // PERIOD_S)


class StreamStore(Protocol):
    """Streams: capabilities and records."""

    async def create_stream(self, stream: bytes, kind: StreamKind, token_hash: bytes, period: int) -> None:
        """Make an empty stream at epoch 0. Asking again with the same kind and hash is granted.

        Raises:
            Refused: `stream_exists`.
        """

    async def open_stream(self, stream: bytes, token_hash: bytes) -> Opening | None:
        """What this capability opens; an empty hash asks for a deposit. None: no such stream or not its token."""

    async def keep_stream(self, sid: int, period: int) -> None:
        """Remember that the stream was wanted in this half-year."""

    def submit(self, job: AppendJob) -> None:
        """Queue an append. It settles through the listener given to `listen`."""

    def listen(self, settled: Callable[[Sequence[AppendJob]], None]) -> None:
        """Call this on the event loop with the jobs of each commit, in order."""

    async def read(self, sid: int, epoch: int, from_seq: int, bytes_max: int) -> Page:
        """Records from `from_seq` that the capability of `epoch` may read, and whether it is retired: one moment."""


class DirectoryStore(Protocol):
    """Accounts and key packages."""

    async def create_account(self, account: StoredAccount) -> None:
        """Raises `Refused`: `handle_taken`, or `conflict` when the id is taken. The very same account is granted."""

    async def account_by_id(self, account_id: bytes) -> StoredAccount | None: ...

    async def account_by_handle(self, handle: str) -> StoredAccount | None: ...

    async def replace_devices(
        self, account_id: bytes, version: int, payload: bytes, signature: bytes, device_ids: Sequence[bytes]
    ) -> None:
        """Put a higher version; key packages of devices not listed go. The very same list is granted again.

        Raises:
            Refused: `conflict` (detail: the version kept) or `not_found`.
        """

    async def delete_account(self, account_id: bytes) -> None:
        """Remove the account and its key packages. Granted when there is none."""

    async def add_key_packages(
        self,
        account_id: bytes,
        device_id: bytes,
        packages: Sequence[bytes],
        last_resort: bytes | None,
        stock_max: int,
    ) -> None:
        """Add one-time packages (those already in stock are not doubled), replace the last-resort one.

        Raises:
            Refused: `too_many`, or `not_found` when the account is gone.
        """

    async def count_key_packages(self, account_id: bytes, device_id: bytes) -> int: ...

    async def claim_key_packages(self, account_id: bytes, device_ids: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
        """Take one package for each device that has any: the oldest one-time one, else the last-resort one."""


class Store(StreamStore, DirectoryStore, Protocol):
    """All of it, and its upkeep."""

    async def expire(self, records_before_s: int, period: int, rows_max: int) -> int:
        """Remove at most `rows_max` records received before that second, what capabilities lose by it, and empty
        streams unwanted for KEPT_PERIODS. Returns how many rows went; less than `rows_max` means done."""

    async def ping(self) -> None:
        """Commit something. Raises `Unavailable`."""

    async def close(self) -> None:
        """Finish what was submitted, then refuse everything."""
