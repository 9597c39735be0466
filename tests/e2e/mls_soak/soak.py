"""Random groups of Python and ts-mls members that must agree after every commit.

The walk is decided by the seed, and so is the Python members' randomness; ts-mls draws its own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from .driver import Driver
from .member import Application, Change, Committed, Made, Member, Outcome, Proposed, Refused
from .py_member import PyMember
from .ts_member import TsMember, process_all, view_all

FORMER_MAX = 3
LATE_EPOCHS_MAX = 4


class SoakFailure(AssertionError):
    """Members disagree, or one took or refused what it should not have."""


@dataclass
class Count:
    """What a run did."""

    commits: int = 0
    messages: int = 0
    refusals: int = 0
    by_kind: dict[str, int] = field(default_factory=dict)

    def add(self, other: Count) -> None:
        self.commits += other.commits
        self.messages += other.messages
        self.refusals += other.refusals
        for kind, times in other.by_kind.items():
            self.by_kind[kind] = self.by_kind.get(kind, 0) + times


@dataclass(frozen=True)
class Late:
    """A message that some of its readers have not had yet."""

    epoch: int
    sender: bytes
    data: bytes
    message: bytes
    readers: tuple[Member, ...]

    def without(self, member: Member) -> Late:
        """For a member that lost the keys of the past."""
        return replace(self, readers=tuple(reader for reader in self.readers if reader is not member))


def deliver(members: Sequence[Member], message: bytes) -> list[tuple[Member, Outcome]]:
    """Hands `message` to each; refusals are answers here, not errors."""
    ts = [member for member in members if isinstance(member, TsMember)]
    answers: list[tuple[Member, Outcome]] = list(zip(ts, process_all(ts, message), strict=True))
    for member in members:
        if not isinstance(member, TsMember):
            try:
                answers.append((member, member.process(message)))
            except Refused as refused:
                answers.append((member, refused))
    return answers


class Soak:
    """One group, from its creation on."""

    def __init__(self, driver: Driver, seed: int, members_max: int, now_s: Callable[[], float]) -> None:
        self.rng = random.Random(seed)
        self.count = Count()
        self._driver = driver
        self._now_s = now_s
        self._members_max = members_max
        self._names = 0
        self._psks: dict[bytes, bytes] = {}
        self._late: list[Late] = []
        self._former: list[Member] = []
        driver.call("reset")
        founders: list[Callable[[], Member]] = [self.new_python, self.new_ts]
        founder = founders[seed % 2]()
        founder.create(b"soak %d" % seed)
        self.members: list[Member] = [founder]
        self.epoch = 0
        self.add_members([founders[(seed + 1) % 2]()])

    # --- members

    def _name(self, kind: str) -> str:
        self._names += 1
        return f"{kind}{self._names}"

    def new_python(self) -> Member:
        return PyMember(self._name("py"), self.rng, self._psks, self._now_s)

    def new_ts(self) -> Member:
        return TsMember(self._driver, self._name("ts"), self._now_s)

    def new_member(self) -> Member:
        return self.rng.choice([self.new_python, self.new_ts])()

    def pick(self, *excluded: Member) -> Member:
        return self.rng.choice([member for member in self.members if member not in excluded])

    def room(self) -> int:
        return self._members_max - len(self.members)

    # --- steps

    def step(self) -> str:
        """One random operation; returns its name."""
        steps: list[tuple[int, str, Callable[[], None], bool]] = [
            (3, "add", lambda: self.add_members([self.new_member()]), self.room() > 0),
            (2, "add many", self.add_many, self.room() > 1),
            (4, "update", self.update, True),
            (3, "remove", self.remove, len(self.members) > 2),
            (2, "replace", self.replace, len(self.members) > 2),
            (8, "message", self.message, True),
            (3, "late message", self.late_message, True),
            (3, "proposals", self.proposals, len(self.members) > 2),
            (2, "external join", self.external_join, self.room() > 0),
            (1, "external rejoin", self.external_rejoin, True),
            (2, "pre-shared key", self.pre_shared_key, True),
            (2, "race", self.race, True),
            (2, "reload", lambda: self.pick().reload(), True),
            (2, "restart", self._driver.restart, self._driver.restarts),
        ]
        possible = [step for step in steps if step[3]]
        _, name, act, _ = self.rng.choices(possible, [weight for weight, *_ in possible])[0]
        act()
        self.count.by_kind[name] = self.count.by_kind.get(name, 0) + 1
        return name

    def add_members(self, joiners: list[Member]) -> None:
        committer = self.pick()
        made = committer.commit(Change(add=tuple(joiner.key_package() for joiner in joiners)))
        self.accept(committer, made, joiners)

    def add_many(self) -> None:
        how_many = self.rng.randint(2, min(4, self.room()))
        self.add_members([self.new_member() for _ in range(how_many)])

    def update(self) -> None:
        committer = self.pick()
        self.accept(committer, committer.commit(Change()))

    def remove(self) -> None:
        committer = self.pick()
        how_many = self.rng.randint(1, max(1, len(self.members) // 4))
        gone = self.rng.sample([member for member in self.members if member is not committer], how_many)
        made = committer.commit(Change(remove=tuple(member.leaf() for member in gone)))
        self.accept(committer, made, gone=gone)

    def replace(self) -> None:
        """Removes a member and adds another in one commit: the new one gets the leaf."""
        committer = self.pick()
        gone, joiner = self.pick(committer), self.new_member()
        made = committer.commit(Change(add=(joiner.key_package(),), remove=(gone.leaf(),)))
        self.accept(committer, made, [joiner], [gone])

    def message(self) -> None:
        sender = self.pick()
        data = self.rng.randbytes(self.rng.choice([0, 1, 63, 64, 500, 20_000]))
        wanted = self.rng.choice([None, 1024, 32_768])
        message = sender.protect(data, wanted)
        if wanted is not None and len(data) < wanted - 300 and len(message) != wanted:
            raise SoakFailure(f"{sender.name} made a message of {len(message)} bytes instead of {wanted}")
        readers = self._without(sender)
        self.expect_refusal(sender, message, "its sender")
        self.tamper(message, readers)
        self.read(sender, data, message, readers)
        for former in self._former:
            self.expect_refusal(former, message, "a former member")
        if readers:
            self.expect_refusal(self.rng.choice(readers), message, "a reader, again")

    def late_message(self) -> None:
        """A message that reaches some of its readers only later, perhaps in another epoch and out of order."""
        sender = self.pick()
        data = self.rng.randbytes(40)
        message = sender.protect(data)
        now: list[Member] = []
        later: list[Member] = []
        for reader in self._without(sender):
            (later if self.rng.random() < 0.6 else now).append(reader)
        self.read(sender, data, message, now)
        self._late.append(Late(self.epoch, sender.identity, data, message, tuple(later)))

    def proposals(self) -> None:
        """Proposals of some members, which another member's commit covers by reference."""
        change = _Proposals(self)
        for _ in range(self.rng.randint(1, 3)):
            change.add_one()
        committer = change.committer()
        made = committer.commit(Change())
        self.accept(committer, made, change.joiners, change.gone)

    def external_join(self) -> None:
        joiner = self.new_member()
        commit = joiner.join_external(self.pick().group_info())
        self.members.append(joiner)
        self.accept(joiner, Made(commit, None), renewed=True)

    def external_rejoin(self) -> None:
        """A member that lost its state comes back by itself; its former leaf goes in the same commit."""
        helper, returning = self.rng.sample(self.members, 2)
        before = returning.stolen(self._name("lost"))
        commit = returning.join_external(helper.group_info(), rejoin=True)
        self._late = [late.without(returning) for late in self._late]
        self.accept(returning, Made(commit, None), renewed=True)
        # ts-mls does not notice that an external commit removes it, and refuses the commit; either way it is out.
        for _, outcome in deliver([before], commit):
            if not isinstance(outcome, Refused) and outcome != Committed(removed_self=True):
                raise SoakFailure(f"the former state of {returning.name}: {outcome!r}")
        self.expect_refusal(before, helper.protect(b"to those who are here"), "the former leaf's state")

    def pre_shared_key(self) -> None:
        committer = self.pick()
        self.accept(committer, committer.commit(Change(psks=(self.new_psk(),))))

    def new_psk(self) -> bytes:
        psk_id, secret = b"psk %d" % len(self._psks), self.rng.randbytes(32)
        self._psks[psk_id] = secret
        self._driver.call("psk", psk_id=psk_id, secret=secret)
        return psk_id

    def race(self) -> None:
        """Two members commit at once; the server takes one, and the other drops its own."""
        winner, loser = self.rng.sample(self.members, 2)
        joiner = self.new_member() if self.room() > 0 else None
        made = winner.commit(Change(add=(joiner.key_package(),) if joiner else ()))
        loser.commit(Change())
        self.accept(winner, made, [joiner] if joiner else [])

    # --- what must hold

    def accept(
        self,
        committer: Member,
        made: Made,
        joiners: Sequence[Member] = (),
        gone: Sequence[Member] = (),
        *,
        renewed: bool = False,
    ) -> None:
        """The server accepted a commit: everybody processes it, newcomers join, and all compare."""
        others = self._without(committer)
        if not renewed and self.rng.random() < 0.3:
            committer.reload()
        self.tamper(made.commit, others)
        for member, outcome in deliver(others, made.commit):
            if outcome != Committed(removed_self=member in gone):
                raise SoakFailure(f"{member.name} on the commit of {committer.name}: {outcome!r}")
        for former in self._former:
            self.expect_refusal(former, made.commit, "a former member")
        committer.merge()
        if joiners and made.welcome is None:
            raise SoakFailure(f"{committer.name} made no Welcome")
        for joiner in joiners:
            if made.welcome is not None:
                joiner.join(made.welcome)
        self.members = [member for member in self.members if member not in gone] + list(joiners)
        self._former = (self._former + list(gone))[-FORMER_MAX:]
        self.epoch += 1
        self.count.commits += 1
        self.compare()
        self.read_late()

    def compare(self) -> None:
        """All members see the same epoch, secrets, tree and members."""
        ts = [member for member in self.members if isinstance(member, TsMember)]
        views = dict(zip((member.name for member in ts), view_all(ts), strict=True))
        views |= {member.name: member.view() for member in self.members if member.name not in views}
        first = next(iter(views.values()))
        different = [name for name, view in views.items() if view != first]
        if different or first.epoch != self.epoch or len(first.members) != len(self.members):
            raise SoakFailure(f"epoch {self.epoch}: {different} differ from {next(iter(views))}: {views}")

    def read(self, sender: Member, data: bytes, message: bytes, readers: Sequence[Member]) -> None:
        self._read(sender.identity, data, message, readers)
        self.count.messages += 1

    def _read(self, sender: bytes, data: bytes, message: bytes, readers: Sequence[Member]) -> None:
        for member, outcome in deliver(readers, message):
            if not isinstance(outcome, Application) or (outcome.identity, outcome.data) != (sender, data):
                raise SoakFailure(f"{member.name} on a message of {sender!r}: {outcome!r}")

    def read_late(self) -> None:
        """Some of the late messages arrive, in any order; all of them before their epoch is forgotten."""
        self.rng.shuffle(self._late)
        waiting = []
        for late in self._late:
            if self.epoch - late.epoch < LATE_EPOCHS_MAX and self.rng.random() < 0.5:
                waiting.append(late)
            else:
                here = [reader for reader in late.readers if reader in self.members]
                self._read(late.sender, late.data, late.message, here)
        self._late = waiting

    def tamper(self, message: bytes, readers: Sequence[Member]) -> None:
        """Now and then one reader first gets the message with a flipped bit; it must be as if nothing came."""
        if not readers or self.rng.random() > 0.3:
            return
        bad = bytearray(message)
        bad[self.rng.randrange(len(bad))] ^= 1 << self.rng.randrange(8)
        self.expect_refusal(self.rng.choice(readers), bytes(bad), "a reader, with a flipped bit")

    def expect_refusal(self, member: Member, message: bytes, who: str) -> None:
        for _, outcome in deliver([member], message):
            if not isinstance(outcome, Refused):
                raise SoakFailure(f"{member.name} ({who}) took a message: {outcome!r}")
        self.count.refusals += 1

    def _without(self, *excluded: Member) -> list[Member]:
        return [member for member in self.members if member not in excluded]


