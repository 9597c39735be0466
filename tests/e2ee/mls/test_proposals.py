"""Lists of proposals that no commit may hold (RFC 9420 section 12.2), made by a committer that checks nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ringthrough.e2ee.mls import (
    CIPHER_SUITE_DEFAULT,
    AddProposal,
    CommitApplied,
    CredentialRefused,
    CredentialUse,
    Extension,
    Group,
    GroupContextExtensionsProposal,
    InvalidCommit,
    InvalidLeafNode,
    InvalidProposal,
    InvalidTree,
    MlsError,
    PreSharedKeyId,
    Proposal,
    ProposalStored,
    PskProposal,
    RemoveProposal,
    Replayed,
    UnknownProposal,
    UnknownPsk,
    Unsupported,
    joining_external,
    proposal_list,
    proposing,
    suite,
)
from ringthrough.e2ee.mls.credentials import Credential
from ringthrough.e2ee.mls.leaf_node import LeafNode
from ringthrough.e2ee.mls.proposals import ExternalInitProposal, ReInitProposal, UpdateProposal
from ringthrough.e2ee.mls.psk import PskType, ResumptionUsage

from .people import NOW_S, Person, accept, agree, together

People = tuple[Person, Person, Person]


@pytest.fixture
def people() -> People:
    trio = (Person("alice"), Person("bob"), Person("carol"))
    together(*trio)
    return trio


def careless_commit(person: Person, proposals: list[Proposal], monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A commit by somebody whose code checks nothing; pre-shared keys have made-up values."""
    with monkeypatch.context() as patch:
        for name in ("_check_member_list", "check_psks", "check_add", "check_update"):
            patch.setattr(proposal_list, name, lambda *given: None)
        patch.setattr("ringthrough.e2ee.mls.committing.check_unique_keys", lambda tree: None)
        patch.setattr("ringthrough.e2ee.mls.state.GroupState.psk", lambda state, psk: bytes(32))
        patch.setattr(LeafNode, "check_capabilities", lambda *given: None)
        staged = person.group.commit(proposals=proposals, random=person.random, check=accept, now_s=NOW_S)
    return staged.commit


def refuses(person: Person, message: bytes, error: type[MlsError]) -> None:
    before = person.group.to_bytes()
    with pytest.raises(error):
        person.take(message)
    assert person.group.to_bytes() == before


def external_psk(nonce: int = 0, size: int = 32) -> PskProposal:
    return PskProposal(PreSharedKeyId(PskType.EXTERNAL, bytes([nonce]) * size, b"name"))


def resumption(usage: ResumptionUsage) -> PskProposal:
    return PskProposal(PreSharedKeyId(PskType.RESUMPTION, bytes(32), b"", usage, b"group", 0))


def add(person: Person) -> AddProposal:
    return AddProposal(person.bundle.package)


def extensions(*types: int) -> GroupContextExtensionsProposal:
    return GroupContextExtensionsProposal(tuple(Extension(type, b"") for type in types))


BAD_LISTS: dict[str, tuple[Callable[[People], list[Proposal]], type[MlsError]]] = {
    "re-initialises": (lambda _: [ReInitProposal(b"new", 1, 1, ())], Unsupported),
    "external init by a member": (lambda _: [ExternalInitProposal(bytes(32))], InvalidProposal),
    "removes the same leaf twice": (lambda _: [RemoveProposal(2), RemoveProposal(2)], InvalidProposal),
    "replaces extensions twice": (lambda _: [extensions(), extensions()], InvalidProposal),
    "a PSK twice": (lambda _: [external_psk(), external_psk()], InvalidProposal),
    "a PSK with a short nonce": (lambda _: [external_psk(size=31)], InvalidProposal),
    "a PSK that nobody knows": (lambda _: [external_psk()], UnknownPsk),
    "a PSK to branch": (lambda _: [resumption(ResumptionUsage.BRANCH)], Unsupported),
    "a PSK to re-initialise": (lambda _: [resumption(ResumptionUsage.REINIT)], Unsupported),
    "adds a member again": (lambda trio: [add(trio[1])], InvalidTree),
    "adds somebody twice": (lambda _: [add(Person("dave")), add(Person("dave"))], InvalidTree),
    "an extension that nobody supports": (lambda _: [extensions(0xF123)], InvalidLeafNode),
}


