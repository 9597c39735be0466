"""Anybody may leave anything in an inbox: what is no invitation for us is skipped, and nothing holds up the rest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringthrough.client import inbox as inbox_module
from ringthrough.client.client import Client
from ringthrough.client.errors import Refused, ServerUnreachable
from ringthrough.e2ee.inbox import BlobReference, Invitation, open_invitation, seal_invitation
from ringthrough.e2ee.mls import CIPHER_SUITE_DEFAULT, Group, SignatureKeyPair, create_key_package
from ringthrough.protocol import limits

from .conftest import World, joined, shown, soon, until


async def leave(sender: Client, receiver: Client, record: bytes) -> None:
    """Put a record into an inbox, as any stranger can."""
    own = receiver.context.identity
    await soon(sender.context.connection(own.origin).deposit(own.inbox_stream, record))


def seal(receiver: Client, invitation: Invitation) -> bytes:
    own = receiver.context.identity
    return seal_invitation(
        invitation, own.inbox_key, own.inbox, pad=limits.padded_size, random=receiver.context.random
    )


async def taken(client: Client, count: int) -> None:
    """Wait until so many records of the inbox have been dealt with."""
    store = client.context.store
    await until(
        lambda: store.has_profile(inbox_module.NEXT_SEQ) and int(store.profile(inbox_module.NEXT_SEQ)) > count, client
    )


def an_invitation(world: World, **changes: object) -> Invitation:
    invitation = Invitation(world.url, b"s" * 16, 1, False, "tea", b"no Welcome at all")
    return replace(invitation, **changes)  # type: ignore[arg-type]


async def people(world: World) -> tuple[Client, Client]:
    alice, bob = await world.person("alice"), await world.person("bob")
    for client in (alice, bob):
        await soon(client.context.connection(world.url).connected.wait())
    return alice, bob


@pytest.mark.promise("CANNOT-FORGE")
async def test_garbage_is_skipped_and_the_next_invitation_is_found(world: World) -> None:
    alice, bob = await people(world)
    await leave(alice, bob, bytes(160))
    await leave(alice, bob, seal(bob, an_invitation(world)))
    await leave(alice, bob, seal(bob, an_invitation(world, origin="gopher://x")))
    await leave(alice, bob, seal(bob, an_invitation(world, origin=world.url + "/path")))
    await leave(alice, bob, seal(bob, an_invitation(world, welcome=BlobReference(b"h" * 32, b"k" * 16, b"n" * 12))))
    conversation = await soon(alice.conversation_with("@bob"))
    await joined(bob)
    await soon(conversation.sent(await alice.send_text(conversation, "hello")))  # type: ignore[attr-defined, arg-type]
    await shown(bob, ["hello"])
    assert bob.context.store.waiting_invitations(0) == []
    assert len(bob.conversations()) == 1


async def test_a_server_that_does_not_answer_holds_up_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = await people(world)
    reference = BlobReference(b"h" * 32, b"k" * 16, b"n" * 12)
    await leave(alice, bob, seal(bob, an_invitation(world, origin="http://127.0.0.1:1", welcome=reference)))
    await soon(alice.conversation_with("@bob"))
    await joined(bob)
    assert len(bob.context.store.waiting_invitations(int(world.now_s))) == 1
    assert bob.context.store.waiting_invitations(int(world.now_s) + limits.RECORD_LIFETIME_S + 1) == []


async def test_an_invitation_that_waited_is_taken_when_the_server_answers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "RETRY_S", 0.01)
    alice, bob = await people(world)
    http = bob.context.http(world.url)
    account, asked = http.account, []

    async def later(account_id: bytes) -> object:
        asked.append(account_id)
        if len(asked) < 3:
            raise ServerUnreachable("down")
        return await account(account_id)

    monkeypatch.setattr(http, "account", later)
    await soon(alice.conversation_with("@bob"))
    await joined(bob)
    assert len(asked) == 3
    assert bob.context.store.waiting_invitations(0) == []


async def record_of(alice: Client, bob: Client, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Alice invites Bob; the record that she left in his inbox."""
    records: list[bytes] = []
    connection = alice.context.connection(bob.context.identity.origin)
    deposit = connection.deposit

    async def note(stream: object, record: bytes) -> None:
        records.append(record)
        await deposit(stream, record)  # type: ignore[arg-type]

    monkeypatch.setattr(connection, "deposit", note)
    await soon(alice.create_group("tea", ["@bob"]))
    await joined(bob)
    monkeypatch.undo()
    return records[0]


