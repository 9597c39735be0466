"""A ts-mls member, through the web client's adapter, in Node or in a browser."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Sequence
from typing import Any

from .driver import Driver, DriverRefused
from .member import (
    EXPORT_BYTES,
    EXPORT_CONTEXT,
    EXPORT_LABEL,
    Application,
    Change,
    Committed,
    Made,
    Outcome,
    Proposed,
    Received,
    Refused,
    View,
)


class TsMember:
    """See `Member`."""

    implementation = "ts-mls"

    def __init__(self, driver: Driver, name: str, now_s: Callable[[], float]) -> None:
        self.name = name
        self.identity = name.encode()
        self._driver = driver
        self._now_s = now_s

    def _call(self, op: str, **fields: object) -> Any:
        try:
            return self._driver.call(op, member=self.name, **fields)
        except DriverRefused as refused:
            raise Refused(refused.kind, str(refused)) from refused

    def _bytes(self, op: str, answer: str, **fields: object) -> bytes:
        return b64decode(self._call(op, **fields)[answer])

    def key_package(self) -> bytes:
        return self._bytes("key_package", "key_package", identity=self.identity, now_s=self._now_s())

    def create(self, group_id: bytes) -> None:
        self.key_package()
        self._call("create", group_id=group_id)

    def join(self, welcome: bytes) -> None:
        self._call("join", welcome=welcome)

    def join_external(self, group_info: bytes, *, rejoin: bool = False) -> bytes:
        self.key_package()
        return self._bytes("join_external", "commit", group_info=group_info, rejoin=rejoin)

    def leaf(self) -> int:
        leaf: int = self._views([self.name])[0]["leaf"]
        return leaf

    def commit(self, change: Change) -> Made:
        fields = {"add": change.add, "remove": change.remove, "psks": change.psks}
        made = self._call("commit", now_s=self._now_s(), **fields)
        return Made(b64decode(made["commit"]), b64decode(made["welcome"]) if made.get("welcome") else None)

    def merge(self) -> None:
        self._call("merge")

    def discard(self) -> None:
        """Forgets the staged commit."""
        self._call("discard")

    def propose_add(self, key_package: bytes) -> bytes:
        return self._bytes("propose", "message", add=key_package, now_s=self._now_s())

    def propose_remove(self, leaf: int) -> bytes:
        return self._bytes("propose", "message", remove=leaf, now_s=self._now_s())

    def propose_psk(self, psk_id: bytes) -> bytes:
        return self._bytes("propose", "message", psk=psk_id, now_s=self._now_s())

    def protect(self, data: bytes, message_bytes: int | None = None) -> bytes:
        wanted = {} if message_bytes is None else {"message_bytes": message_bytes}
        return self._bytes("protect", "message", data=data, **wanted)

    def process(self, message: bytes) -> Received:
        outcome = process_all([self], message)[0]
        if isinstance(outcome, Refused):
            raise outcome
        return outcome

    def group_info(self) -> bytes:
        return self._bytes("group_info", "group_info")

    def view(self) -> View:
        return view_all([self])[0]

    def reload(self) -> None:
        self._call("reload")

    def forge_pathless_remove(self, leaf: int) -> bytes:
        """A commit that no honest client makes: right in everything, but without the path that a Remove needs."""
        return self._bytes("forge_pathless_remove", "commit", remove=leaf)

    def stolen(self, thief: str) -> TsMember:
        """Somebody else with a copy of this member's state."""
        self._call("steal", thief=thief)
        return TsMember(self._driver, thief, self._now_s)

    def _views(self, names: Sequence[str]) -> list[Any]:
        asked = {"label": EXPORT_LABEL, "context": EXPORT_CONTEXT, "length": EXPORT_BYTES}
        views: list[Any] = self._driver.call("views", members=names, **asked)["views"]
        return views


def process_all(members: Sequence[TsMember], message: bytes) -> list[Outcome]:
    """One message to many members in one request."""
    if not members:
        return []
    driver = members[0]._driver
    answer = driver.call("process", members=[member.name for member in members], message=message)
    return [_outcome(result) for result in answer["results"]]


def view_all(members: Sequence[TsMember]) -> list[View]:
    """The views of many members in one request."""
    if not members:
        return []
    views = members[0]._views([member.name for member in members])
    return [
        View(
            view["epoch"],
            b64decode(view["authenticator"]),
            b64decode(view["tree_hash"]),
            b64decode(view["exported"]),
            tuple((leaf, b64decode(identity)) for leaf, identity in view["members"]),
        )
        for view in views
    ]


def _outcome(result: dict[str, Any]) -> Outcome:
    if "error" in result:
        return Refused(result["error"]["type"], result["error"]["message"])
    if result["kind"] == "application":
        return Application(result["sender"], b64decode(result["identity"]), b64decode(result["data"]))
    return Proposed() if result["kind"] == "proposal" else Committed(result["removedSelf"])
