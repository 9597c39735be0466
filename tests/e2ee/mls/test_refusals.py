"""What the core must refuse, always with an `MlsError` and with the group exactly as it was before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringthrough.e2ee.mls import (
    CommitApplied,
    CredentialRefused,
    CredentialUse,
    Group,
    InvalidCommit,
    InvalidMac,
    InvalidSignature,
    KeyPackageBundle,
    MlsError,
    NoMatchingKeyPackage,
    NotActive,
    OwnMessage,
    RemoveProposal,
    Replayed,
    WireFormat,
    WrongEpoch,
    WrongGroup,
    message_protection,
    parse_key_package,
    proposal_list,
)

from .people import NOW_S, Person, accept, agree, together

COMMITTING = "ringthrough.e2ee.mls.committing"
FLIPS = (0x01, 0x80)
"""Two bits of every byte."""


@pytest.fixture
def people() -> tuple[Person, Person, Person]:
    alice, bob, carol = Person("alice"), Person("bob"), Person("carol")
    together(alice, bob, carol)
    return alice, bob, carol


def damaged(message: bytes) -> Iterator[bytes]:
    """The message with one bit flipped, for two bits of each byte."""
    for place in range(len(message)):
        for flip in FLIPS:
            yield message[:place] + bytes([message[place] ^ flip]) + message[place + 1 :]


def refuses(person: Person, message: bytes, error: type[MlsError] = MlsError) -> None:
    """The message is refused and changes nothing."""
    before = person.group.to_bytes()
    with pytest.raises(error):
        person.take(message)
    assert person.group.to_bytes() == before


@pytest.mark.promise("CANNOT-FORGE")
def test_every_flipped_bit_of_a_message_is_refused(people: tuple[Person, Person, Person]) -> None:
    alice, bob, _ = people
    message = alice.say(b"meet at nine")
    for bad in damaged(message):
        refuses(bob, bad)
    assert bob.hears(message) == b"meet at nine"


@pytest.mark.promise("CANNOT-FORGE")
def test_every_flipped_bit_of_a_commit_is_refused(people: tuple[Person, Person, Person]) -> None:
    alice, bob, carol = people
    staged = alice.commit(add=(Person("dave"),))
    for bad in damaged(staged.commit):
        refuses(bob, bad)
    alice.group.merge_staged()
    bob.take(staged.commit)
    carol.take(staged.commit)
    agree(alice, bob, carol)


@pytest.mark.promise("CANNOT-FORGE")
def test_every_flipped_bit_of_a_public_commit_is_refused(people: tuple[Person, Person, Person]) -> None:
    """External commits are public messages."""
    alice, bob, carol = people
    dave = Person("dave")
    info = alice.group.group_info()
    joined = Group.join_external(info, identity=dave.name, signature_key=dave.key, random=dave.random, check=accept)
    for bad in damaged(joined.commit):
        refuses(bob, bad)
    for person in people:
        person.take(joined.commit)
    dave.group = joined.group
    agree(alice, bob, carol, dave)


@pytest.mark.promise("CANNOT-FORGE")
def test_every_flipped_bit_of_a_welcome_is_refused(people: tuple[Person, Person, Person]) -> None:
    alice, _, _ = people
    dave = Person("dave")
    welcome = alice.commit(add=(dave,)).welcome
    assert welcome is not None
    alice.group.merge_staged()
    for bad in damaged(welcome):
        with pytest.raises(MlsError):
            Group.join(bad, [dave.bundle], check=accept, now_s=NOW_S)
    dave.join(welcome)
    agree(alice, dave)


@pytest.mark.promise("CANNOT-FORGE")
def test_a_member_cannot_speak_as_another(people: tuple[Person, Person, Person]) -> None:
    """Mallory, who has all of the group's secrets, signs as herself but claims Alice's leaf."""
    alice, bob, mallory = people
    state = mallory.group._state
    state.epoch = replace(state.epoch, own_leaf=alice.group.own_leaf)
    forged = mallory.say(b"I am Alice")
    refuses(bob, forged, InvalidSignature)


@pytest.mark.promise("CANNOT-FORGE")
def test_a_member_cannot_speak_as_another_in_a_past_epoch(people: tuple[Person, Person, Person]) -> None:
    alice, bob, mallory = people
    state = mallory.group._state
    state.epoch = replace(state.epoch, own_leaf=alice.group.own_leaf)
    forged = mallory.say(b"I was Alice")
    staged = alice.commit()
    alice.group.merge_staged()
    bob.take(staged.commit)
    refuses(bob, forged, InvalidSignature)


@pytest.mark.promise("CANNOT-FORGE")
@pytest.mark.parametrize("wire_format", [WireFormat.PUBLIC_MESSAGE, WireFormat.PRIVATE_MESSAGE])
def test_a_member_cannot_propose_as_another(people: tuple[Person, Person, Person], wire_format: WireFormat) -> None:
    """Its membership tag, or its encryption, is right; only the signature can tell."""
    alice, bob, mallory = people
    state = mallory.group._state
    state.epoch = replace(state.epoch, own_leaf=alice.group.own_leaf)
    forged = mallory.group.propose(
        RemoveProposal(bob.group.own_leaf),
        random=mallory.random,
        check=accept,
        now_s=NOW_S,
        wire_format=wire_format,
    )
    refuses(bob, forged, InvalidSignature)


@pytest.mark.promise("CANNOT-FORGE")
def test_an_external_commit_must_be_signed(
    people: tuple[Person, Person, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All else in it is right: the transcript and the confirmation tag are made with the bad signature."""
    _, bob, _ = people
    dave = Person("dave")
    genuine = message_protection.sign

    def unsigned(*given: Any) -> Any:
        return replace(genuine(*given), signature=bytes(64))

    monkeypatch.setattr("ringthrough.e2ee.mls.joining_external.sign", unsigned)
    joined = Group.join_external(
        bob.group.group_info(), identity=dave.name, signature_key=dave.key, random=dave.random, check=accept
    )
    refuses(bob, joined.commit, InvalidSignature)


