"""Lanes of a call: who may join, what reaches whom, what ends when a connection does."""

from __future__ import annotations

import pytest

from ringthrough.protocol.frames import (
    Ack,
    Acked,
    Append,
    Appended,
    Carried,
    Carry,
    Error,
    Join,
    Joined,
    Open,
    Signalled,
)
from ringthrough.protocol.limits import LANES_PER_BUNDLE_MAX
from ringthrough.server import bundle as bundles
from ringthrough.server import hub
from ringthrough.server.app import Limits, Rate, RunningServer
from tests.server.conftest import StartServer
from tests.server.script import ANY, Peer, Scene, body, conversation, opened, records, stream_id, token, token_hash
from tests.server.test_hub import two_members

TALK = stream_id("talk")
HERS, HIS = bytes(16), bytes(range(16))


def refused(request: int, code: str) -> Error:
    return Error(request, code, ANY, ANY, 0)  # type: ignore[arg-type]


def joined(request: int) -> Joined:
    return Joined(request, ANY)  # type: ignore[arg-type]


def acked(seq: int, *, level: int = 1, narrow: bool = False) -> Acked:
    return Acked(seq, ANY, level, narrow, False)  # type: ignore[arg-type]


def carried(seq: int, text: str) -> Carried:
    return Carried(seq, ANY, body(text))  # type: ignore[arg-type]


async def in_call(scene: Scene) -> tuple[Peer, Peer]:
    """Two members, each with one lane: the connection that has the conversation open."""
    alice, bob = await two_members(scene)
    await scene.play(
        alice >> Join(3, HERS, 1),
        alice << joined(3),
        bob >> Join(3, HIS, 1),
        bob << joined(3),
    )
    return alice, bob


async def further(scene: Scene, name: str, bundle: bytes) -> Peer:
    lane = await scene.connect(name)
    await scene.play(lane >> Join(1, bundle, 0), lane << joined(1))
    return lane


