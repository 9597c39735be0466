"""A member of the Python core."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypedDict

from ringthrough.e2ee.mls import (
    CIPHER_SUITE_DEFAULT,
    ApplicationMessage,
    CipherSuite,
    CommitApplied,
    CredentialCheck,
    CredentialUse,
    Group,
    KeyPackageBundle,
    MlsError,
    Proposal,
    PskProposal,
    Random,
    SignatureKeyPair,
    create_key_package,
)

from .member import (
    EXPORT_BYTES,
    EXPORT_CONTEXT,
    EXPORT_LABEL,
    Application,
    Change,
    Committed,
    Made,
    Proposed,
    Psks,
    Received,
    Refused,
    View,
)

LIFETIME_S = 30 * 86_400


class _How(TypedDict):
    """What every proposal asks for."""

    random: Random
    check: CredentialCheck
    now_s: float


def accept_all(identity: bytes, signature_key: bytes, use: CredentialUse) -> None:
    """A device list that knows everybody."""


@contextmanager
def refusals() -> Iterator[None]:
    """Turns the core's errors into `Refused`; any other exception is a bug and passes through."""
    try:
        yield
    except MlsError as error:
        raise Refused(type(error).__name__, str(error)) from error


class PyMember:
    """See `Member`. `psks` is shared by all: a pre-shared key is one that everybody has."""

    implementation = "python"

    def __init__(
        self,
        name: str,
        rng: random.Random,
        psks: Psks,
        now_s: Callable[[], float],
        suite: CipherSuite = CIPHER_SUITE_DEFAULT,
    ) -> None:
        self.name = name
        self.identity = name.encode()
        self._rng = rng
        self._psks = psks
        self._now_s = now_s
        self._suite = suite
        self._signature_key = SignatureKeyPair.generate(suite, rng.randbytes)
        self._bundles: list[KeyPackageBundle] = []
        self._group: Group | None = None
        self._joining: Group | None = None

    @property
    def group(self) -> Group:
        if self._group is None:
            raise RuntimeError(f"{self.name} is in no group")
        return self._group

    def key_package(self) -> bytes:
        now_s = int(self._now_s())
        bundle = create_key_package(
            self._suite,
            self.identity,
            self._signature_key,
            random=self._rng.randbytes,
            not_before_s=now_s - 60,
            not_after_s=now_s + LIFETIME_S,
        )
        self._bundles.append(bundle)
        return bundle.key_package

    def create(self, group_id: bytes) -> None:
        self.key_package()
        self._group = Group.create(self._suite, group_id, self._bundles[-1], random=self._rng.randbytes)

    def join(self, welcome: bytes) -> None:
        with refusals():
            self._group = Group.join(welcome, self._bundles, check=accept_all, now_s=self._now_s(), psks=self._psks)

    def join_external(self, group_info: bytes, *, rejoin: bool = False) -> bytes:
        with refusals():
            joined = Group.join_external(
                group_info,
                identity=self.identity,
                signature_key=self._signature_key,
                random=self._rng.randbytes,
                check=accept_all,
                replace_own_leaf=rejoin,
            )
        self._joining = joined.group
        return joined.commit

    def leaf(self) -> int:
        return self.group.own_leaf

    def commit(self, change: Change) -> Made:
        with refusals():
            self._learn_psks()
            staged = self.group.commit(
                add=change.add,
                remove=change.remove,
                proposals=[self._psk_proposal(psk_id) for psk_id in change.psks],
                random=self._rng.randbytes,
                check=accept_all,
                now_s=self._now_s(),
                force_path=self._rng.random() < 0.5,
            )
        return Made(staged.commit, staged.welcome)

    def merge(self) -> None:
        if self._joining is not None:
            self._group, self._joining = self._joining, None
            return
        with refusals():
            self.group.merge_staged()

    def propose_add(self, key_package: bytes) -> bytes:
        with refusals():
            return self.group.propose_add(key_package, **self._how())

    def propose_remove(self, leaf: int) -> bytes:
        with refusals():
            return self.group.propose_remove(leaf, **self._how())

    def propose_psk(self, psk_id: bytes) -> bytes:
        with refusals():
            self._learn_psks()
            return self.group.propose(self._psk_proposal(psk_id), **self._how())

    def propose_update(self) -> bytes:
        with refusals():
            return self.group.propose_update(**self._how())

    def protect(self, data: bytes, message_bytes: int | None = None) -> bytes:
        pad = None if message_bytes is None else _pad_to(message_bytes)
        with refusals():
            return self.group.protect(data, random=self._rng.randbytes, pad=pad)

    def process(self, message: bytes) -> Received:
        with refusals():
            self._learn_psks()
            result = self.group.process(message, check=accept_all, now_s=self._now_s())
        match result:
            case ApplicationMessage(sender, _, data):
                return Application(sender.leaf, sender.identity, data)
            case CommitApplied():
                return Committed(result.self_removed)
            case _:
                return Proposed()

    def group_info(self) -> bytes:
        with refusals():
            return self.group.group_info()

    def view(self) -> View:
        group = self.group
        return View(
            group.epoch,
            group.epoch_authenticator,
            group.tree_hash,
            group.export(EXPORT_LABEL, EXPORT_CONTEXT, EXPORT_BYTES),
            tuple((member.leaf, member.identity) for member in group.members),
        )

    def reload(self) -> None:
        self._group = Group.from_bytes(self.group.to_bytes())

    def stolen(self, thief: str) -> PyMember:
        """Somebody else with a copy of this member's state."""
        copy = PyMember(thief, self._rng, self._psks, self._now_s, self._suite)
        copy._group = Group.from_bytes(self.group.to_bytes())
        return copy

    def _how(self) -> _How:
        return {"random": self._rng.randbytes, "check": accept_all, "now_s": self._now_s()}

    def _psk_proposal(self, psk_id: bytes) -> Proposal:
        return PskProposal(self.group.psk_id(psk_id, random=self._rng.randbytes))

    def _learn_psks(self) -> None:
        for psk_id, secret in self._psks.items():
            self.group.add_psk(psk_id, secret)


def _pad_to(message_bytes: int) -> Callable[[int], int]:
    return lambda unpadded_bytes: max(message_bytes, unpadded_bytes)
