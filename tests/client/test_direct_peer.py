"""A direct channel by aiortc: what it says of this device, and whom it sends packets to."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from types import SimpleNamespace

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

from ringthrough.client import direct_peer
from ringthrough.client.direct_peer import AiortcPeer, description_of, sdp_of
from ringthrough.e2ee.direct import CANDIDATES_MAX, Candidate, Description

WAIT_S = 15.0
DESCRIPTION = Description("aB3+", "0123456789abcdefghij+/", bytes(range(32)), (Candidate("192.0.2.7", 50_000),))


class Heard:
    """What a peer told."""

    def __init__(self) -> None:
        self.opening, self.ending, self.keys = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.has_path = False
        self.messages: asyncio.Queue[bytes] = asyncio.Queue()

    def path_found(self) -> None:
        self.has_path = True

    def keys_heard(self) -> None:
        self.keys.set()

    def opened(self) -> None:
        self.opening.set()

    def received(self, message: bytes) -> None:
        self.messages.put_nowait(message)

    def closed(self) -> None:
        self.ending.set()


def test_a_description_comes_back_as_it_was_written() -> None:
    assert description_of(sdp_of(DESCRIPTION, "actpass")) == DESCRIPTION


def test_no_more_addresses_are_told_than_may_be_and_none_that_means_nothing_elsewhere() -> None:
    sdp = sdp_of(DESCRIPTION, "actpass")
    line = "a=candidate:9 1 udp 1 {} 9 typ host\r\n"
    assert len(description_of(sdp + 20 * line.format("192.0.2.9")).candidates) == CANDIDATES_MAX
    assert description_of(sdp + line.format("fe80::1%eth0")) == DESCRIPTION
    assert description_of(sdp + line.format("192.0.2.9").replace("host", "srflx")) == DESCRIPTION


def test_a_description_without_keys_is_none() -> None:
    sdp = "\r\n".join(line for line in sdp_of(DESCRIPTION, "actpass").splitlines() if "fingerprint" not in line)
    with pytest.raises(ValueError, match="fingerprint"):
        description_of(sdp)


NOWHERE = ["127.0.0.1", "::1", "::ffff:127.0.0.1", "224.0.0.251", "ff02::fb", "0.0.0.0", "255.255.255.255", "1.2"]
LOCAL_NAME = "0b7a5e00-0000-4000-8000-000000000000.local"


@pytest.mark.parametrize("address", [*NOWHERE, LOCAL_NAME])
def test_a_peer_cannot_have_packets_sent_to_this_device_itself_or_to_many(address: str) -> None:
    named = dataclasses.replace(DESCRIPTION, candidates=(Candidate(address, 53), *DESCRIPTION.candidates))
    assert description_of(sdp_of(named, "active")) == DESCRIPTION


async def test_no_server_is_asked_and_nothing_waits_for_what_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[RTCConfiguration] = []

    def make(configuration: RTCConfiguration) -> RTCPeerConnection:
        made.append(configuration)
        return RTCPeerConnection(configuration)

    monkeypatch.setattr(direct_peer, "RTCPeerConnection", make)
    peer = AiortcPeer(Heard())
    assert [one.iceServers for one in made] == [[]]
    channel = peer._channel
    assert (channel.negotiated, channel.id, channel.ordered, channel.maxRetransmits) == (True, 0, False, 0)
    await peer.close()


async def test_who_names_no_address_that_may_be_asked_can_still_connect_by_asking() -> None:
    at_alice, at_bob = Heard(), Heard()
    alice, bob = AiortcPeer(at_alice), AiortcPeer(at_bob)
    async with asyncio.timeout(WAIT_S):
        offer = await alice.offer()
        answer = await bob.answer(dataclasses.replace(offer, candidates=(Candidate(LOCAL_NAME, 9),)))
        assert answer.candidates
        await alice.accept(answer)
        await at_alice.opening.wait()
        await at_bob.opening.wait()
        await asyncio.gather(alice.close(), bob.close())


async def test_a_channel_that_is_closed_while_it_is_made_leaves_nothing_open() -> None:
    def sockets() -> set[str]:
        names = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
        return {os.readlink(name) for name in names if os.path.lexists(name) and "socket" in os.readlink(name)}

    before = sockets()
    for turns in range(12):
        peer = AiortcPeer(Heard())
        describing = asyncio.create_task(peer.offer())
        for _ in range(turns):
            await asyncio.sleep(0)
        await peer.close()
        await asyncio.gather(describing, return_exceptions=True)
    assert sockets() == before


async def test_a_channel_that_is_closed_while_it_opens_asks_for_consent_no_more() -> None:
    for delay_ms in range(0, 50, 5):
        alice, bob = AiortcPeer(Heard()), AiortcPeer(Heard())
        await alice.accept(await bob.answer(await alice.offer()))
        await asyncio.sleep(delay_ms / 1000)
        await asyncio.gather(alice.close(), bob.close())
    left = [str(task.get_coro()) for task in asyncio.all_tasks()]
    assert [name for name in left if "query_consent" in name] == []


async def test_what_would_wait_behind_others_is_not_sent() -> None:
    peer = AiortcPeer(Heard())
    sent: list[bytes] = []
    channel = SimpleNamespace(readyState="open", bufferedAmount=direct_peer.UNSENT_BYTES_MAX, send=sent.append)
    peer._channel = channel  # type: ignore[assignment]
    peer.send(b"first")
    channel.bufferedAmount += 1
    peer.send(b"second")
    assert sent == [b"first"]
    await peer.close()


async def test_two_peers_connect_without_any_server_and_hear_each_other() -> None:
    at_alice, at_bob = Heard(), Heard()
    alice, bob = AiortcPeer(at_alice), AiortcPeer(at_bob)
    alice.send(b"too early: it goes nowhere")
    async with asyncio.timeout(WAIT_S):
        await alice.accept(await bob.answer(await alice.offer()))
        for heard in (at_alice, at_bob):
            await heard.opening.wait()
            await heard.keys.wait()
            assert heard.has_path
        alice.send(b"hello")
        bob.send(b"good day")
        assert await at_bob.messages.get() == b"hello"
        assert await at_alice.messages.get() == b"good day"
        await alice.close()
        await at_bob.ending.wait()
        assert not at_alice.ending.is_set(), "who closes it knows"
        await bob.close()


async def test_another_certificate_than_the_one_described_opens_nothing() -> None:
    at_alice, at_bob = Heard(), Heard()
    alice, bob = AiortcPeer(at_alice), AiortcPeer(at_bob)
    async with asyncio.timeout(WAIT_S):
        offer = await alice.offer()
        await alice.accept(await bob.answer(dataclasses.replace(offer, fingerprint=bytes(32))))
        await at_bob.ending.wait()
        assert not at_bob.opening.is_set()
        assert at_bob.keys.is_set(), "nobody keeps the keys' exchange from beginning"
        await asyncio.gather(alice.close(), bob.close())