@pytest.mark.promise("CANNOT-FORGE")
@pytest.mark.parametrize("name", BAD_LISTS)
def test_bad_lists_are_refused(people: People, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, error = BAD_LISTS[name]
    # Removing a leaf twice cannot even be staged, so the tree operation is made to forgive the second one.
    if name == "removes the same leaf twice":
        monkeypatch.setattr("ringthrough.e2ee.mls.ratchet_tree.RatchetTree.leaf", _forgiving_leaf)
    commit = careless_commit(people[0], make(people), monkeypatch)
    monkeypatch.undo()
    refuses(people[1], commit, error)


def _forgiving_leaf(tree: Any, index: int) -> Any:
    return tree.leaves[index] or tree.leaves[0]


@pytest.mark.promise("CANNOT-FORGE")
def test_an_update_by_value_is_refused(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    """The committer's own leaf changes by the path and never by a proposal."""
    alice, bob, _ = people
    leaf = alice.group._state.epoch.tree.leaf(0)
    commit = careless_commit(alice, [UpdateProposal(leaf)], monkeypatch)
    with pytest.raises(InvalidProposal, match="its own committer"):
        bob.take(commit)


def test_our_own_commits_are_checked_as_well(people: People) -> None:
    alice, _, _ = people
    before = alice.group.to_bytes()
    bad: list[list[Proposal]] = [
        [RemoveProposal(alice.group.own_leaf)],
        [RemoveProposal(7)],
        [external_psk()],
        [add(people[1])],
        [ReInitProposal(b"new", 1, 1, ())],
    ]
    for proposals in bad:
        with pytest.raises(MlsError):
            alice.group.commit(proposals=proposals, random=alice.random, check=accept, now_s=NOW_S)
        assert alice.group.to_bytes() == before
        assert alice.group.staged is None


def test_a_key_package_of_another_suite_is_refused(people: People) -> None:
    alice, _, _ = people
    package = replace(Person("dave").bundle.package, cipher_suite=suite(3).id)
    with pytest.raises(InvalidProposal):
        alice.group.commit(proposals=[AddProposal(package)], random=alice.random, check=accept, now_s=NOW_S)


# --- by reference -------------------------------------------------------------------------------------------------


def tell(message: bytes, *others: Person) -> None:
    for person in others:
        assert isinstance(person.take(message), ProposalStored)


def test_a_replayed_proposal_is_refused(people: People) -> None:
    alice, bob, _ = people
    message = alice.group.propose_update(random=alice.random, check=accept, now_s=NOW_S)
    tell(message, bob)
    refuses(bob, message, Replayed)


def test_a_commit_of_a_proposal_not_received_is_refused(people: People) -> None:
    alice, bob, carol = people
    tell(alice.group.propose_update(random=alice.random, check=accept, now_s=NOW_S), bob)
    refuses(carol, bob.commit().commit, UnknownProposal)


def test_a_member_leaves_by_proposing_its_own_removal(people: People) -> None:
    alice, bob, carol = people
    leaving = carol.group.propose_remove(carol.group.own_leaf, random=carol.random, check=accept, now_s=NOW_S)
    tell(leaving, alice, bob)
    staged = bob.commit()
    assert [member.identity for member in staged.removed] == [b"carol"]
    bob.group.merge_staged()
    alice.take(staged.commit)
    event = carol.take(staged.commit)
    assert isinstance(event, CommitApplied)
    assert event.self_removed
    agree(alice, bob)


def test_a_removal_wins_over_an_update_of_the_same_leaf(people: People) -> None:
    alice, bob, carol = people
    tell(carol.group.propose_update(random=carol.random, check=accept, now_s=NOW_S), alice, bob)
    leaf = carol.group.own_leaf
    tell(bob.group.propose_remove(leaf, random=bob.random, check=accept, now_s=NOW_S), alice, carol)
    staged = alice.commit()
    assert [member.identity for member in staged.removed] == [b"carol"]
    bob.take(staged.commit)
    alice.group.merge_staged()
    agree(alice, bob)


def test_pending_proposals_that_clash_or_ran_out_do_not_block(people: People) -> None:
    alice, bob, carol = people
    dave = Person("dave")
    for proposer in (alice, bob):
        message = proposer.group.propose_add(
            dave.bundle.key_package, random=proposer.random, check=accept, now_s=NOW_S
        )
        tell(message, *(person for person in people if person is not proposer))
    assert [member.identity for member in carol.commit().added] == [b"dave"]
    carol.group.discard_staged()
    late = carol.group.commit(random=carol.random, check=accept, now_s=NOW_S + 10 * 86_400)
    assert late.added == ()
    carol.group.discard_staged()

    def nobody_new(identity: bytes, signature_key: bytes, use: CredentialUse) -> None:
        if use is CredentialUse.ADD:
            raise CredentialRefused("revoked in the meantime")

    assert carol.group.commit(random=carol.random, check=nobody_new, now_s=NOW_S).added == ()


@pytest.mark.promise("CANNOT-FORGE")
@pytest.mark.parametrize("by", ["update", "commit"])
def test_a_member_cannot_become_somebody_else(people: People, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob, _ = people
    tree = alice.group._state.epoch.tree
    tree.leaves[0] = replace(tree.leaf(0), credential=Credential(b"bob"))
    if by == "commit":
        refuses(bob, alice.commit().commit, InvalidCommit)
        return
    monkeypatch.setattr(proposing, "check_proposal", lambda *given: None)
    refuses(bob, alice.group.propose_update(random=alice.random, check=accept, now_s=NOW_S), InvalidProposal)


@pytest.mark.promise("CANNOT-FORGE")
@pytest.mark.parametrize("use", [CredentialUse.ADD, CredentialUse.UPDATE])
def test_a_proposed_leaf_is_shown_to_the_application(people: People, use: CredentialUse) -> None:
    alice, bob, _ = people
    ways: dict[str, Any] = {"random": alice.random, "check": accept, "now_s": NOW_S}
    package = Person("dave").bundle.key_package
    message = (
        alice.group.propose_add(package, **ways) if use is CredentialUse.ADD else alice.group.propose_update(**ways)
    )

    def check(identity: bytes, signature_key: bytes, why: CredentialUse) -> None:
        if why is use:
            raise CredentialRefused("no")

    before = bob.group.to_bytes()
    with pytest.raises(CredentialRefused):
        bob.group.process(message, check=check, now_s=NOW_S)
    assert bob.group.to_bytes() == before


# --- external commits ---------------------------------------------------------------------------------------------


@pytest.mark.promise("CANNOT-FORGE")
def test_an_external_joiner_removes_nobody_but_itself(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob, _ = people
    mallory = Person("mallory")
    monkeypatch.setattr(joining_external, "_leaf_of", lambda members, identity: 2)
    joined = Group.join_external(
        alice.group.group_info(),
        identity=mallory.name,
        signature_key=mallory.key,
        random=mallory.random,
        check=accept,
        replace_own_leaf=True,
    )
    refuses(bob, joined.commit, InvalidCommit)


@pytest.mark.promise("CANNOT-FORGE")
def test_an_external_joiner_is_shown_to_the_application(people: People) -> None:
    alice, bob, _ = people
    dave = Person("dave")
    joined = Group.join_external(
        alice.group.group_info(), identity=dave.name, signature_key=dave.key, random=dave.random, check=accept
    )

    def check(identity: bytes, signature_key: bytes, use: CredentialUse) -> None:
        assert (identity, use) == (b"dave", CredentialUse.EXTERNAL)
        raise CredentialRefused("no")

    before = bob.group.to_bytes()
    with pytest.raises(CredentialRefused):
        bob.group.process(joined.commit, check=check, now_s=NOW_S)
    assert bob.group.to_bytes() == before


def test_a_group_info_without_a_key_lets_nobody_in(people: People) -> None:
    dave = Person("dave")
    with pytest.raises(MlsError):
        Group.join_external(
            people[0].group.group_info(external=False),
            identity=dave.name,
            signature_key=dave.key,
            random=dave.random,
            check=accept,
        )


def test_changing_the_extensions_reaches_everybody(people: People) -> None:
    alice, bob, carol = people
    wanted = GroupContextExtensionsProposal((Extension(0x000A, b""),))
    staged = alice.group.commit(proposals=[wanted], random=alice.random, check=accept, now_s=NOW_S)
    alice.group.merge_staged()
    for person in (bob, carol):
        person.take(staged.commit)
        assert person.group.extensions == wanted.extensions
    agree(alice, bob, carol)
    assert alice.group.cipher_suite is CIPHER_SUITE_DEFAULT
