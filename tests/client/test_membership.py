"""Key packages and invitations: used once, renewed, large groups, servers that lie or are away."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from ringthrough.client import account, membership
from ringthrough.client.client import Client
from ringthrough.client.errors import NoDeviceReachable
from ringthrough.client.membership import Invitee
from ringthrough.protocol import directory

from .conftest import World, joined, shown, soon


async def test_a_key_package_is_given_out_once(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    before = len(bob.context.store.key_packages())
    for n in range(2):
        await soon(alice.create_group(f"group {n}", ["@bob"]))
    await soon(alice.delivered())
    await asyncio.wait_for(_count(bob, 2), 15)
    assert len(bob.context.store.key_packages()) == before - 2


async def _count(client: Client, conversations: int) -> None:
    while len(client.conversations()) < conversations:
        await client.context.changed.wait()


async def test_with_nothing_but_expired_key_packages_nobody_can_be_invited(world: World) -> None:
    alice = await world.person("alice")
    await world.account("bob")
    world.now_s += account.KEY_PACKAGE_LIFETIME_S + 10
    with pytest.raises(NoDeviceReachable, match="@bob"):
        await soon(alice.conversation_with("@bob"))
    assert alice.conversations() == [], "nothing is left behind"


@pytest.mark.promise("CANNOT-FORGE")
@pytest.mark.parametrize("lie", ["garbage", "of somebody else", "of an unlisted device"])
async def test_a_directory_that_gives_out_false_key_packages(
    world: World, monkeypatch: pytest.MonkeyPatch, lie: str
) -> None:
    alice = await world.person("alice")
    for name in ("bob", "mallory"):
        await world.account(name)
    http = alice.context.http(world.url)
    claim = http.claim_key_packages
    mallory = await alice.find_person("@mallory")

    async def false(account_id: bytes) -> tuple[directory.ClaimedKeyPackage, ...]:
        (real,) = await claim(account_id)
        (other,) = await claim(mallory.account_id)
        package = b"\1" * 300 if lie == "garbage" else other.key_package
        device = other.device_id if lie == "of an unlisted device" else real.device_id
        return (directory.ClaimedKeyPackage(device, package),)

    monkeypatch.setattr(http, "claim_key_packages", false)
    with pytest.raises(NoDeviceReachable):
        await soon(alice.conversation_with("@bob"))


async def test_an_inbox_that_is_gone_does_not_hold_up_the_others(world: World) -> None:
    alice, carol = await world.person("alice"), await world.person("carol")
    tea = await soon(alice.create_group("tea", []))
    store = alice.context.store
    with store.transaction():
        welcome = store.add_welcome(tea.id, 1, b"no Welcome")  # type: ignore[attr-defined]
        store.add_deposit(welcome, world.url, b"g" * 16, bob_key(carol))
    await soon(alice.add(alice.find_group("tea"), ["@carol"]))
    await soon(alice.delivered())
    await joined(carol)
    assert store.deposits() == []


def bob_key(client: Client) -> bytes:
    return client.context.identity.inbox_key


async def test_a_server_that_is_away_does_not_hold_up_the_invitations_of_another(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, carol = await world.person("alice"), await world.person("carol")
    tea = await soon(alice.create_group("tea", []))
    store = alice.context.store
    with store.transaction():
        welcome = store.add_welcome(tea.id, 1, b"no Welcome")  # type: ignore[attr-defined]
        store.add_deposit(welcome, "http://127.0.0.1:1", b"g" * 16, bob_key(carol))
    await soon(alice.add(alice.find_group("tea"), ["@carol"]))
    await joined(carol)
    assert len(store.deposits()) == 1


async def test_a_large_welcome_goes_by_blob(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "WELCOME_INLINE_BYTES_MAX", 100)
    alice, bob, carol = [await world.person(name) for name in ("alice", "bob", "carol")]
    put: list[bytes] = []
    http = alice.context.http(world.url)
    put_blob = http.put_blob

    async def note(ciphertext: bytes) -> bytes:
        put.append(ciphertext)
        return await put_blob(ciphertext)

    monkeypatch.setattr(http, "put_blob", note)
    await soon(alice.create_group("tea", ["@bob", "@carol"]))
    for client in (bob, carol):
        await joined(client)
    tea = alice.find_group("tea")
    await soon(tea.sent(await alice.send_text(tea, "hello")))
    for client in (bob, carol):
        await shown(client, ["hello"])
    assert len(put) == 1, "uploaded once for all"


async def test_many_devices_are_added_by_several_commits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "STOCK", 1)
    monkeypatch.setattr(account, "STOCK_LOW", 1)
    alice = await world.person("alice")
    names = [f"guest{n}" for n in range(52)]
    for name in names:
        await world.account(name)
    tea = await soon(alice.create_group("tea", ["@" + name for name in names]), 60)
    assert len(tea.members()) == 53  # type: ignore[attr-defined]
    assert tea.group().epoch == 2  # type: ignore[attr-defined]
    await soon(alice.delivered(), 60)
    first, last = await world.online(names[0]), await world.online(names[-1])
    for client in (first, last):
        await joined(client)
    await soon(alice.remove(alice.find_group("tea"), ["@guest7"]))
    await soon(alice.find_group("tea").sent(await alice.send_text(alice.find_group("tea"), "welcome")))
    for client in (first, last):
        await shown(client, ["welcome"])


def test_invitees_survive_the_store() -> None:
    invitee = Invitee(b"c", b"k", "https://a.example", b"i" * 16, b"x" * 32)
    assert Invitee.decode_all(Invitee.encode_all([invitee])) == [invitee]
    with pytest.raises(msgspec.MsgspecError):
        Invitee.decode_all(b"\xc1")
