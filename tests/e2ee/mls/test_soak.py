"""Random groups of the core alone: after every commit all members agree on secrets and tree.

A longer run: `RINGTHROUGH_MLS_SOAK=seeds,steps,members pytest tests/e2ee/mls/test_soak.py`.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable

import pytest

from ringthrough.e2ee.mls import CommitApplied, Group, MlsError, NotActive, ProposalStored, PskProposal, StagedCommit

from .people import NOW_S, Person, accept, agree, together

SEEDS, STEPS, MEMBERS_MAX = (int(part) for part in os.environ.get("RINGTHROUGH_MLS_SOAK", "3,60,12").split(","))


class Crowd:
    """A group under random load. Every member that is told something is also told to save and load now and then."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.done: Counter[str] = Counter()
        self.named = 0
        self.seed = seed
        self.members = [self.newcomer() for _ in range(3)]
        self.removed: list[Person] = []
        self.waiting: list[Callable[[], None]] = []
        together(*self.members)

    def newcomer(self) -> Person:
        self.named += 1
        return Person(f"person {self.named}", self.seed)

    def any_member(self) -> Person:
        return self.rng.choice(self.members)

    def others(self, person: Person) -> list[Person]:
        return [member for member in self.members if member is not person]

    def at(self, leaf: int) -> Person:
        return next(member for member in self.members if member.group.own_leaf == leaf)

    def settle(self, committer: Person, staged: StagedCommit, newcomers: list[Person]) -> None:
        """Everybody takes a commit in; those it removed find out and are out."""
        removed = [self.at(member.leaf) for member in staged.removed]
        if self.rng.random() < 0.3:
            committer.reload()
        for person in self.others(committer):
            event = person.take(staged.commit)
            assert isinstance(event, CommitApplied)
            assert event.self_removed == (person in removed)
            assert {member.identity for member in event.removed} == {person.name for person in removed}
            assert [member.identity for member in event.added] == [member.identity for member in staged.added]
        committer.group.merge_staged()
        assert committer.group.epoch_authenticator == staged.epoch_authenticator
        for person in removed:
            self.members.remove(person)
            self.removed.append(person)
        for person in newcomers:
            assert staged.welcome is not None
            person.join(staged.welcome)
            self.members.append(person)
        self.check()

    def check(self) -> None:
        agree(*self.members)
        names = [[member.identity for member in person.group.members] for person in self.members]
        assert all(each == names[0] for each in names)
        assert sorted(names[0]) == sorted(person.name for person in self.members)
        for person in self.removed[-2:]:
            with pytest.raises(NotActive):
                person.group.export("after", b"", 16)

    # --- what may happen ------------------------------------------------------------------------------------------

    def add(self) -> None:
        newcomers = [self.newcomer() for _ in range(self.rng.choice((1, 1, 1, 4)))]
        if len(self.members) + len(newcomers) <= MEMBERS_MAX:
            committer = self.any_member()
            self.settle(committer, committer.commit(add=tuple(newcomers)), newcomers)
            self.done["add"] += 1

    def update(self) -> None:
        committer = self.any_member()
        self.settle(committer, committer.commit(), [])
        self.done["update"] += 1

    def remove(self) -> None:
        if len(self.members) > 2:
            committer = self.any_member()
            count = self.rng.randint(1, min(2, len(self.members) - 2))
            gone = self.rng.sample(self.others(committer), count)
            self.settle(committer, committer.commit(remove=tuple(gone)), [])
            self.done["remove"] += 1

    def replace(self) -> None:
        """One commit removes and adds, so that the leaf is used again."""
        if len(self.members) > 2:
            committer, newcomer = self.any_member(), self.newcomer()
            gone = self.rng.choice(self.others(committer))
            self.settle(committer, committer.commit(add=(newcomer,), remove=(gone,)), [newcomer])
            self.done["replace"] += 1

    def discard(self) -> None:
        """A commit that nobody accepts."""
        committer = self.any_member()
        committer.commit(add=(self.newcomer(),))
        committer.reload()
        committer.group.discard_staged()
        self.done["discard"] += 1

    def race(self) -> None:
        """Two members commit in one epoch; the second one's commit is overtaken."""
        first, second = self.rng.sample(self.members, 2)
        late = second.commit()
        self.settle(first, first.commit(), [])
        assert second.group.staged is None
        with pytest.raises(MlsError):
            first.take(late.commit)
        self.done["race"] += 1

    def talk(self) -> None:
        """Messages in any order, read now or in a later epoch."""
        sender = self.any_member()
        readers = self.others(sender)
        sent = [(f"{self.rng.random()}".encode(), b"") for _ in range(self.rng.randint(1, 4))]
        sent = [(data, sender.say(data)) for data, _ in sent]
        self.rng.shuffle(sent)
        now, later = sent[1:], sent[:1]
        for reader in readers:
            for data, message in now:
                assert reader.hears(message) == data
        epoch, name = sender.group.epoch, sender.name

        def read_later() -> None:
            for reader in readers:
                if not reader.group.is_active or reader.group.epoch > epoch + 5:
                    continue
                for data, message in later:
                    event = reader.take(message)
                    assert (event.data, event.epoch, event.sender.identity) == (data, epoch, name)  # type: ignore[union-attr]

        self.waiting.append(read_later)
        self.done["talk"] += 1

    def catch_up(self) -> None:
        for read in self.waiting:
            read()
        self.waiting.clear()
        self.done["late messages"] += 1

    def propose(self) -> None:
        """Several members propose by reference; another one commits what goes together."""
        committer = self.any_member()
        newcomers: list[Person] = []
        for proposer in self.rng.sample(self.others(committer), self.rng.randint(1, len(self.members) - 1)):
            kind = self.rng.choice(("update", "add", "remove"))
            group, ways = proposer.group, {"random": proposer.random, "check": accept, "now_s": NOW_S}
            if kind == "add" and len(self.members) + len(newcomers) < MEMBERS_MAX:
                newcomers.append(self.newcomer())
                message = group.propose_add(newcomers[-1].bundle.key_package, **ways)  # type: ignore[arg-type]
            elif kind == "remove" and len(self.members) > 4:
                message = group.propose_remove(self.rng.choice(self.members).group.own_leaf, **ways)  # type: ignore[arg-type]
            else:
                message = group.propose_update(**ways)  # type: ignore[arg-type]
            if self.rng.random() < 0.3:
                proposer.reload()
            for reader in self.others(proposer):
                assert isinstance(reader.take(message), ProposalStored)
        self.settle(committer, committer.commit(), newcomers)
        self.done["propose"] += 1

    def enter(self) -> None:
        """An external join, half of the time of a member that lost its state and replaces its old leaf."""
        host = self.any_member()
        info = host.group.group_info()
        again = len(self.members) > 2 and self.rng.random() < 0.5
        if not again and len(self.members) >= MEMBERS_MAX:
            return
        lost = self.rng.choice(self.others(host)) if again else None
        person = self.newcomer()
        if lost is not None:
            person.name = lost.name
        joined = Group.join_external(
            info,
            identity=person.name,
            signature_key=person.key,
            random=person.random,
            check=accept,
            replace_own_leaf=lost is not None,
        )
        for member in self.members:
            event = member.take(joined.commit)
            assert isinstance(event, CommitApplied)
            assert event.sender is None
            assert event.self_removed == (member is lost)
            assert [added.identity for added in event.added] == [person.name]
        if lost is not None:
            self.members.remove(lost)
            self.removed.append(lost)
        person.group = joined.group
        self.members.append(person)
        self.check()
        self.done["external join"] += 1

    def share(self) -> None:
        """A commit with a pre-shared key."""
        name, value = self.rng.randbytes(8), self.rng.randbytes(32)
        for member in self.members:
            member.group.add_psk(name, value)
        committer = self.any_member()
        proposal = PskProposal(committer.group.psk_id(name, random=committer.random))
        staged = committer.group.commit(
            proposals=[proposal],
            random=committer.random,
            check=accept,
            now_s=NOW_S,
            force_path=self.rng.random() < 0.5,
        )
        self.settle(committer, staged, [])
        self.done["psk"] += 1

    def reload(self) -> None:
        person = self.any_member()
        before = person.group.to_bytes()
        person.reload()
        assert person.group.to_bytes() == before
        self.done["reload"] += 1


@pytest.mark.promise("CANNOT-LOSE")
@pytest.mark.parametrize("seed", range(SEEDS))
def test_members_agree_whatever_happens(seed: int) -> None:
    crowd = Crowd(seed)
    actions = (
        (crowd.add, 4),
        (crowd.talk, 4),
        (crowd.remove, 2),
        (crowd.update, 2),
        (crowd.propose, 2),
        (crowd.replace, 1),
        (crowd.enter, 1),
        (crowd.share, 1),
        (crowd.race, 1),
        (crowd.discard, 1),
        (crowd.reload, 1),
        (crowd.catch_up, 1),
    )
    for _ in range(STEPS):
        action = crowd.rng.choices([action for action, _ in actions], [weight for _, weight in actions])[0]
        action()
    crowd.catch_up()
    # A walk that did nothing would agree as well.
    assert set(crowd.done) >= {"add", "talk", "remove", "update", "propose", "late messages"}
    assert crowd.members[0].group.epoch > STEPS / 3
