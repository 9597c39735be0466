"""Members of MLS groups for tests: randomness by seed, time fixed, every leaf accepted unless a test says so."""

from __future__ import annotations

import random

from ringthrough.e2ee.mls import (
    CIPHER_SUITE_DEFAULT,
    ApplicationMessage,
    CredentialUse,
    Group,
    KeyPackageBundle,
    Processed,
    SignatureKeyPair,
    StagedCommit,
    create_key_package,
)

NOW_S = 1_790_000_000


def accept(identity: bytes, signature_key: bytes, use: CredentialUse) -> None:
    """The application knows everybody."""


class Person:
    """A device with one key package, and a group once it has created or joined one."""

    def __init__(self, name: str, seed: int = 0) -> None:
        self.random = random.Random(f"{name} {seed}").randbytes
        self.key = SignatureKeyPair.generate(CIPHER_SUITE_DEFAULT, self.random)
        self.name = name.encode()
        self.bundle = self.new_key_package()
        self.group: Group

    def new_key_package(self) -> KeyPackageBundle:
        """A fresh one, valid for a day around now."""
        return create_key_package(
            CIPHER_SUITE_DEFAULT,
            self.name,
            self.key,
            random=self.random,
            not_before_s=NOW_S - 86_400,
            not_after_s=NOW_S + 86_400,
        )

    def create(self, group_id: bytes = b"group") -> None:
        """Found a group."""
        self.group = Group.create(CIPHER_SUITE_DEFAULT, group_id, self.bundle, random=self.random)

    def join(self, welcome: bytes) -> None:
        """Enter by a Welcome."""
        self.group = Group.join(welcome, [self.bundle], check=accept, now_s=NOW_S)

    def commit(self, *, add: tuple[Person, ...] = (), remove: tuple[Person, ...] = ()) -> StagedCommit:
        """Stage a commit."""
        return self.group.commit(
            add=[person.bundle.key_package for person in add],
            remove=[person.group.own_leaf for person in remove],
            random=self.random,
            check=accept,
            now_s=NOW_S,
        )

    def say(self, data: bytes) -> bytes:
        """An application message."""
        return self.group.protect(data, random=self.random)

    def take(self, message: bytes) -> Processed:
        """Process what came."""
        return self.group.process(message, check=accept, now_s=NOW_S)

    def hears(self, message: bytes) -> bytes:
        """The data of an application message."""
        event = self.take(message)
        assert isinstance(event, ApplicationMessage)
        return event.data

    def reload(self) -> None:
        """Save, forget, load."""
        self.group = Group.from_bytes(self.group.to_bytes())


def together(*people: Person) -> None:
    """The first founds a group and adds the others."""
    founder, *others = people
    founder.create()
    if not others:
        return
    staged = founder.commit(add=tuple(others))
    assert staged.welcome is not None
    founder.group.merge_staged()
    for person in others:
        person.join(staged.welcome)


def agree(*people: Person) -> None:
    """All are in the same epoch with the same secrets."""
    assert len({(p.group.epoch, p.group.epoch_authenticator, p.group.tree_hash) for p in people}) == 1
