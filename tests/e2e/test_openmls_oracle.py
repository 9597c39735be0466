"""The Python core against OpenMLS, a third implementation with its own authors; suite 3 is the one it offers."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from ringthrough.e2ee.mls import suite
from tests.e2e.mls_soak.member import Application, Change, Committed, Proposed, Refused
from tests.e2e.mls_soak.node_driver import NodeDriver
from tests.e2e.mls_soak.openmls_member import OpenMlsMember
from tests.e2e.mls_soak.py_member import PyMember
from tests.e2e.mls_soak.required import driver_or_skip

SUITE = suite(3)


@pytest.fixture(name="driver", scope="module")
def _driver() -> Iterator[NodeDriver]:
    yield from driver_or_skip(NodeDriver)


class Mixed:
    """A group that Python created, with one Python member more and two OpenMLS members."""

    def __init__(self, driver: NodeDriver) -> None:
        self._rng = random.Random(3)
        self.alice, self.bob = self.python("alice"), self.python("bob")
        self.zoe, self.yan = (OpenMlsMember(driver, name, time.time()) for name in ("zoe", "yan"))
        self.alice.create(b"oracle")
        added = (self.bob.key_package(), self.zoe.key_package, self.yan.key_package)
        made = self.alice.commit(Change(add=added))
        self.alice.merge()
        assert made.welcome is not None
        for member in (self.bob, self.zoe, self.yan):
            member.join(made.welcome)
        self.agree(self.alice, self.bob, self.zoe, self.yan)

    def python(self, name: str) -> PyMember:
        return PyMember(name, self._rng, {}, time.time, SUITE)

    def agree(self, *members: PyMember | OpenMlsMember) -> None:
        """All are in one epoch: equal exporter secrets, and everybody reads everybody."""
        secrets = {
            member.exported() if isinstance(member, OpenMlsMember) else member.view().exported for member in members
        }
        assert len(secrets) == 1
        for sender in members:
            data = b"from " + sender.identity
            message = sender.protect(data)
            for reader in members:
                if reader is not sender:
                    read = reader.process(message)
                    assert (read.data if isinstance(read, Application) else read) == data

    def accept(self, commit: bytes, *readers: PyMember | OpenMlsMember) -> None:
        for reader in readers:
            assert reader.process(commit) in (b"", Committed(removed_self=False))


@pytest.fixture(name="mixed")
def _mixed(driver: NodeDriver) -> Mixed:
    return Mixed(driver)


def test_openmls_joins_a_python_group(mixed: Mixed) -> None:
    leaves = [(leaf, identity) for leaf, identity in mixed.alice.view().members]
    assert leaves == [(0, b"alice"), (1, b"bob"), (2, b"zoe"), (3, b"yan")]


def test_openmls_follows_every_kind_of_python_commit(mixed: Mixed) -> None:
    alice, bob, zoe, yan = mixed.alice, mixed.bob, mixed.zoe, mixed.yan
    for committer, other in ((alice, bob), (bob, alice), (alice, bob)):
        update = committer.commit(Change())
        committer.merge()
        mixed.accept(update.commit, other, zoe, yan)
        mixed.agree(alice, bob, zoe, yan)

    carol = mixed.python("carol")
    added = bob.commit(Change(add=(carol.key_package(),)))
    bob.merge()
    mixed.accept(added.commit, alice, zoe, yan)
    assert added.welcome is not None
    carol.join(added.welcome)
    mixed.agree(alice, bob, carol, zoe, yan)

    removed = carol.commit(Change(remove=(bob.leaf(),)))
    carol.merge()
    mixed.accept(removed.commit, alice, zoe, yan)
    mixed.agree(alice, carol, zoe, yan)

    dave = mixed.python("dave")
    joining = dave.join_external(alice.group_info())
    mixed.accept(joining, alice, carol, zoe, yan)
    dave.merge()
    mixed.agree(alice, carol, dave, zoe, yan)


def test_openmls_commits_and_python_follows(mixed: Mixed, driver: NodeDriver) -> None:
    """OpenMLS makes a proposal, a commit with a path that covers it by reference, and a Welcome."""
    alice, bob, zoe, yan = mixed.alice, mixed.bob, mixed.zoe, mixed.yan
    xena = OpenMlsMember(driver, "xena", time.time())
    proposal, commit, welcome = zoe.commit_add(xena)
    for python in (alice, bob):
        assert python.process(proposal) == Proposed()
    zoe.merge()
    mixed.accept(commit, alice, bob)
    xena.join(welcome, tree_of=zoe)
    # The package drops a proposal that it receives by itself, so the other OpenMLS member cannot follow.
    mixed.agree(alice, bob, zoe, xena)
    assert yan.exported() != zoe.exported()

    update = bob.commit(Change())
    bob.merge()
    mixed.accept(update.commit, alice, zoe, xena)
    mixed.agree(alice, bob, zoe, xena)


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
def test_openmls_reads_nothing_after_python_removed_it(mixed: Mixed) -> None:
    alice, bob, zoe, yan = mixed.alice, mixed.bob, mixed.zoe, mixed.yan
    removal = alice.commit(Change(remove=(2,)))
    alice.merge()
    mixed.accept(removal.commit, bob, yan)
    zoe.process(removal.commit)
    mixed.agree(alice, bob, yan)
    with pytest.raises(Refused):
        zoe.process(alice.protect(b"without zoe"))


@pytest.mark.promise("CANNOT-FORGE")
def test_flipped_bits_are_refused_both_ways(mixed: Mixed) -> None:
    alice, zoe = mixed.alice, mixed.zoe
    message = zoe.protect(b"hello")
    for byte in range(len(message)):
        changed = bytearray(message)
        changed[byte] ^= 1 << byte % 8
        with pytest.raises(Refused):
            alice.process(bytes(changed))
    assert alice.process(message) == Application(2, b"zoe", b"hello")
    with pytest.raises(Refused):
        alice.process(message)
    # Outside of these places the demo package panics on what it cannot parse, and takes nothing any more.
    group_id_and_epoch, sender_data, ciphertext = range(5, 19), range(22, 50), range(52, 140)
    ours = alice.protect(b"hello")
    assert len(ours) == ciphertext.stop
    for byte in (*group_id_and_epoch, *sender_data, *ciphertext):
        changed = bytearray(ours)
        changed[byte] ^= 1 << byte % 8
        with pytest.raises(Refused, match=r"differs|AEAD|deleted"):
            zoe.process(bytes(changed))
    assert zoe.process(alice.protect(b"again")) == b"again"
