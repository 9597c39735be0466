"""Leaves, paths and Welcomes that a modified client could make are refused (RFC 9420 sections 7.3, 7.5, 12.4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ringthrough.e2ee.mls import (
    CIPHER_SUITE_DEFAULT,
    AddProposal,
    CommitApplied,
    Extension,
    Group,
    GroupContextExtensionsProposal,
    InvalidCommit,
    InvalidKeyPackage,
    InvalidLeafNode,
    InvalidMac,
    InvalidProposal,
    InvalidSignature,
    InvalidWelcome,
    KeyPackage,
    MlsError,
    PreSharedKeyId,
    Unsupported,
    committing,
    hpke_generate,
    joining_external,
    proposal_list,
    proposing,
    treekem,
)
from ringthrough.e2ee.mls.commits import Commit
from ringthrough.e2ee.mls.extensions import REQUIRED_CAPABILITIES, Capabilities, RequiredCapabilities
from ringthrough.e2ee.mls.leaf_node import LeafNode, LeafNodeSource
from ringthrough.e2ee.mls.proposals import UpdateProposal
from ringthrough.e2ee.mls.psk import PskType, ResumptionUsage
from ringthrough.e2ee.mls.welcome import GroupSecrets

from .people import NOW_S, Person, accept, together

CS = CIPHER_SUITE_DEFAULT
RARE = Extension(0x000A, b"")
"""An extension that `bare` people do not support."""
POOR = Capabilities((1,), (CS.id,), (), (), (1,))
OTHER_SUITE = Capabilities((1,), (3,), (), (), (1,))

People = tuple[Person, Person, Person]
Change = Callable[[LeafNode, LeafNode, Person], LeafNode]
"""(the genuine new leaf, the old one, its owner) to the leaf that is sent."""


def bare(name: str) -> Person:
    """Somebody whose leaf supports nothing but the standard."""
    person = Person(name)
    leaf = replace(person.bundle.package.leaf_node, capabilities=POOR).signed(CS, person.key.private)
    package = replace(person.bundle.package, leaf_node=leaf, signature=b"")
    signature = CS.sign_with_label(person.key.private, "KeyPackageTBS", package.unsigned)
    person.bundle = replace(person.bundle, package=replace(package, signature=signature))
    return person


@pytest.fixture
def people() -> People:
    trio = (Person("alice"), Person("bob"), bare("carol"))
    together(*trio)
    return trio


def refuses(person: Person, message: bytes, error: type[MlsError], why: str) -> None:
    before = person.group.to_bytes()
    with pytest.raises(error, match=why):
        person.take(message)
    assert person.group.to_bytes() == before


def signed(leaf: LeafNode, owner: Person) -> LeafNode:
    return replace(leaf, signature=b"").signed(CS, owner.key.private, b"group", owner.group.own_leaf)


BAD_LEAVES: dict[str, tuple[Change, type[MlsError], str]] = {
    "not signed": (lambda new, _, __: replace(new, signature=bytes(64)), InvalidSignature, "verify"),
    "of another source": (
        lambda new, _, owner: signed(replace(new, source=_other(new.source), parent_hash=b""), owner),
        MlsError,
        "source|elsewhere",
    ),
    "with the old key": (
        lambda new, old, owner: signed(replace(new, encryption_key=old.encryption_key), owner),
        MlsError,
        "keeps the",
    ),
    "of another suite": (
        lambda new, _, owner: signed(replace(new, capabilities=OTHER_SUITE), owner),
        InvalidLeafNode,
        "cipher suite",
    ),
    "with an extension it does not list": (
        lambda new, _, owner: signed(replace(new, extensions=(Extension(0xF123, b""),)), owner),
        InvalidLeafNode,
        "does not list",
    ),
}


def _other(source: LeafNodeSource) -> LeafNodeSource:
    return LeafNodeSource.UPDATE if source is LeafNodeSource.COMMIT else LeafNodeSource.COMMIT


@pytest.mark.promise("CANNOT-FORGE")
@pytest.mark.parametrize("name", BAD_LEAVES)
def test_a_committer_with_a_bad_leaf_is_refused(people: People, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    change, error, why = BAD_LEAVES[name]
    refuses(people[1], commit_with_leaf(people[0], change, monkeypatch), error, why)


@pytest.mark.promise("CANNOT-FORGE")
def test_a_wrong_parent_hash_is_refused(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(new: LeafNode, _: LeafNode, owner: Person) -> LeafNode:
        return signed(replace(new, parent_hash=bytes(32)), owner)

    refuses(people[1], commit_with_leaf(people[0], change, monkeypatch), InvalidCommit, "parent hash")


def commit_with_leaf(person: Person, change: Change, monkeypatch: pytest.MonkeyPatch) -> bytes:
    old = person.group._state.epoch.tree.leaf(person.group.own_leaf)

    def set_new_path(tree: Any, index: int, *rest: Any) -> Any:
        made = treekem.set_new_path(tree, index, *rest)
        leaf = change(made.leaf, old, person)
        tree.set_leaf(index, leaf)
        return replace(made, leaf=leaf)

    monkeypatch.setattr(committing, "set_new_path", set_new_path)
    return person.commit().commit


@pytest.mark.promise("CANNOT-FORGE")
@pytest.mark.parametrize("name", BAD_LEAVES)
def test_an_update_with_a_bad_leaf_is_refused(people: People, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob, _ = people
    change, error, why = BAD_LEAVES[name]
    old = alice.group._state.epoch.tree.leaf(0)
    new = replace(
        old,
        encryption_key=hpke_generate(CS, alice.random).public,
        source=LeafNodeSource.UPDATE,
        lifetime=None,
    )
    monkeypatch.setattr(proposing, "check_proposal", lambda *given: None)
    update = UpdateProposal(change(signed(new, alice), old, alice))
    message = alice.group.propose(update, random=alice.random, check=accept, now_s=NOW_S)
    refuses(bob, message, error, why)


def repackaged(person: Person, **leaf_fields: Any) -> KeyPackage:
    """The person's key package with other leaf fields, everything signed again unless `signature` is given."""
    package = person.bundle.package
    leaf = replace(package.leaf_node, **leaf_fields)
    if "signature" not in leaf_fields:
        leaf = leaf.signed(CS, person.key.private)
    package = replace(package, leaf_node=leaf, signature=b"")
    signature = CS.sign_with_label(person.key.private, "KeyPackageTBS", package.unsigned)
    return replace(package, signature=signature)


