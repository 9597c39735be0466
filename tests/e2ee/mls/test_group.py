"""Staging, retention, padding and storage of a group, seen from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringthrough.e2ee.mls import (
    CIPHER_SUITE_DEFAULT,
    ApplicationMessage,
    CommitStaged,
    Group,
    InvalidMac,
    InvalidMessage,
    InvalidSignature,
    InvalidTree,
    InvalidWelcome,
    KeyPackageBundle,
    LimitExceeded,
    MlsError,
    NotActive,
    NothingStaged,
    OwnMessage,
    Replayed,
    Retention,
    Unsupported,
    WireFormat,
    WrongEpoch,
    limits,
    suite,
)
from ringthrough.e2ee.mls.codec import varint_size
from ringthrough.e2ee.mls.framing import AuthenticatedContent
from ringthrough.e2ee.mls.message_protection import padding_for
from ringthrough.e2ee.mls.secret_tree import RatchetKind

from .people import NOW_S, Person, accept, agree, together


@pytest.fixture
def pair() -> tuple[Person, Person]:
    alice, bob = Person("alice"), Person("bob")
    together(alice, bob)
    return alice, bob


# --- staged commits -----------------------------------------------------------------------------------------------


def test_only_our_staged_commit_counts_as_accepted(pair: tuple[Person, Person]) -> None:
    """Another member can name our leaf as the sender; that must never make us merge."""
    alice, bob = pair
    staged = alice.commit()
    with pytest.raises(OwnMessage) as caught:
        alice.take(staged.commit + bytes(100))
    assert caught.value.is_staged_commit
    forger = Group.from_bytes(alice.group.to_bytes())
    forger.discard_staged()
    other = forger.commit(random=bob.random, check=accept, now_s=NOW_S)
    with pytest.raises(OwnMessage) as caught:
        alice.take(other.commit)
    assert not caught.value.is_staged_commit


def test_one_commit_is_staged_at_a_time(pair: tuple[Person, Person]) -> None:
    alice, _ = pair
    staged = alice.commit()
    with pytest.raises(CommitStaged):
        alice.commit()
    assert alice.group.staged is staged
    alice.group.discard_staged()
    for call in (alice.group.discard_staged, alice.group.merge_staged):
        with pytest.raises(NothingStaged):
            call()


def test_the_next_epoch_exports_before_it_begins(pair: tuple[Person, Person]) -> None:
    alice, bob = pair
    now = alice.group.export("stream", b"", 32)
    staged = alice.commit()
    after = staged.export("stream", b"", 32)
    assert after != now == alice.group.export("stream", b"", 32)
    bob.take(staged.commit)
    alice.group.merge_staged()
    assert alice.group.export("stream", b"", 32) == bob.group.export("stream", b"", 32) == after
    assert bob.group.export("stream", b"x", 32) != after != bob.group.export("other", b"", 32)


def test_messages_flow_while_a_commit_is_staged(pair: tuple[Person, Person]) -> None:
    alice, bob = pair
    alice.commit()
    assert bob.hears(alice.say(b"still here")) == b"still here"
    assert alice.hears(bob.say(b"me too")) == b"me too"


def test_handshakes_may_be_public_or_private(pair: tuple[Person, Person]) -> None:
    alice, bob = pair
    for wire_format in (WireFormat.PUBLIC_MESSAGE, WireFormat.PRIVATE_MESSAGE):
        staged = alice.group.commit(random=alice.random, check=accept, now_s=NOW_S, wire_format=wire_format)
        bob.take(staged.commit)
        alice.group.merge_staged()
        agree(alice, bob)


@pytest.mark.promise("CANNOT-FORGE")
def test_a_public_commit_without_the_members_key_is_refused(pair: tuple[Person, Person]) -> None:
    """The last 32 bytes are the membership tag: an outsider with a stolen signature key cannot make it."""
    alice, bob = pair
    staged = alice.group.commit(random=alice.random, check=accept, now_s=NOW_S, wire_format=WireFormat.PUBLIC_MESSAGE)
    before = bob.group.to_bytes()
    with pytest.raises(InvalidMac):
        bob.take(staged.commit[:-32] + bytes(32))
    assert bob.group.to_bytes() == before


# --- retention ----------------------------------------------------------------------------------------------------


def next_epochs(count: int, committer: Person, *others: Person) -> None:
    for _ in range(count):
        staged = committer.commit()
        committer.group.merge_staged()
        for person in others:
            person.take(staged.commit)


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
def test_past_epochs_are_read_for_as_long_as_they_are_kept(pair: tuple[Person, Person]) -> None:
    alice, bob = pair
    early, late = alice.say(b"early"), alice.say(b"late")
    next_epochs(limits.PAST_EPOCHS_DEFAULT, alice, bob)
    assert bob.hears(early) == b"early"
    next_epochs(1, alice, bob)
    with pytest.raises(WrongEpoch) as caught:
        bob.take(late)
    assert caught.value.epoch == 1


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
def test_our_own_keys_of_a_past_epoch_are_gone(pair: tuple[Person, Person]) -> None:
    """Whoever copies our state later reads nothing that we sent before."""
    alice, bob = pair
    message = alice.say(b"mine")
    next_epochs(1, bob, alice)
    tree = alice.group._state.past[0].secret_tree
    for kind in RatchetKind:
        with pytest.raises(Replayed):
            tree.find_key(alice.group.own_leaf, kind, 0, Retention().window)
    with pytest.raises(OwnMessage):
        alice.take(message)


def test_retention_is_the_readers_choice() -> None:
    alice, bob = Person("alice"), Person("bob")
    alice.create()
    staged = alice.commit(add=(bob,))
    alice.group.merge_staged()
    assert staged.welcome is not None
    none = Retention(past_epochs_max=0, skipped_generations_max=1, forward_ratchet_max=3)
    bob.group = Group.join(staged.welcome, [bob.bundle], check=accept, now_s=NOW_S, retention=none)
    messages = [alice.say(b"%d" % number) for number in range(6)]
    bob.reload()
    with pytest.raises(MlsError):
        bob.take(messages[4])
    assert bob.hears(messages[3]) == b"3"
    assert bob.hears(messages[2]) == b"2"
    with pytest.raises(MlsError):
        bob.take(messages[1])
    next_epochs(1, alice, bob)
    with pytest.raises(WrongEpoch):
        bob.take(messages[4])


def test_a_late_message_names_who_had_the_leaf_then() -> None:
    """The leaf is taken over by somebody else before the message is read."""
    alice, bob, carol, dave = (Person(name) for name in ("alice", "bob", "carol", "dave"))
    together(alice, bob, carol)
    message = carol.say(b"from carol")
    leaf = carol.group.own_leaf
    for change in ({"remove": (carol,)}, {"add": (dave,)}):
        staged = alice.commit(**change)
        alice.group.merge_staged()
        bob.take(staged.commit)
    assert bob.group.members[leaf].identity == b"dave"
    bob.reload()
    event = bob.take(message)
    assert isinstance(event, ApplicationMessage)
    assert (event.sender.identity, event.epoch, event.data) == (b"carol", 1, b"from carol")


# --- padding ------------------------------------------------------------------------------------------------------


@given(st.integers(17, 20_000), st.integers(0, 40_000), st.integers(40, 300))
def test_padding_reaches_the_length_or_the_next_one(ciphertext: int, wanted: int, around: int) -> None:
    unpadded = around + varint_size(ciphertext) + ciphertext
    padding = padding_for(unpadded, ciphertext, wanted)
    assert padding >= 0

    def total(extra: int) -> int:
        return around + varint_size(ciphertext + extra) + ciphertext + extra

    assert total(padding) >= min(wanted, total(padding))
    if wanted >= unpadded:
        assert total(padding) >= wanted
        assert padding == 0 or total(padding - 1) < wanted
    else:
        assert padding == 0


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.integers(1, 700))
def test_messages_of_any_length_come_padded(data: bytes, wanted: int) -> None:
    alice, bob = Person("alice"), Person("bob")
    together(alice, bob)
    bare = len(alice.group.protect(data, random=alice.random))
    message = alice.group.protect(data, random=alice.random, pad=lambda size: max(size, wanted))
    assert max(bare, wanted) <= len(message) <= max(bare, wanted) + 2
    assert bob.hears(message + bytes(7)) == data


def test_commits_are_padded_too(pair: tuple[Person, Person]) -> None:
    alice, bob = pair
    staged = alice.group.commit(random=alice.random, check=accept, now_s=NOW_S, pad=lambda size: 4096)
    assert len(staged.commit) == 4096
    bob.take(staged.commit)


def test_padding_inside_a_message_is_zero(pair: tuple[Person, Person], monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a sender could hide bytes in it that no signature covers."""
    alice, bob = pair
    genuine = AuthenticatedContent.encode_auth
    monkeypatch.setattr(AuthenticatedContent, "encode_auth", lambda content: genuine(content) + b"\x00\x01")
    message = alice.say(b"x")
    monkeypatch.undo()
    with pytest.raises(InvalidMessage):
        bob.take(message)


