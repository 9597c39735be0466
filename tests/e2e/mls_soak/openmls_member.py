"""A member in OpenMLS (Rust, compiled to WebAssembly), as far as its demo package reaches.

It creates a group, adds another OpenMLS member, joins by a Welcome, sends, processes and exports, in suite 3 only. It
does not remove, update, propose, join by an external commit, take pre-shared keys, save, or read a key package of
somebody else, and it drops the proposals it receives by themselves.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Any

from ringthrough.e2ee.mls import MlsError, parse_key_package

from .driver import DriverRefused
from .member import EXPORT_BYTES, EXPORT_CONTEXT, EXPORT_LABEL, Refused
from .node_driver import NodeDriver


class OpenMlsMember:
    """One identity with at most one group; its own key package is in `key_package`."""

    def __init__(self, driver: NodeDriver, name: str, now_s: float) -> None:
        self.name = name
        self.identity = name.encode()
        self._driver = driver
        found = [b64decode(each) for each in self._call("openmls_member")["key_packages"]]
        self.key_package = next(each for each in found if _verifies(each, now_s))

    def _call(self, op: str, **fields: object) -> Any:
        try:
            return self._driver.call(op, member=self.name, **fields)
        except DriverRefused as refused:
            raise Refused(refused.kind, str(refused)) from refused

    def join(self, welcome: bytes, tree_of: OpenMlsMember | None = None) -> None:
        """`tree_of` is a member whose tree to use when the Welcome holds none."""
        self._call("openmls_join", welcome=welcome, **({"tree_of": tree_of.name} if tree_of else {}))

    def commit_add(self, other: OpenMlsMember) -> tuple[bytes, bytes, bytes]:
        """Proposal, the commit that covers it, and the Welcome; not merged yet."""
        made = self._call("openmls_add", add=other.name)
        return b64decode(made["proposal"]), b64decode(made["commit"]), b64decode(made["welcome"])

    def merge(self) -> None:
        self._call("openmls_merge")

    def protect(self, data: bytes) -> bytes:
        return b64decode(self._call("openmls_protect", data=data)["message"])

    def process(self, message: bytes) -> bytes:
        """Application data; empty for anything else that was taken in."""
        answer = self._driver.call("openmls_process", members=[self.name], message=message)["results"][0]
        if "error" in answer:
            raise Refused(answer["error"]["type"], answer["error"]["message"])
        return b64decode(answer["data"])

    def exported(self) -> bytes:
        asked = {"label": EXPORT_LABEL, "context": EXPORT_CONTEXT, "length": EXPORT_BYTES}
        return b64decode(self._call("openmls_export", **asked)["exported"])


def _verifies(key_package: bytes, now_s: float) -> bool:
    try:
        parse_key_package(key_package).verify(now_s)
    except MlsError:
        return False
    return True
