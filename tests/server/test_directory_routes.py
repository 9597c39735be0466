"""The directory over HTTP, as clients use and misuse it."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ringthrough.protocol import directory as d
from ringthrough.protocol import limits as wire
from ringthrough.server.app import Limits, Rate, RunningServer
from ringthrough.server.sessions import Sessions, SignedIn
from tests.server.conftest import StartServer


@dataclasses.dataclass
class Person:
    """An account with one device, and HTTP calls in its name."""

    handle: str
    account_id: bytes
    identity: Ed25519PrivateKey = dataclasses.field(default_factory=Ed25519PrivateKey.generate)
    device_key: Ed25519PrivateKey = dataclasses.field(default_factory=Ed25519PrivateKey.generate)
    bearer: str = ""

    @property
    def device_id(self) -> bytes:
        return self.account_id[::-1]

    def device_list(self, version: int = 1, *extra: d.Device, **changes: Any) -> d.SignedDeviceList:
        device = d.Device(self.device_id, self.device_key.public_key().public_bytes_raw(), b"i" * 16, b"x" * 32)
        fields: dict[str, Any] = {
            "account_id": self.account_id,
            "version": version,
            "identity_key": self.identity.public_key().public_bytes_raw(),
            "devices": (device, *extra),
        }
        payload = d.device_list_payload(d.DeviceList(**{**fields, **changes}))
        return d.SignedDeviceList(payload, self.identity.sign(d.DEVICE_LIST_CONTEXT + payload))


class Api:
    def __init__(self, server: RunningServer, session: aiohttp.ClientSession) -> None:
        self.url = server.url
        self.session = session

    async def call(
        self, method: str, path: str, body: Any = None, person: Person | None = None, **headers: str
    ) -> tuple[int, Any]:
        """Status and JSON (or the refusal's code)."""
        if person is not None:
            headers["Authorization"] = f"Bearer {person.bearer}"
        data = body if isinstance(body, bytes) or body is None else msgspec.json.encode(body)
        async with self.session.request(method, self.url + path, data=data, headers=headers) as answer:
            text = await answer.read()
            value = msgspec.json.decode(text) if text else None
            return answer.status, value["code"] if value and answer.status >= 400 else value

    async def create(self, person: Person) -> tuple[int, Any]:
        return await self.call("POST", "/v1/accounts", d.NewAccount(person.handle, person.device_list()))

    async def challenge(self, person: Person) -> bytes:
        _, value = await self.call(
            "POST", "/v1/sign-in/challenge", d.ChallengeRequest(person.account_id, person.device_id)
        )
        return msgspec.convert(value, d.Challenge).challenge

    async def answer(
        self,
        person: Person,
        challenge: bytes,
        authority: str = "",
        key: Ed25519PrivateKey | None = None,
        **headers: str,
    ) -> tuple[int, Any]:
        payload = d.sign_in_payload(authority or self.url.split("//")[1], challenge)
        signature = (key or person.device_key).sign(payload)
        body = d.SignIn(person.account_id, person.device_id, challenge, signature)
        return await self.call("POST", "/v1/sign-in", body, None, **headers)

    async def sign_in(self, person: Person) -> None:
        status, value = await self.answer(person, await self.challenge(person))
        assert (status, value["lifetime_s"]) == (200, wire.SESSION_LIFETIME_S)
        person.bearer = value["session"]


@pytest.fixture
async def api(server: RunningServer) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession() as session:
        yield Api(server, session)


@pytest.fixture
def alice() -> Person:
    return Person("alice", b"a" * 15 + b"1")


@pytest.fixture
def bob() -> Person:
    return Person("bob.b-1", b"b" * 15 + b"1")


async def test_an_account_is_found_by_handle_and_id(api: Api, alice: Person) -> None:
    assert await api.create(alice) == (201, None)
    by_handle = await api.call("GET", "/v1/handles/alice")
    by_id = await api.call("GET", f"/v1/accounts/{alice.account_id.hex()}")
    assert by_handle == by_id
    account = msgspec.convert(by_id[1], d.Account)
    assert (account.handle, account.device_list.verify().account_id) == ("alice", alice.account_id)
    assert await api.call("GET", "/v1/handles/nobody") == (404, "not_found")
    assert await api.call("GET", "/v1/handles/Alice") == (400, "bad_request")
    assert await api.call("GET", f"/v1/accounts/{bytes(16).hex()}") == (404, "not_found")
    assert await api.call("GET", "/v1/accounts/xyz") == (400, "bad_request")


async def test_creating_again_is_granted_only_for_the_same(api: Api, alice: Person, bob: Person) -> None:
    body = d.NewAccount("alice", alice.device_list())
    assert [(await api.call("POST", "/v1/accounts", body))[0] for _ in range(2)] == [201, 201]
    bob.handle = "alice"
    assert await api.create(bob) == (409, "handle_taken")
    alice.handle = "alice2"
    assert await api.create(alice) == (409, "conflict")


@pytest.mark.promise("CANNOT-FORGE")
async def test_a_device_list_needs_its_signature(api: Api, alice: Person) -> None:
    signed = alice.device_list()
    forged = d.SignedDeviceList(signed.payload, bytes(64))
    assert await api.call("POST", "/v1/accounts", d.NewAccount("alice", forged)) == (403, "bad_signature")
    assert await api.call("GET", "/v1/handles/alice") == (404, "not_found")
    assert await api.call("POST", "/v1/accounts", d.NewAccount("A", signed)) == (400, "bad_request")
    assert await api.call("POST", "/v1/accounts", b"{") == (400, "bad_request")
    assert await api.call("POST", "/v1/accounts", b"[" * 100_000) == (400, "bad_request")
    assert await api.call("POST", "/v1/accounts", b" " * 2_100_000) == (413, "too_large")


@pytest.mark.promise("CANNOT-FORGE")
async def test_sign_in_takes_the_devices_key_and_a_fresh_challenge(api: Api, alice: Person) -> None:
    await api.create(alice)
    await api.sign_in(alice)
    assert await api.call("GET", "/v1/key-packages/count", person=alice) == (200, {"count": 0})
    challenge = await api.challenge(alice)
    assert await api.answer(alice, challenge, key=alice.identity) == (403, "bad_signature")
    assert await api.answer(alice, challenge) == (401, "unauthenticated")  # used up
    assert await api.answer(alice, bytes(32)) == (401, "unauthenticated")
    challenge = await api.challenge(alice)
    assert await api.answer(alice, challenge, "evil.example") == (403, "bad_signature")
    stranger = Person("eve", b"e" * 15 + b"1")
    assert await api.answer(stranger, await api.challenge(stranger)) == (401, "unauthenticated")


@pytest.mark.promise("CANNOT-FORGE")
async def test_a_signature_for_another_server_is_refused_even_under_its_name(api: Api, alice: Person) -> None:
    """A hostile server passes on what a person signed for it, and names itself in the Host header."""
    await api.create(alice)
    challenge = await api.challenge(alice)
    assert await api.answer(alice, challenge, "evil.example", Host="evil.example") == (400, "bad_request")


async def test_public_origins_decide_the_authority(start_server: StartServer, alice: Person) -> None:
    server = await start_server(public_origins=("https://chat.example/",))
    async with aiohttp.ClientSession() as session:
        api = Api(server, session)
        await api.create(alice)
        status, _ = await api.answer(alice, await api.challenge(alice), "chat.example", Host="chat.example")
        assert status == 200
        assert (await api.answer(alice, await api.challenge(alice)))[1] == "bad_request"


@pytest.mark.promise("CANNOT-FORGE")
async def test_routes_with_a_session_refuse_without(api: Api, alice: Person) -> None:
    for bearer in ("", "x", "\u00e9"):
        alice.bearer = bearer
        for method, path in (
            ("PUT", "/v1/devices"),
            ("POST", "/v1/key-packages"),
            ("GET", "/v1/key-packages/count"),
            ("DELETE", "/v1/accounts"),
        ):
            assert await api.call(method, path, person=alice) == (401, "unauthenticated")


@pytest.mark.promise("CANNOT-FORGE")
async def test_devices_are_replaced_by_a_higher_version_of_the_same_identity(
    api: Api, alice: Person, bob: Person
) -> None:
    for person in (alice, bob):
        await api.create(person)
        await api.sign_in(person)
    put = "/v1/devices"
    second = alice.device_list(2)
    assert await api.call("PUT", put, second, alice) == (204, None)
    assert await api.call("PUT", put, second, alice) == (204, None)
    assert await api.call("PUT", put, alice.device_list(1), alice) == (409, "conflict")
    assert await api.call("PUT", put, bob.device_list(9), alice) == (403, "forbidden")
    thief = Person("alice", alice.account_id)
    assert await api.call("PUT", put, thief.device_list(9), alice) == (403, "forbidden")
    _, value = await api.call("GET", "/v1/handles/alice")
    assert msgspec.convert(value, d.Account).device_list.verify().version == 2


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
async def test_a_removed_device_is_signed_out_and_its_key_packages_go(api: Api, alice: Person) -> None:
    await api.create(alice)
    await api.sign_in(alice)
    await api.call("POST", "/v1/key-packages", d.KeyPackages((b"k1",), b"last"), alice)
    other = d.Device(b"o" * 16, b"o" * 32, b"o" * 16, b"o" * 32)
    assert await api.call("PUT", "/v1/devices", alice.device_list(2, devices=(other,)), alice) == (204, None)
    assert await api.call("GET", "/v1/key-packages/count", person=alice) == (401, "unauthenticated")
    claim = f"/v1/accounts/{alice.account_id.hex()}/key-packages/claim"
    assert await api.call("POST", claim) == (200, {"key_packages": []})


async def test_key_packages_are_claimed_once_each(api: Api, alice: Person) -> None:
    await api.create(alice)
    await api.sign_in(alice)
    post, claim = "/v1/key-packages", f"/v1/accounts/{alice.account_id.hex()}/key-packages/claim"
    assert await api.call("POST", post, d.KeyPackages((b"k1",), b"last"), alice) == (204, None)
    claims = [(await api.call("POST", claim))[1] for _ in range(3)]
    packages = [msgspec.convert(value, d.Claim).key_packages for value in claims]
    assert packages == [(d.ClaimedKeyPackage(alice.device_id, body),) for body in (b"k1", b"last", b"last")]
    assert await api.call("POST", post, d.KeyPackages((b"",)), alice) == (400, "bad_size")
    too_big = d.KeyPackages((b"x" * (wire.KEY_PACKAGE_BYTES_MAX + 1),))
    assert await api.call("POST", post, too_big, alice) == (400, "bad_size")
    many = d.KeyPackages(tuple(b"%d" % i for i in range(wire.KEY_PACKAGES_PER_DEVICE_MAX + 1)))
    assert await api.call("POST", post, many, alice) == (429, "too_many")
    assert await api.call("GET", "/v1/key-packages/count", person=alice) == (200, {"count": 0})
    assert await api.call("POST", f"/v1/accounts/{bytes(16).hex()}/key-packages/claim") == (404, "not_found")


async def test_a_deleted_account_is_gone(api: Api, alice: Person) -> None:
    await api.create(alice)
    await api.sign_in(alice)
    assert await api.call("DELETE", "/v1/accounts", person=alice) == (204, None)
    assert await api.call("GET", "/v1/handles/alice") == (404, "not_found")
    assert await api.call("DELETE", "/v1/accounts", person=alice) == (401, "unauthenticated")


async def test_rates_by_address_and_account(start_server: StartServer, alice: Person, bob: Person) -> None:
    slow = Rate(0.001, 1)
    server = await start_server(Limits(accounts_created=slow, claims_per_account=slow))
    async with aiohttp.ClientSession() as session:
        api = Api(server, session)
        assert (await api.create(alice))[0] == 201
        assert await api.create(bob) == (429, "rate_limited")
        claim = f"/v1/accounts/{alice.account_id.hex()}/key-packages/claim"
        assert (await api.call("POST", claim))[0] == 200
        assert await api.call("POST", claim) == (429, "rate_limited")


def test_sessions_and_challenges_end() -> None:
    numbers = iter(range(1, 100))
    sessions = Sessions(lambda n: next(numbers).to_bytes(n, "big"))
    me = SignedIn(b"a", b"d")
    bearer = sessions.start(me, 0)
    assert sessions.find(bearer, wire.SESSION_LIFETIME_S - 1) == me
    assert sessions.find(bearer, wire.SESSION_LIFETIME_S) is None
    challenge = sessions.challenge(me, 0)
    assert not sessions.redeem(challenge, me, wire.CHALLENGE_LIFETIME_S)
    challenge = sessions.challenge(me, 0)
    assert not sessions.redeem(challenge, SignedIn(b"b", b"d"), 1)
    assert not sessions.redeem(challenge, me, 1)
    challenge = sessions.challenge(me, 0)
    assert sessions.redeem(challenge, me, 1)