def test_nothing_but_zeros_may_follow_a_message(pair: tuple[Person, Person]) -> None:
    alice, bob = pair
    message = alice.say(b"x")
    with pytest.raises(InvalidMessage):
        bob.take(message + b"\x00\x01")
    assert bob.hears(message + b"\x00\x00") == b"x"


# --- joining ------------------------------------------------------------------------------------------------------


def test_the_tree_may_come_beside_the_welcome() -> None:
    alice, bob = Person("alice"), Person("bob")
    alice.create()
    staged = alice.group.commit(
        add=[bob.bundle.key_package], random=alice.random, check=accept, now_s=NOW_S, include_tree=False
    )
    alice.group.merge_staged()
    assert staged.welcome is not None
    with pytest.raises(InvalidWelcome):
        bob.join(staged.welcome)
    stranger = Person("stranger")
    stranger.create()
    for wrong in (stranger.group.ratchet_tree(), b""):
        with pytest.raises(MlsError):
            Group.join(staged.welcome, [bob.bundle], check=accept, now_s=NOW_S, ratchet_tree=wrong)
    tree = alice.group.ratchet_tree()
    bob.group = Group.join(staged.welcome, [bob.bundle], check=accept, now_s=NOW_S, ratchet_tree=tree)
    agree(alice, bob)