@pytest.mark.promise("CANNOT-FORGE")
def test_a_replayed_public_proposal_is_refused(people: tuple[Person, Person, Person]) -> None:
    """A public message uses no generation up; its reference tells."""
    alice, bob, _ = people
    message = alice.group.propose(
        RemoveProposal(2),
        random=alice.random,
        check=accept,
        now_s=NOW_S,
        wire_format=WireFormat.PUBLIC_MESSAGE,
    )
    bob.take(message)
    refuses(bob, message, Replayed)


@pytest.mark.promise("CANNOT-FORGE")
def test_a_replayed_message_is_refused(people: tuple[Person, Person, Person]) -> None:
    alice, bob, _ = people
    first, second = alice.say(b"one"), alice.say(b"two")
    assert bob.hears(second) == b"two"
    assert bob.hears(first) == b"one"
    for message in (first, second):
        refuses(bob, message, Replayed)
    bob.reload()
    for message in (first, second):
        refuses(bob, message, Replayed)


@pytest.mark.promise("CANNOT-FORGE")
def test_a_replayed_commit_is_refused(people: tuple[Person, Person, Person]) -> None:
    alice, bob, _ = people
    staged = alice.commit()
    alice.group.merge_staged()
    bob.take(staged.commit)
    refuses(bob, staged.commit, WrongEpoch)


def test_our_own_message_is_told_apart(people: tuple[Person, Person, Person]) -> None:
    alice, _, _ = people
    refuses(alice, alice.say(b"echo"), OwnMessage)