class _Proposals:
    """Proposals that may stand together in one commit, and who may make it."""

    def __init__(self, soak: Soak) -> None:
        self._soak = soak
        self._updaters: list[Member] = []
        self.joiners: list[Member] = []
        self.gone: list[Member] = []

    def add_one(self) -> None:
        rng, soak = self._soak.rng, self._soak
        kinds = ["psk"]
        if soak.room() > len(self.joiners):
            kinds.append("add")
        # Somebody must be left who neither goes nor renews its leaf: the committer.
        if len(soak.members) - len(self.gone) - len(self._updaters) > 2:
            kinds += ["remove", "update"]
        kind = rng.choice(kinds)
        if kind == "update":
            self._update()
        elif kind == "add":
            joiner = soak.new_member()
            self.joiners.append(joiner)
            proposer = soak.pick(*self.gone)
            self._spread(proposer, proposer.propose_add(joiner.key_package()))
        elif kind == "remove":
            target = soak.pick(*self.gone, *self._updaters)
            proposer = soak.pick(*self.gone)
            self.gone.append(target)
            self._spread(proposer, proposer.propose_remove(target.leaf()))
        else:
            proposer = soak.pick(*self.gone)
            self._spread(proposer, proposer.propose_psk(soak.new_psk()))

    def _update(self) -> None:
        """Only Python proposes Updates: ts-mls can cover them, not make them."""
        able = [each for each in self._candidates() if isinstance(each, PyMember)]
        if able:
            proposer = self._soak.rng.choice(able)
            self._updaters.append(proposer)
            self._spread(proposer, proposer.propose_update())

    def _candidates(self) -> Iterator[Member]:
        return (each for each in self._soak.members if each not in self.gone and each not in self._updaters)

    def _spread(self, proposer: Member, message: bytes) -> None:
        others = [member for member in self._soak.members if member is not proposer]
        for member, outcome in deliver(others, message):
            if not isinstance(outcome, Proposed):
                raise SoakFailure(f"{member.name} on a proposal of {proposer.name}: {outcome!r}")

    def committer(self) -> Member:
        return self._soak.rng.choice(list(self._candidates()))
