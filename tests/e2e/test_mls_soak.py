"""Short mixed walks (`make test` runs longer ones before), and what one implementation must refuse from the other.

Longer walks: `python tests/e2e/mls_soak/run.py --seeds 20 --steps 200 --members 24`.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from tests.e2e.mls_soak.browser_driver import BrowserDriver
from tests.e2e.mls_soak.driver import Driver
from tests.e2e.mls_soak.member import Application, Change, Committed, Member, Refused
from tests.e2e.mls_soak.node_driver import NodeDriver
from tests.e2e.mls_soak.py_member import PyMember
from tests.e2e.mls_soak.required import driver_or_skip
from tests.e2e.mls_soak.run import soak_seeds, summary
from tests.e2e.mls_soak.soak import Count
from tests.e2e.mls_soak.ts_member import TsMember

FIRST_SEED = 21
SEEDS, STEPS, MEMBERS_MAX = 2, 60, 12
BROWSER_SEEDS, BROWSER_STEPS = 1, 90


@pytest.fixture(name="driver", scope="module")
def _driver() -> Iterator[NodeDriver]:
    yield from driver_or_skip(NodeDriver)


@pytest.mark.timeout(600)
@pytest.mark.promise("CANNOT-FORGE")
@pytest.mark.promise("CANNOT-SNOOP-AFTER")
def test_random_groups_of_both_implementations_agree(driver: NodeDriver) -> None:
    walk(driver, SEEDS, STEPS)


@pytest.mark.slow
@pytest.mark.promise("CANNOT-FORGE")
@pytest.mark.promise("CANNOT-SNOOP-AFTER")
def test_random_groups_agree_with_the_members_in_a_page_that_is_reloaded() -> None:
    for driver in driver_or_skip(BrowserDriver):
        assert walk(driver, BROWSER_SEEDS, BROWSER_STEPS).by_kind["restart"] > 3


def walk(driver: Driver, seeds: int, steps: int) -> Count:
    total, failures = soak_seeds(driver, range(FIRST_SEED, FIRST_SEED + seeds), steps, MEMBERS_MAX)
    line = summary(driver.place, seeds, steps, total, failures)
    print(line)
    assert not failures, "\n".join([*failures, line])
    # A walk that did nothing would agree as well.
    assert total.commits > seeds * steps / 3
    assert total.messages > seeds * steps / 6
    assert set(total.by_kind) >= {
        "add",
        "external join",
        "message",
        "pre-shared key",
        "proposals",
        "remove",
        "update",
    }
    return total


@dataclass
class Cast:
    """A group of one sender and three members of the other implementation: a reader and two more."""

    members: list[Member]
    newcomer: Member
    """One more of the other implementation, in no group yet."""


@pytest.fixture(name="cast", params=["python to ts-mls", "ts-mls to python"])
def _cast(driver: NodeDriver, request: pytest.FixtureRequest) -> Cast:
    driver.call("reset")
    rng = random.Random(7)

    def python(name: str) -> Member:
        return PyMember(name, rng, {}, time.time)

    def ts(name: str) -> Member:
        return TsMember(driver, name, time.time)

    first, other = (python, ts) if request.param == "python to ts-mls" else (ts, python)
    sender, *others = members = [first("sender"), other("reader"), other("second"), other("third")]
    found(sender, others)
    return Cast(members, other("newcomer"))


def found(founder: Member, others: Sequence[Member]) -> None:
    """`founder` creates a group and adds the others."""
    founder.create(b"a conversation")
    made = founder.commit(Change(add=tuple(each.key_package() for each in others)))
    founder.merge()
    assert made.welcome is not None
    for each in others:
        each.join(made.welcome)
    assert len({each.view() for each in (founder, *others)}) == 1


def flipped(message: bytes, bit: int) -> bytes:
    changed = bytearray(message)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.promise("CANNOT-FORGE")
def test_a_flipped_bit_is_refused_across_implementations(cast: Cast) -> None:
    sender, reader, *_ = cast.members
    message = sender.protect(b"hello")
    proposal = sender.propose_remove(3)
    for each in (message, proposal):
        for byte in range(len(each)):
            with pytest.raises(Refused):
                reader.process(flipped(each, 8 * byte + byte % 8))
    assert reader.process(message) == Application(0, b"sender", b"hello")
    with pytest.raises(Refused):
        reader.process(message)


@pytest.mark.promise("CANNOT-FORGE")
def test_a_flipped_bit_in_a_commit_or_welcome_is_refused(cast: Cast) -> None:
    sender, reader, second, third = cast.members
    joiner = cast.newcomer
    made = sender.commit(Change(add=(joiner.key_package(),), remove=(third.leaf(),)))
    for byte in range(len(made.commit)):
        with pytest.raises(Refused):
            reader.process(flipped(made.commit, 8 * byte + byte % 8))
    assert made.welcome is not None
    for byte in range(0, len(made.welcome), 7):
        with pytest.raises(Refused):
            joiner.join(flipped(made.welcome, 8 * byte + byte % 8))
    sender.merge()
    assert reader.process(made.commit) == second.process(made.commit) == Committed(removed_self=False)
    joiner.join(made.welcome)
    assert len({each.view() for each in (sender, reader, second, joiner)}) == 1


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
def test_a_removed_member_reads_nothing_later(cast: Cast) -> None:
    sender, gone, reader, _ = cast.members
    before = sender.protect(b"with you")
    made = sender.commit(Change(remove=(gone.leaf(),)))
    sender.merge()
    assert gone.process(made.commit) == Committed(removed_self=True)
    assert reader.process(made.commit) == Committed(removed_self=False)
    after = sender.protect(b"without you")
    assert reader.process(after) == Application(0, b"sender", b"without you")
    for message in (after, before):
        with pytest.raises(Refused):
            gone.process(message)
    update = sender.commit(Change())
    with pytest.raises(Refused):
        gone.process(update.commit)


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
def test_a_member_that_ignores_its_removal_reads_nothing_later(cast: Cast) -> None:
    sender, gone, reader, _ = cast.members
    made = sender.commit(Change(remove=(gone.leaf(),)))
    sender.merge()
    reader.process(made.commit)
    # It never takes the commit in, so its keys are those of the epoch before.
    for message in (sender.protect(b"without you"), sender.commit(Change()).commit):
        with pytest.raises(Refused):
            gone.process(message)


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
def test_an_update_locks_out_who_copied_a_member(cast: Cast) -> None:
    sender, victim, reader, _ = cast.members
    thief = victim.stolen("thief")
    before = sender.protect(b"both read this")
    assert thief.process(before) == victim.process(before) == Application(0, b"sender", b"both read this")
    update = victim.commit(Change())
    victim.merge()
    for each in (sender, reader):
        assert each.process(update.commit) == Committed(removed_self=False)
    with pytest.raises(Refused):
        thief.process(update.commit)
    after = sender.protect(b"the thief does not read this")
    assert victim.process(after) == Application(0, b"sender", b"the thief does not read this")
    with pytest.raises(Refused):
        thief.process(after)


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
def test_a_removal_without_a_path_is_refused(driver: NodeDriver) -> None:
    driver.call("reset")
    sender = TsMember(driver, "sender", time.time)
    python = PyMember("python", random.Random(9), {}, time.time)
    ts, target = TsMember(driver, "ts", time.time), TsMember(driver, "target", time.time)
    found(sender, (python, ts, target))
    forged = sender.forge_pathless_remove(target.leaf())
    with pytest.raises(Refused, match="path"):
        python.process(forged)
    with pytest.raises(Refused, match="path"):
        ts.process(forged)
    assert python.view() == ts.view() == sender.view()


@pytest.mark.promise("CANNOT-FORGE")
def test_a_message_of_one_group_is_refused_in_another(cast: Cast) -> None:
    sender, reader, *_ = cast.members
    message = sender.protect(b"hello")
    reader.create(b"another conversation")
    with pytest.raises(Refused):
        reader.process(message)