@pytest.mark.promise("CANNOT-FORGE")
def test_a_group_info_signed_by_another_than_its_signer_is_refused(pair: tuple[Person, Person]) -> None:
    alice, bob = pair
    alice.group._state.signature_private = bob.bundle.signature_private
    dave = Person("dave")
    with pytest.raises(InvalidSignature):
        Group.join_external(
            alice.group.group_info(), identity=b"dave", signature_key=dave.key, random=dave.random, check=accept
        )


@pytest.mark.promise("CANNOT-FORGE")
def test_a_group_info_with_the_tree_of_another_epoch_is_refused(pair: tuple[Person, Person]) -> None:
    alice, bob = pair
    old = alice.group.ratchet_tree()
    next_epochs(1, alice, bob)
    dave = Person("dave")
    with pytest.raises(InvalidTree):
        Group.join_external(
            alice.group.group_info(include_tree=False),
            identity=b"dave",
            signature_key=dave.key,
            random=dave.random,
            check=accept,
            ratchet_tree=old,
        )


# --- storage ------------------------------------------------------------------------------------------------------


def test_a_stored_key_package_is_usable(pair: tuple[Person, Person]) -> None:
    alice, _ = pair
    dave = Person("dave")
    dave.bundle = KeyPackageBundle.from_bytes(dave.bundle.to_bytes())
    staged = alice.commit(add=(dave,))
    alice.group.merge_staged()
    assert staged.welcome is not None
    dave.join(staged.welcome)
    agree(alice, dave)


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
def test_a_removed_member_keeps_no_secret(pair: tuple[Person, Person]) -> None:
    alice, bob = pair
    bob.group.add_psk(b"name", b"\x5a" * 32)
    epoch = bob.group._state.epoch
    secrets = [
        *epoch.private_keys.values(),
        *epoch.secret_tree.nodes.values(),
        epoch.secrets.exporter_secret,
        b"\x5a" * 32,
    ]
    assert all(secret in bob.group.to_bytes() for secret in secrets)
    staged = alice.commit(remove=(bob,))
    bob.take(staged.commit)
    stored = bob.group.to_bytes()
    assert not any(secret in stored for secret in secrets)
    assert not Group.from_bytes(stored).is_active
    ways: dict[str, Any] = {"random": bob.random, "check": accept, "now_s": NOW_S}
    calls: list[Callable[[], object]] = [
        lambda: bob.group.commit(**ways),
        lambda: bob.group.propose_update(**ways),
        lambda: bob.group.propose_remove(0, **ways),
        lambda: bob.group.export("label", b"", 16),
        lambda: bob.say(b"x"),
        lambda: bob.take(alice.say(b"x")),
        bob.group.group_info,
    ]
    for call in calls:
        with pytest.raises(NotActive):
            call()


def test_a_state_of_another_version_is_refused(pair: tuple[Person, Person]) -> None:
    stored = pair[0].group.to_bytes()
    with pytest.raises(Unsupported):
        Group.from_bytes(b"\xff" + stored[1:])
    for end in range(0, len(stored), 7):
        with pytest.raises(MlsError):
            Group.from_bytes(stored[:end])


def test_secrets_are_not_shown(pair: tuple[Person, Person]) -> None:
    alice, _ = pair
    alice.commit()
    shown = repr(alice.group) + repr(alice.group._state) + repr(alice.bundle)
    epoch = alice.group._state.epoch
    for secret in (
        *epoch.private_keys.values(),
        epoch.secrets.exporter_secret,
        epoch.secrets.init_secret,
        alice.bundle.signature_private,
        alice.bundle.init_private,
    ):
        assert repr(secret)[2:-1] not in shown


# --- limits -------------------------------------------------------------------------------------------------------


def test_what_is_too_large_is_refused(pair: tuple[Person, Person]) -> None:
    alice, bob = pair
    with pytest.raises(LimitExceeded):
        alice.say(bytes(limits.APPLICATION_DATA_BYTES_MAX + 1))
    with pytest.raises(LimitExceeded):
        alice.group.protect(b"", aad=bytes(limits.AUTHENTICATED_DATA_BYTES_MAX + 1), random=alice.random)
    with pytest.raises(LimitExceeded):
        bob.take(bytes(limits.MESSAGE_BYTES_MAX + 1))
    with pytest.raises(LimitExceeded):
        alice.group.export("label", b"", limits.EXPORT_BYTES_MAX + 1)
    with pytest.raises(LimitExceeded):
        Group.create(CIPHER_SUITE_DEFAULT, bytes(limits.GROUP_ID_BYTES_MAX + 1), alice.bundle, random=alice.random)
    with pytest.raises(LimitExceeded):
        alice.group.protect(b"", random=alice.random, pad=lambda size: limits.MESSAGE_BYTES_MAX + 1)


def test_a_group_has_the_suite_of_its_founder() -> None:
    with pytest.raises(MlsError):
        Group.create(suite(3), b"group", Person("alice").bundle, random=Person("alice").random)