@pytest.mark.promise("CANNOT-FORGE")
async def test_an_invitation_repeated_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = await people(world)
    record = await record_of(alice, bob, monkeypatch)
    tea, his = alice.find_group("tea"), bob.find_group("tea")
    await soon(tea.sent(await alice.send_text(tea, "one")))
    await shown(bob, ["one"])
    state = bob.context.store.conversation(his.id)
    await leave(alice, bob, record)
    await taken(bob, 2)
    assert bob.context.store.conversation(his.id) == state
    assert bob.context.store.waiting_invitations(0) == []
    await soon(alice.remove(tea, ["@bob"]))
    await until(lambda: his.status == "left", bob)
    await leave(alice, bob, record)
    await taken(bob, 3)
    assert his.status == "left"


@pytest.mark.promise("CANNOT-FORGE")
async def test_a_welcome_for_another_stream_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = await people(world)
    records: list[bytes] = []

    async def keep_back(stream: object, record: bytes) -> None:
        records.append(record)

    connection = alice.context.connection(world.url)
    deposit = connection.deposit
    monkeypatch.setattr(connection, "deposit", keep_back)
    await soon(alice.create_group("tea", ["@bob"]))
    await soon(alice.delivered())
    monkeypatch.setattr(connection, "deposit", deposit)
    own = bob.context.identity
    invitation = open_invitation(records[0], own.inbox_private, own.inbox)
    await leave(alice, bob, seal(bob, replace(invitation, stream=b"x" * 16)))
    await taken(bob, 1)
    assert bob.conversations() == []
    await leave(alice, bob, records[0])
    await joined(bob)
    assert bob.conversations()[0].title == "tea", "the key package was not used up by the false one"


@pytest.mark.promise("CANNOT-FORGE")
@pytest.mark.parametrize("unlisted", ["inviter", "third"])
async def test_a_group_with_a_device_of_nobodys_list_is_refused(world: World, unlisted: str) -> None:
    """Somebody who claims to be Alice, or to have Alice in the group, with a key that Alice's list does not hold."""
    alice, bob = await people(world)
    now_s = int(world.now_s)
    random = alice.context.random
    thief = SignatureKeyPair.generate(CIPHER_SUITE_DEFAULT, random)
    real = alice.context.identity

    def package(pair: SignatureKeyPair) -> object:
        return create_key_package(
            CIPHER_SUITE_DEFAULT,
            real.credential.encode(),
            pair,
            random=random,
            not_before_s=now_s - 10,
            not_after_s=now_s + 1000,
        )

    creator = thief if unlisted == "inviter" else real.signature_pair
    stream = random(16)
    group = Group.create(CIPHER_SUITE_DEFAULT, stream, package(creator), random=random)  # type: ignore[arg-type]
    claimed = await alice.context.http(world.url).claim_key_packages(bob.context.identity.account_id)
    added = [claimed[0].key_package]
    if unlisted == "third":
        added.append(package(thief).key_package)  # type: ignore[attr-defined]
    staged = group.commit(add=added, random=random, check=lambda *_: None, now_s=now_s)
    assert staged.welcome is not None
    invitation = an_invitation(world, stream=stream, welcome=staged.welcome)
    await leave(alice, bob, seal(bob, invitation))
    await taken(bob, 1)
    assert bob.conversations() == []
    assert bob.context.store.conversation_by_stream(stream) is None


async def test_an_address_without_tls_is_refused_where_home_has_tls(world: World) -> None:
    """Otherwise an invitation could point the device at services inside its own network."""
    alice, bob = await people(world)
    context = bob.context
    context.identity = bob.context.identity.__class__(
        **{
            **{name: getattr(context.identity, name) for name in context.identity.__struct_fields__},
            "origin": "https://chat.example",
        }
    )
    with pytest.raises(Refused, match="no TLS"):
        context.http("http://10.0.0.1")
    assert context.http("https://other.example").origin == "https://other.example"
    context.identity = alice.context.identity
