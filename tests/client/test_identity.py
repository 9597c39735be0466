"""Pinned identities, signed device lists, safety numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringthrough.client.errors import IdentityChanged, Refused, ServerUnreachable, UnknownHandle
from ringthrough.client.identity import (
    Credential,
    DeviceUnknown,
    Directory,
    OwnIdentity,
    new_identity,
    safety_number,
)
from ringthrough.client.store import Store
from ringthrough.e2ee.mls import CredentialRefused, CredentialUse
from ringthrough.protocol import directory
from ringthrough.protocol.errors import ProtocolError

HOME = "https://chat.example"
VECTORS = json.loads((Path(__file__).parents[2] / "vectors/identity/safety_numbers.json").read_text())
JOIN = CredentialUse.JOIN


@dataclass
class FakeHttp:
    """A directory that answers as it is told."""

    by_handle: dict[str, directory.Account] = field(default_factory=dict)
    by_id: dict[bytes, directory.Account] = field(default_factory=dict)
    error: Exception | None = None
    asked: int = 0

    async def account_by_handle(self, handle: str) -> directory.Account:
        return self._answer(self.by_handle.get(handle))

    async def account(self, account_id: bytes) -> directory.Account:
        return self._answer(self.by_id.get(account_id))

    def _answer(self, found: directory.Account | None) -> directory.Account:
        self.asked += 1
        if self.error is not None:
            raise self.error
        if found is None:
            raise Refused("not_found", "no such account")
        return found

    def show(self, account: directory.Account) -> None:
        self.by_handle[account.handle] = self.by_id[account.account_id] = account


def account_of(own: OwnIdentity, version: int = 1, **changes: Any) -> directory.Account:
    """What an honest directory shows, or with another device list or handle."""
    devices = msgspec.msgpack.decode(own.device_list(version).payload, type=directory.DeviceList)
    handle = changes.pop("handle", own.handle)
    payload = directory.device_list_payload(msgspec.structs.replace(devices, **changes))
    key = Ed25519PrivateKey.from_private_bytes(own.identity_private)
    signed = directory.SignedDeviceList(payload, key.sign(directory.DEVICE_LIST_CONTEXT + payload))
    return directory.Account(own.account_id, handle, signed)


@pytest.fixture
def server() -> FakeHttp:
    return FakeHttp()


@pytest.fixture
def people(tmp_path: Path, server: FakeHttp) -> Directory:
    return Directory(Store(tmp_path / "state.sqlite"), lambda origin: server)  # type: ignore[arg-type, return-value]


def bob() -> OwnIdentity:
    return new_identity(HOME, "bob")


async def test_first_sight_pins_and_later_ones_agree(people: Directory, server: FakeHttp) -> None:
    own = bob()
    server.show(account_of(own))
    person = await people.look_up("bob", HOME)
    assert person == await people.look_up("bob", HOME)
    assert people.known(own.account_id) == person
    people.check(own.credential.encode(), own.signature_key, JOIN)


@pytest.mark.promise("CANNOT-FORGE")
async def test_another_identity_key_is_refused(people: Directory, server: FakeHttp) -> None:
    own = bob()
    server.show(account_of(own))
    await people.look_up("bob", HOME)
    thief = msgspec.structs.replace(bob(), account_id=own.account_id)
    server.show(account_of(thief))
    with pytest.raises(IdentityChanged, match="safety numbers"):
        await people.look_up("bob", HOME)
    with pytest.raises(IdentityChanged):
        await people.refresh(own.account_id, HOME)
    with pytest.raises(DeviceUnknown):
        people.check(thief.credential.encode(), thief.signature_key, JOIN)


@pytest.mark.promise("CANNOT-FORGE")
async def test_another_account_under_a_known_handle_is_refused(people: Directory, server: FakeHttp) -> None:
    server.show(account_of(bob()))
    await people.look_up("bob", HOME)
    server.show(account_of(bob()))
    with pytest.raises(IdentityChanged, match="another account"):
        await people.look_up("bob", HOME)


@pytest.mark.promise("CANNOT-FORGE")
async def test_a_known_account_under_another_handle_is_refused(people: Directory, server: FakeHttp) -> None:
    own = bob()
    server.show(account_of(own))
    await people.look_up("bob", HOME)
    server.by_id[own.account_id] = account_of(own, handle="alice")
    with pytest.raises(IdentityChanged):
        await people.refresh(own.account_id, HOME)


@pytest.mark.promise("CANNOT-FORGE")
@pytest.mark.parametrize("version", [1, 2])
async def test_an_older_or_altered_device_list_is_refused(people: Directory, server: FakeHttp, version: int) -> None:
    own = bob()
    server.show(account_of(own, version=2))
    await people.look_up("bob", HOME)
    other = directory.Device(b"d" * 16, b"k" * 32, b"i" * 16, b"h" * 32)
    server.show(account_of(own, version=version, devices=(other,)))
    with pytest.raises(IdentityChanged, match="older"):
        await people.look_up("bob", HOME)


@pytest.mark.promise("CANNOT-FORGE")
async def test_lies_about_handle_account_and_signature_are_refused(people: Directory, server: FakeHttp) -> None:
    own = bob()
    server.by_handle["carol"] = account_of(own)
    with pytest.raises(UnknownHandle, match="another handle"):
        await people.look_up("carol", HOME)
    server.by_id[b"c" * 16] = account_of(own)
    with pytest.raises(IdentityChanged, match="another account"):
        await people.refresh(b"c" * 16, HOME)
    server.by_handle["bob"] = account_of(own, account_id=b"x" * 16)
    with pytest.raises(IdentityChanged, match="another account"):
        await people.look_up("bob", HOME)
    good = account_of(own)
    forged = directory.SignedDeviceList(good.device_list.payload, bytes(64))
    server.by_handle["bob"] = msgspec.structs.replace(good, device_list=forged)
    with pytest.raises(ProtocolError):
        await people.look_up("bob", HOME)
    server.by_id[own.account_id] = account_of(own, handle="\x1b[2Jbob")
    with pytest.raises(ProtocolError):
        await people.refresh(own.account_id, HOME)
    assert people.known(own.account_id) is None


async def test_nobody_of_that_name(people: Directory) -> None:
    with pytest.raises(UnknownHandle, match="@nobody"):
        await people.look_up("nobody", HOME)


async def test_whom_we_know_is_found_without_the_server(people: Directory, server: FakeHttp) -> None:
    server.show(account_of(bob()))
    person = await people.look_up("bob", HOME)
    server.error = ServerUnreachable("down")
    assert await people.look_up("bob", HOME) == person
    with pytest.raises(ServerUnreachable):
        await people.look_up("carol", HOME)


async def test_an_unknown_device_is_looked_up_and_then_accepted(people: Directory, server: FakeHttp) -> None:
    own = bob()
    server.show(account_of(own))
    credential = own.credential.encode()
    done = await people.with_fresh_devices(lambda check: check(credential, own.signature_key, JOIN) or "done")  # type: ignore[func-returns-value]
    assert done == "done"
    assert server.asked == 1


@pytest.mark.promise("CANNOT-FORGE")
async def test_a_device_that_is_not_in_the_list_is_refused(people: Directory, server: FakeHttp) -> None:
    own, stranger = bob(), bob()
    server.show(account_of(own))
    for credential, key in (
        (Credential(own.account_id, stranger.device_id, HOME), own.signature_key),
        (own.credential, stranger.signature_key),
        (stranger.credential, stranger.signature_key),
        (Credential(own.account_id, own.device_id, "https://elsewhere.example"), own.signature_key),
    ):
        identity = credential.encode()

        def attempt(check: Any, identity: bytes = identity, key: bytes = key) -> None:
            check(identity, key, JOIN)

        before = server.asked
        with pytest.raises(CredentialRefused) as refused:
            await people.with_fresh_devices(attempt)
        assert not isinstance(refused.value, DeviceUnknown)
        assert server.asked == before + 1, "asked once, not for ever"


@pytest.mark.parametrize(
    "error", [ServerUnreachable("down"), Refused("rate_limited", "slow"), Refused("internal", "")]
)
async def test_a_list_that_cannot_be_had_now_is_no_verdict(
    people: Directory, server: FakeHttp, error: Exception
) -> None:
    own = bob()
    server.error = error
    with pytest.raises(ServerUnreachable):
        await people.with_fresh_devices(lambda check: check(own.credential.encode(), own.signature_key, JOIN))


@pytest.mark.parametrize(
    "identity",
    [
        b"",
        b"\xff",
        msgspec.msgpack.encode([b"a" * 16, b"d" * 16]),
        msgspec.msgpack.encode([b"a" * 15, b"d" * 16, HOME]),
        msgspec.msgpack.encode([b"a" * 16, b"d" * 16, "https://CHAT.example"]),
        msgspec.msgpack.encode([b"a" * 16, b"d" * 16, "https://chat.example/path"]),
        msgspec.msgpack.encode([b"a" * 16, b"d" * 16, "https://user@chat.example"]),
        msgspec.msgpack.encode([b"a" * 16, b"d" * 16, "file:///etc/passwd"]),
        msgspec.msgpack.encode([b"a" * 16, b"d" * 16, "https://chat.example:99999"]),
    ],
)
def test_malformed_credentials_are_refused(identity: bytes) -> None:
    with pytest.raises(CredentialRefused):
        Credential.decode(identity)


def test_safety_numbers_are_the_same_for_both_and_differ_between_people() -> None:
    keys = [bob().identity_key for _ in range(3)]
    number = safety_number(keys[0], keys[1])
    assert number == safety_number(keys[1], keys[0])
    assert number != safety_number(keys[0], keys[2])
    assert [len(group) for group in number.split()] == [5] * 12


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: str(case["name"]))
def test_safety_number_vectors(case: dict[str, str]) -> None:
    assert safety_number(bytes.fromhex(case["own"]), bytes.fromhex(case["other"])) == case["safety_number"]


def test_secrets_are_not_in_the_repr() -> None:
    own = bob()
    assert own.identity_private.hex() not in repr(own)
    assert repr(own) == f"OwnIdentity(@bob at {HOME})"