@pytest.mark.promise("CANNOT-FORGE")
def test_a_bad_key_package_is_refused() -> None:
    dave = Person("dave")
    package = dave.bundle.package
    repackaged(dave).verify(NOW_S)
    bad: list[tuple[KeyPackage, type[MlsError]]] = [
        (repackaged(dave, signature=bytes(64)), InvalidSignature),
        (repackaged(dave, encryption_key=package.init_key), InvalidKeyPackage),
        (repackaged(dave, source=LeafNodeSource.UPDATE, lifetime=None), InvalidKeyPackage),
        (repackaged(dave, capabilities=OTHER_SUITE), InvalidLeafNode),
        (replace(package, signature=bytes(64)), InvalidSignature),
        (replace(package, version=2), Unsupported),
        (replace(package, cipher_suite=9), Unsupported),
    ]
    for wrong, error in bad:
        with pytest.raises(error):
            wrong.verify(NOW_S)


# --- the path -----------------------------------------------------------------------------------------------------


@pytest.mark.promise("CANNOT-FORGE")
def test_a_path_with_a_ciphertext_too_many_is_refused(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    def encrypt_path(*given: Any) -> Any:
        path = treekem.encrypt_path(*given)
        nodes = tuple(replace(node, encrypted_path_secret=node.encrypted_path_secret * 2) for node in path.nodes)
        return replace(path, nodes=nodes)

    monkeypatch.setattr(committing, "encrypt_path", encrypt_path)
    refuses(people[1], people[0].commit().commit, InvalidCommit, "one ciphertext for each")


@pytest.mark.promise("CANNOT-FORGE")
def test_a_path_with_a_node_too_few_is_refused(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    def encrypt_path(*given: Any) -> Any:
        path = treekem.encrypt_path(*given)
        return replace(path, nodes=path.nodes[:-1])

    monkeypatch.setattr(committing, "encrypt_path", encrypt_path)
    refuses(people[1], people[0].commit().commit, InvalidCommit, "filtered direct path")


@pytest.mark.promise("CANNOT-FORGE")
def test_a_path_secret_for_another_key_is_refused(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    def encrypt_path(tree: Any, index: int, path: Any, *rest: Any) -> Any:
        wrong = {node: bytes(32) for node in path.path_secrets}
        return treekem.encrypt_path(tree, index, replace(path, path_secrets=wrong), *rest)

    monkeypatch.setattr(committing, "encrypt_path", encrypt_path)
    refuses(people[1], people[0].commit().commit, InvalidCommit, "public key in the tree")


# --- what members support -----------------------------------------------------------------------------------------


def careless(monkeypatch: pytest.MonkeyPatch) -> None:
    """The committer does not look at capabilities."""
    monkeypatch.setattr(LeafNode, "check_capabilities", lambda *given: None)


def test_an_extension_that_one_member_lacks_is_refused(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob, _ = people
    wanted = GroupContextExtensionsProposal((RARE,))
    ways: dict[str, Any] = {"random": alice.random, "check": accept, "now_s": NOW_S}
    with pytest.raises(InvalidLeafNode):
        alice.group.commit(proposals=[wanted], **ways)
    careless(monkeypatch)
    staged = alice.group.commit(proposals=[wanted], add=[Person("dave").bundle.key_package], **ways)
    monkeypatch.undo()
    refuses(bob, staged.commit, InvalidLeafNode, "extension of the group")


@pytest.mark.parametrize(
    "extension",
    [RARE, Extension(REQUIRED_CAPABILITIES, RequiredCapabilities((RARE.type,), (), ()).encode())],
    ids=["extension", "required capabilities"],
)
def test_a_newcomer_that_lacks_an_extension_is_refused(extension: Extension, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob, carol, dave = Person("alice"), Person("bob"), bare("carol"), Person("dave")
    alice.group = Group.create(CS, b"group", alice.bundle, random=alice.random, extensions=(extension,))
    welcome = alice.commit(add=(bob,)).welcome
    alice.group.merge_staged()
    assert welcome is not None
    bob.join(welcome)
    with pytest.raises(InvalidLeafNode):
        alice.commit(add=(carol,))
    careless(monkeypatch)
    staged = alice.commit(add=(carol, dave))
    monkeypatch.undo()
    refuses(bob, staged.commit, InvalidLeafNode, "extension of the group|required capabilities")
    assert staged.welcome is not None
    with pytest.raises(InvalidLeafNode):
        dave.join(staged.welcome)


# --- Welcomes -----------------------------------------------------------------------------------------------------


def welcome_for(alice: Person, dave: Person) -> bytes:
    welcome = alice.commit(add=(dave,)).welcome
    assert welcome is not None
    return welcome


@pytest.mark.promise("CANNOT-FORGE")
def test_a_welcome_with_a_wrong_confirmation_tag_is_refused(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine, dave = committing.sign_group_info, Person("dave")
    monkeypatch.setattr(
        committing,
        "sign_group_info",
        lambda epoch, key, **ways: genuine(replace(epoch, confirmation_tag=bytes(32)), key, **ways),
    )
    with pytest.raises(InvalidMac):
        dave.join(welcome_for(people[0], dave))


@pytest.mark.promise("CANNOT-FORGE")
def test_a_welcome_signed_by_a_leaf_that_did_not_is_refused(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine, dave = committing.sign_group_info, Person("dave")
    alice = people[0]

    def by(leaf: int, private: bytes) -> Callable[..., Any]:
        return lambda epoch, key, **ways: genuine(replace(epoch, own_leaf=leaf), private, **ways)

    cases: list[tuple[int, bytes, type[MlsError], str]] = [
        (1, alice.key.private, InvalidSignature, "verify"),
        (3, dave.key.private, InvalidWelcome, "by ourselves"),
        (5, alice.key.private, MlsError, "outside of the tree"),
    ]
    for leaf, private, error, why in cases:
        monkeypatch.setattr(committing, "sign_group_info", by(leaf, private))
        welcome = welcome_for(alice, dave)
        alice.group.discard_staged()
        with pytest.raises(error, match=why):
            dave.join(welcome)


def test_a_welcome_into_a_branch_is_refused(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    dave = Person("dave")
    branch = PreSharedKeyId(PskType.RESUMPTION, bytes(32), b"", ResumptionUsage.BRANCH, b"group", 0)
    monkeypatch.setattr(committing, "GroupSecrets", lambda joiner, path, psks: GroupSecrets(joiner, path, (branch,)))
    with pytest.raises(Unsupported):
        dave.join(welcome_for(people[0], dave))


def test_a_key_package_that_ran_out_is_not_used_to_join(people: People) -> None:
    dave = Person("dave")
    welcome = welcome_for(people[0], dave)
    with pytest.raises(InvalidLeafNode):
        Group.join(welcome, [dave.bundle], check=accept, now_s=NOW_S + 10 * 86_400)
    assert Group.join(welcome, [dave.bundle], check=accept, now_s=None).epoch == 2


# --- external commits ---------------------------------------------------------------------------------------------


def enter(host: Person, person: Person, psks: list[tuple[PreSharedKeyId, bytes]]) -> bytes:
    joined = Group.join_external(
        host.group.group_info(),
        identity=person.name,
        signature_key=person.key,
        random=person.random,
        check=accept,
        psks=psks,
    )
    return joined.commit


@pytest.mark.promise("CANNOT-FORGE")
def test_an_external_joiner_brings_nobody_along(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    mallory, friend = Person("mallory"), Person("friend")
    psk = PreSharedKeyId(PskType.EXTERNAL, bytes(32), b"name")
    monkeypatch.setattr(proposal_list, "_check_external_list", lambda *given: None)
    monkeypatch.setattr(joining_external, "PskProposal", lambda _: AddProposal(friend.bundle.package))
    commit = enter(people[1], mallory, [(psk, b"value")])
    monkeypatch.undo()
    refuses(people[1], commit, InvalidProposal, "external commit")


@pytest.mark.promise("CANNOT-FORGE")
def test_an_external_joiner_commits_no_proposal_of_members(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob, _ = people
    bob.take(alice.group.propose_remove(2, random=alice.random, check=accept, now_s=NOW_S))
    reference = next(iter(bob.group._state.pending))
    monkeypatch.setattr(joining_external, "Commit", lambda proposals, path: Commit((*proposals, reference), path))
    commit = enter(bob, Person("mallory"), [])
    monkeypatch.undo()
    refuses(bob, commit, InvalidCommit, "references a proposal")


def test_an_external_joiner_may_bring_a_pre_shared_key(people: People) -> None:
    dave = Person("dave")
    psk = PreSharedKeyId(PskType.EXTERNAL, bytes(32), b"name")
    commit = enter(people[1], dave, [(psk, b"value")])
    people[1].group.add_psk(b"name", b"value")
    assert isinstance(people[1].take(commit), CommitApplied)
    people[0].group.add_psk(b"name", b"another value")
    refuses(people[0], commit, InvalidMac, "confirmation")