def test_a_message_of_another_group_is_refused(people: tuple[Person, Person, Person]) -> None:
    _, bob, _ = people
    other, friend = Person("other"), Person("friend")
    other.create(b"elsewhere")
    staged = other.commit(add=(friend,))
    other.group.merge_staged()
    assert staged.welcome is not None
    refuses(bob, other.say(b"wrong door"), WrongGroup)


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
def test_a_removed_member_reads_nothing_sent_after(people: tuple[Person, Person, Person]) -> None:
    alice, bob, carol = people
    snapshot = carol.group.to_bytes()
    staged = alice.commit(remove=(carol,))
    alice.group.merge_staged()
    bob.take(staged.commit)
    event = carol.take(staged.commit)
    assert isinstance(event, CommitApplied)
    assert event.self_removed
    assert not carol.group.is_active
    secret = bob.say(b"without carol")
    refuses(carol, secret, NotActive)
    with pytest.raises(NotActive):
        carol.say(b"still here")
    carol.group = Group.from_bytes(snapshot)  # and not either if she refuses to see her removal
    refuses(carol, secret, WrongEpoch)
    assert alice.hears(secret) == b"without carol"


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
def test_a_removal_without_a_path_is_refused(
    people: tuple[Person, Person, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a commit would leave the removed member with the next epoch's secrets (RFC 9420 section 12.4)."""
    alice, bob, carol = people
    genuine = proposal_list.apply_proposals

    def careless(*given: Any) -> Any:
        return replace(genuine(*given), path_required=False)

    leaf = carol.group.own_leaf
    monkeypatch.setattr(f"{COMMITTING}.apply_proposals", careless)
    staged = alice.group.commit(remove=[leaf], random=alice.random, check=accept, now_s=NOW_S, force_path=False)
    monkeypatch.undo()
    refuses(bob, staged.commit, InvalidCommit)


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
def test_a_thief_is_locked_out_after_one_update(people: tuple[Person, Person, Person]) -> None:
    """Whoever copied Bob's state reads on until Bob commits once, and nothing after."""
    alice, bob, carol = people
    thief = Person("thief")
    thief.group = Group.from_bytes(bob.group.to_bytes())
    assert thief.hears(alice.say(b"before")) == b"before"
    staged = bob.commit()
    bob.group.merge_staged()
    for person in (alice, carol):
        person.take(staged.commit)
    with pytest.raises(MlsError):
        thief.take(staged.commit)
    refuses(thief, alice.say(b"after"))


@pytest.mark.promise("CANNOT-FORGE")
@pytest.mark.parametrize("use", [CredentialUse.ADD, CredentialUse.COMMIT, CredentialUse.JOIN])
def test_a_device_that_the_application_does_not_know_is_refused(
    people: tuple[Person, Person, Person], use: CredentialUse
) -> None:
    """The check is asked on every path by which a leaf enters."""
    alice, bob, _ = people
    dave = Person("dave")

    def check(identity: bytes, signature_key: bytes, why: CredentialUse) -> None:
        if why is use:
            raise CredentialRefused("unknown device")

    staged = alice.commit(add=(dave,))
    assert staged.welcome is not None
    if use is CredentialUse.JOIN:
        with pytest.raises(CredentialRefused):
            Group.join(staged.welcome, [dave.bundle], check=check, now_s=NOW_S)
        return
    before = bob.group.to_bytes()
    with pytest.raises(CredentialRefused):
        bob.group.process(staged.commit, check=check, now_s=NOW_S)
    assert bob.group.to_bytes() == before


@pytest.mark.promise("CANNOT-FORGE")
def test_an_error_of_the_check_changes_nothing(people: tuple[Person, Person, Person]) -> None:
    alice, bob, _ = people
    staged = alice.commit(add=(Person("dave"),))

    def broken(identity: bytes, signature_key: bytes, use: CredentialUse) -> None:
        raise RuntimeError("the directory is down")

    before = bob.group.to_bytes()
    with pytest.raises(RuntimeError):
        bob.group.process(staged.commit, check=broken, now_s=NOW_S)
    assert bob.group.to_bytes() == before


@pytest.mark.promise("CANNOT-FORGE")
@pytest.mark.parametrize("late_s", [-2 * 86_400, 2 * 86_400])
def test_a_key_package_outside_its_lifetime_is_refused(people: tuple[Person, Person, Person], late_s: int) -> None:
    alice, _, _ = people
    dave = Person("dave")
    with pytest.raises(MlsError):
        parse_key_package(dave.bundle.key_package).verify(NOW_S + late_s)
    with pytest.raises(MlsError):
        alice.group.commit(add=[dave.bundle.key_package], random=alice.random, check=accept, now_s=NOW_S + late_s)


@pytest.mark.promise("CANNOT-FORGE")
def test_a_wrong_confirmation_tag_moves_nobody(
    people: tuple[Person, Person, Person], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signed commit whose tag is wrong is refused before any state changes."""
    alice, bob, _ = people
    genuine = message_protection.protect_private

    def with_another_tag(cs: Any, content: Any, *rest: Any) -> Any:
        return genuine(cs, replace(content, confirmation_tag=bytes(32)), *rest)

    monkeypatch.setattr(f"{COMMITTING}.protect_private", with_another_tag)
    refuses(bob, alice.commit().commit, InvalidMac)


def test_a_welcome_for_somebody_else_is_told_apart(people: tuple[Person, Person, Person]) -> None:
    alice, _, _ = people
    welcome = alice.commit(add=(Person("dave"),)).welcome
    assert welcome is not None
    with pytest.raises(NoMatchingKeyPackage):
        Group.join(welcome, [Person("erin").bundle], check=accept, now_s=NOW_S)


@pytest.mark.promise("CANNOT-LOSE")
def test_messages_arrive_in_any_order_and_across_reloads(people: tuple[Person, Person, Person]) -> None:
    alice, bob, _ = people
    sent = [(f"message {n}".encode(), alice.say(f"message {n}".encode())) for n in range(40)]
    shuffled = sorted(sent, key=lambda pair: pair[1][-8:])
    assert shuffled != sent
    for data, message in shuffled:
        bob.reload()
        assert bob.hears(message) == data


@pytest.mark.promise("CANNOT-LOSE")
def test_a_late_message_of_an_earlier_epoch_is_read(people: tuple[Person, Person, Person]) -> None:
    alice, bob, _ = people
    late = alice.say(b"sent before the commit")
    staged = alice.commit()
    alice.group.merge_staged()
    bob.take(staged.commit)
    bob.reload()
    assert bob.hears(late) == b"sent before the commit"
    refuses(bob, late, Replayed)


@pytest.mark.promise("CANNOT-FORGE")
def test_saving_never_repeats_a_generation(people: tuple[Person, Person, Person]) -> None:
    """Two messages sealed around a save have different keys: the second reader of one would otherwise fail."""
    alice, bob, _ = people
    messages = []
    for number in range(5):
        messages.append(alice.say(b"%d" % number))
        alice.reload()
    assert [bob.hears(message) for message in messages] == [b"0", b"1", b"2", b"3", b"4"]


def test_a_staged_commit_survives_a_reload(people: tuple[Person, Person, Person]) -> None:
    alice, bob, carol = people
    staged = alice.commit()
    alice.reload()
    assert alice.group.staged is not None
    assert alice.group.staged.commit == staged.commit
    alice.group.merge_staged()
    bob.take(staged.commit)
    carol.take(staged.commit)
    agree(alice, bob, carol)


DECODERS: list[Callable[[bytes], object]] = [
    parse_key_package,
    KeyPackageBundle.from_bytes,
    Group.from_bytes,
    lambda data: Group.join(data, [Person("x").bundle], check=accept, now_s=NOW_S),
]


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=400), number=st.integers(0, len(DECODERS) - 1))
def test_random_bytes_are_refused_by_every_decoder(data: bytes, number: int) -> None:
    with pytest.raises(MlsError):
        DECODERS[number](data)


def test_every_truncation_is_refused(people: tuple[Person, Person, Person]) -> None:
    alice, bob, _ = people
    message, package = alice.say(b"whole"), alice.bundle.key_package
    for end in range(len(message)):
        refuses(bob, message[:end])
    for end in range(len(package)):
        with pytest.raises(MlsError):
            parse_key_package(package[:end])
    with pytest.raises(InvalidSignature):
        parse_key_package(package[:-1] + bytes([package[-1] ^ 1])).verify(NOW_S)


@pytest.mark.parametrize("size", [320, 640, 1280, 65536])
def test_padding_gives_exactly_the_length_asked_for(people: tuple[Person, Person, Person], size: int) -> None:
    alice, bob, _ = people
    message = alice.group.protect(b"short", random=alice.random, pad=lambda _: size)
    assert len(message) == size
    assert bob.hears(message) == b"short"
