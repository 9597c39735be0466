"""Registration, and the stock of key packages: renewed in time, private keys kept no longer than needed."""

from __future__ import annotations

import asyncio

import pytest

from ringthrough.client import account
from ringthrough.client.client import Client
from ringthrough.client.errors import Refused, ServerUnreachable
from ringthrough.e2ee.mls import KeyPackageBundle, parse_key_package
from ringthrough.protocol import limits

from .conftest import World, joined, shown_many, soon


async def stock(client: Client) -> int:
    own, http = client.context.identity, client.context.http(client.context.identity.origin)
    return await http.key_package_count(await http.sign_in(own.account_id, own.device_id, own.sign))


async def _count(client: Client, conversations: int) -> None:
    while len(client.conversations()) < conversations:
        await client.context.changed.wait()


async def _say(client: Client, title: str) -> None:
    group = client.find_group(title)
    await soon(group.sent(await client.send_text(group, title)))


async def test_when_the_stock_is_used_up_the_last_resort_serves_all(world: World) -> None:
    alice = await world.person("alice")
    await world.account("bob")
    for n in range(account.STOCK + 3):
        await soon(alice.create_group(f"group {n}", ["@bob"]))
    await soon(alice.delivered())
    bob = await world.online("bob")
    await asyncio.wait_for(_count(bob, account.STOCK + 3), 15)
    groups = [alice.find_group(f"group {n}") for n in range(account.STOCK + 3)]
    await asyncio.gather(*(_say(alice, group.title) for group in groups))
    await shown_many(bob, account.STOCK + 3)
    await soon(account.restock(bob.context))
    assert await stock(bob) == account.STOCK


async def test_an_unused_stock_is_renewed_before_it_expires(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    world.now_s += account.KEY_PACKAGE_LIFETIME_S / 2 + 10
    await soon(account.restock(bob.context))
    assert await stock(bob) == 2 * account.STOCK
    world.now_s += account.KEY_PACKAGE_LIFETIME_S / 2
    # The oldest have expired now; the directory gives them out first, and they are passed over.
    await soon(alice.conversation_with("@bob"))
    await joined(bob)


async def test_private_keys_are_kept_only_as_long_as_needed(world: World) -> None:
    bob = await world.person("bob")
    store = bob.context.store
    for _ in range(3):
        world.now_s += account.KEY_PACKAGE_LIFETIME_S / 2 + 10
        await soon(account.restock(bob.context))
    last_resorts = [b for b in map(KeyPackageBundle.from_bytes, store.key_packages()) if b.package.is_last_resort]
    assert len(last_resorts) == 2, "the present one, and the one it replaced, for which a Welcome may be under way"
    world.now_s += account.PRIVATE_KEY_LIFETIME_S + 10
    await soon(account.restock(bob.context))
    assert len(store.key_packages()) == account.STOCK + 1


async def test_a_publication_that_fails_is_made_again_with_the_same_keys(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = await world.person("bob")
    http, store = bob.context.http(world.url), bob.context.store
    publish = http.publish_key_packages
    world.now_s += account.KEY_PACKAGE_LIFETIME_S / 2 + 10

    async def lost(*_: object) -> None:
        raise ServerUnreachable("lost")

    monkeypatch.setattr(http, "publish_key_packages", lost)
    for _ in range(5):
        with pytest.raises(ServerUnreachable):
            await soon(account.restock(bob.context))
    assert len(store.unpublished_key_packages()) == account.STOCK
    monkeypatch.setattr(http, "publish_key_packages", publish)
    await soon(account.restock(bob.context))
    assert store.unpublished_key_packages() == []
    assert await stock(bob) == 2 * account.STOCK


async def test_registration_cut_short_is_taken_up_with_the_same_keys(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bytes] = []

    async def die(context: object) -> None:
        raise ServerUnreachable("cut")

    restock = account.restock
    monkeypatch.setattr(account, "restock", die)
    with pytest.raises(ServerUnreachable):
        await world.account("alice")
    monkeypatch.setattr(account, "restock", restock)
    await world.account("alice")
    alice = await world.online("alice")
    made.append(alice.context.identity.account_id)
    assert (await alice.find_person("@alice")).account_id == made[0]
    assert parse_key_package(KeyPackageBundle.from_bytes(alice.context.store.key_packages()[0]).key_package)
    with pytest.raises(Refused, match="handle_taken"):
        await Client.create_account(world.home("thief"), world.url, "alice", clock=world.clock)
    assert limits.KEY_PACKAGES_PER_DEVICE_MAX >= 2 * account.STOCK