async def test_frames_are_answered_and_numbered_anew(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice, bob = await in_call(scene)
        await scene.play(
            alice >> Carry(70, 5, body("a")),
            alice << acked(70),
            bob << carried(0, "a"),
            bob >> Ack(0, 1, 1, False, False),
            alice >> Carry(71, 65, body("b")),
            alice << acked(71),
            bob << carried(1, "b"),
        )
        await scene.quiet()


async def test_a_frame_may_follow_its_join_in_the_same_breath(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice, bob = await two_members(scene)
        await scene.play(
            bob >> Join(3, HIS, 1),
            bob << joined(3),
            alice >> Join(3, HERS, 1),
            alice >> Carry(0, 0, body("a")),
            alice << joined(3),
            alice << acked(0),
            bob << carried(0, "a"),
        )


async def test_a_copy_on_another_lane_is_answered_there_and_goes_no_further(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice, bob = await in_call(scene)
        second = await further(scene, "alice's second lane", HERS)
        await scene.play(
            second >> Carry(0, 0, body("a")),
            second << acked(0),
            bob << carried(0, "a"),
            bob >> Ack(0, 1, 1, False, False),
            alice >> Carry(0, 0, body("a")),
            alice << acked(0),
        )
        await scene.quiet()


async def test_what_is_not_answered_goes_again_on_the_other_lane(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice, bob = await in_call(scene)
        second = await further(scene, "bob's second lane", HIS)
        await scene.play(
            alice >> Carry(0, 0, body("a")),
            alice << acked(0),
            bob << carried(0, "a"),
            bob >> Ack(0, 1, 1, False, False),
            alice >> Carry(1, 60, body("b")),
            alice << acked(1),
            bob << carried(1, "b"),
            second << carried(1, "b"),
            second >> Ack(1, 1, 1, False, False),
        )
        await scene.quiet()


async def test_a_lane_that_ends_gives_its_frames_to_another_at_once(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice, bob = await in_call(scene)
        second = await further(scene, "bob's second lane", HIS)
        await scene.play(alice >> Carry(0, 0, body("a")), alice << acked(0), bob << carried(0, "a"))
        assert bob.socket is not None
        await bob.socket.close()
        scene.peers.remove(bob)
        await scene.play(
            second << carried(0, "a"),
            second >> Ack(0, 1, 1, False, False),
            alice >> Carry(1, 60, body("b")),
            alice << acked(1),
            second << carried(1, "b"),
            second >> Ack(1, 1, 1, False, False),
            second >> Carry(0, 0, body("c")),
            second << acked(0),
            alice << carried(0, "c"),
        )


async def test_who_has_no_lanes_hears_signals(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice, bob = await two_members(scene)
        await scene.play(
            alice >> Join(3, HERS, 1),
            alice << joined(3),
            alice >> Carry(0, 0, body("a")),
            alice << acked(0),
            bob << Signalled(1, body("a")),
        )
        await scene.quiet()


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
async def test_who_was_removed_hears_nothing_after_the_commit(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice, removed = await in_call(scene)
        await further(scene, "a second lane of the removed", HIS)
        await scene.play(
            alice >> Append(1, 4, (body("remove"),), 0, token_hash("t1")),
            alice << Appended(4, 1),
            alice << records(1, 1, "remove"),
            removed << records(1, 1, "remove"),
            alice >> Carry(0, 0, body("secret")),
            alice << acked(0),
            removed >> Carry(0, 0, body("heckling")),
            removed << acked(0),
            removed >> Join(5, HIS, 1),
            removed << refused(5, "forbidden"),
        )
        await scene.quiet()


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
async def test_who_was_removed_and_has_no_lanes_hears_no_frame_either(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice, removed = await two_members(scene)
        await scene.play(
            alice >> Join(3, HERS, 1),
            alice << joined(3),
            alice >> Append(1, 4, (body("remove"),), 0, token_hash("t1")),
            alice << Appended(4, 1),
            alice << records(1, 1, "remove"),
            removed << records(1, 1, "remove"),
            alice >> Carry(0, 0, body("secret")),
            alice << acked(0),
        )
        await scene.quiet()


async def test_a_stream_has_so_many_bundles_and_no_more(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "BUNDLES_PER_STREAM_MAX", 2)
    async with Scene(server) as scene:
        await in_call(scene)
        third = await scene.connect("third")
        await scene.play(
            third >> Open(2, TALK, token("t0"), 1),
            third << opened(2, 1, 7),
            third >> Join(3, bytes(15) + b"3", 1),
            third << refused(3, "too_many"),
        )
        await scene.quiet()


async def test_the_lanes_follow_into_the_next_epoch_with_the_new_capability(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice, bob = await in_call(scene)
        await scene.play(
            alice >> Append(1, 4, (body("update"),), 0, token_hash("t1")),
            alice << Appended(4, 1),
            alice << records(1, 1, "update"),
            bob << records(1, 1, "update"),
            bob >> Open(5, TALK, token("t1"), 2),
            bob << opened(5, 1, 7, epoch=1, head=1),
            alice >> Carry(0, 0, body("a")),
            alice << acked(0),
            bob << carried(0, "a"),
            bob >> Ack(0, 1, 1, False, False),
        )
        await scene.quiet()


async def test_nobody_joins_without_knowing_the_bundle_or_showing_a_capability(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice, bob = await two_members(scene)
        stranger = await scene.connect("stranger")
        await scene.play(
            stranger >> Join(1, HERS, 0),
            stranger << refused(1, "forbidden"),
            stranger >> Join(2, HERS, 1),
            stranger << refused(2, "bad_handle"),
            stranger >> Carry(0, 0, body("x")),
            stranger << refused(0, "forbidden"),
            stranger >> Ack(0, 0, 0, False, False),
        )
        await scene.quiet(alice, bob, stranger)


async def test_a_bundle_stays_in_its_stream(server: RunningServer) -> None:
    async with Scene(server) as scene:
        await in_call(scene)
        mallory = await scene.connect("mallory")
        await conversation(scene, mallory, "other", "o")
        await scene.play(mallory >> Join(3, HERS, 1), mallory << refused(3, "forbidden"))
        await scene.quiet()


async def test_one_lane_too_many_takes_the_place_of_the_one_heard_longest_ago(server: RunningServer) -> None:
    async with Scene(server) as scene:
        alice, bob = await in_call(scene)
        lanes = [await further(scene, f"lane {number}", HIS) for number in range(LANES_PER_BUNDLE_MAX - 1)]
        await scene.play(
            alice >> Carry(0, 0, body("a")),
            alice << acked(0),
            bob << carried(0, "a"),
            bob >> Ack(0, 1, 1, False, False),
        )
        await bob.ping()
        await further(scene, "one too many", HIS)
        assert await _is_closed(lanes[0])
        assert not any([await _is_closed(lane) for lane in (bob, *lanes[1:])])


async def _is_closed(peer: Peer) -> bool:
    try:
        await peer.ping()
    except AssertionError:
        return True
    return False


async def test_too_many_frames_are_refused(start_server: StartServer) -> None:
    server = await start_server(limits=Limits(signals=Rate(1, 2)))
    async with Scene(server) as scene:
        alice, bob = await in_call(scene)
        await scene.play(
            alice >> Carry(0, 0, body("a")),
            alice << acked(0),
            bob << carried(0, "a"),
            bob >> Ack(0, 0, 1, False, False),
            alice >> Carry(1, 0, body("b")),
            alice << acked(1),
            bob << carried(1, "b"),
            bob >> Ack(1, 0, 1, False, False),
            alice >> Carry(2, 0, body("c")),
            alice << refused(0, "rate_limited"),
        )


async def test_a_bundle_without_lanes_is_forgotten(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "LINGER_S", 0.0)
    async with Scene(server) as scene:
        alice, bob = await in_call(scene)
        assert bob.socket is not None
        await bob.socket.close()
        scene.peers.remove(bob)
        late = await scene.connect("late")
        await scene.play(late >> Join(1, HIS, 0), late << refused(1, "forbidden"))
        await scene.quiet(alice, late)
