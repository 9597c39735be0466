"""Writes vectors/lanes: what happens to a hop's lanes and to a call's connections, with each answer of the rules.

The hops are recorded on the virtual clock of `lane_world`. Run it after a deliberate change of the rules:
`python -m tests.protocol.make_lane_vectors`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ringthrough.protocol.lane_control import UINT32_MAX, Controller, Level
from ringthrough.protocol.lane_plan import LanePlan
from ringthrough.protocol.lanes import Ack, LaneId, LaneReceiver, LaneSender, Transmission

from .lane_world import Path as Way
from .lane_world import World, random_loss

FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "lanes"
LOOK_MS = 1000.0

Event = list[Any]


def replay_hop(events: list[Event], first_seq: int) -> list[Event]:
    """Do what `events` say at both ends of a hop; return them with the answers filled in, at their end.

    ["open", lane, now], ["close", lane, now, sent], ["writable", lane, is_it], ["send", number, now, sent],
    ["acked", lane, seq, delay, level, narrow, sparing, now], ["tick", now, sent], ["look", now, state],
    ["arrived", lane, seq, sent_ms, narrow, now, is_new, answer]: the answer is [delay, level, sparing] or null,
    ["heard", level, sparing, now]: the receiver's end has learned this of the sender,
    ["gone", lane]: the receiver's end has learned that the lane ended,
    ["short"]: the sender may send short packets; ["stalls", now]: a lane of its answers nothing any more.
    `sent` lists [lane, seq, sent_ms, number]: bodies are numbers of 4 bytes.
    """
    writable: dict[int, bool] = {}
    controller = Controller()
    sender = LaneSender(controller, lambda lane: writable.get(lane, True), first_seq)
    receiver, back = LaneReceiver(), Controller()

    def sent(transmissions: list[Transmission]) -> list[list[int]]:
        return [[t.lane, t.seq, t.sent_ms, int.from_bytes(t.body, "big")] for t in transmissions]

    done: list[Event] = []
    for event in events:
        match event:
            case ["open", lane, now]:
                sender.open(lane, now)
                done.append(["open", lane, now])
            case ["close", lane, now, *_]:
                done.append(["close", lane, now, sent(sender.close(lane, now))])
            case ["writable", lane, is_writable]:
                writable[lane] = is_writable
                done.append(["writable", lane, is_writable])
            case ["send", number, now, *_]:
                done.append(["send", number, now, sent(sender.send(number.to_bytes(4, "big"), now))])
            case ["acked", lane, seq, delay, level, narrow, sparing, now]:
                sender.acked(lane, Ack(seq, delay, Level(level), narrow, sparing), now)
                done.append(["acked", lane, seq, delay, level, narrow, sparing, now])
            case ["tick", now, *_]:
                done.append(["tick", now, sent(sender.tick(now))])
            case ["arrived", lane, seq, sent_ms, narrow, now, *_]:
                is_new, ack = receiver.arrived(lane, seq, sent_ms, now, back, is_narrow=narrow)
                assert ack is None or (ack.seq, ack.is_narrow) == (seq, narrow)
                answer = None if ack is None else [ack.delay_ms, int(ack.level), ack.is_sparing]
                done.append(["arrived", lane, seq, sent_ms, narrow, now, is_new, answer])
            case ["heard", level, sparing, now]:
                back.heard(Level(level), False, sparing, now)
                done.append(["heard", level, sparing, now])
            case ["gone", lane]:
                receiver.closed(lane)
                done.append(["gone", lane])
            case ["short"]:
                controller.allow_short()
                done.append(event)
            case ["stalls", now]:
                controller.stalled(now)
                done.append(event)
            case ["look", now, *_]:
                done.append(["look", now, look(sender, now)])
            case _:
                raise ValueError(event)
    return done


def look(sender: LaneSender, now: float) -> dict[str, Any]:
    """Everything that a hop tells of itself."""
    controller = sender.controller
    return {
        "level": int(controller.level),
        "lanes_wanted": controller.lanes_wanted,
        "round_trip_ms": controller.round_trip_ms,
        "resend_after_ms": controller.resend_after_ms,
        "resends": controller.resends(now),
        "queued_ms_max": controller.queued_ms_max(now),
        "queueing_ms": controller.queueing_ms(now),
        "miss_share": controller.miss_share(now),
        "is_narrow": controller.is_narrow(now),
        "is_sparing": controller.is_sparing(now),
        "sends_short": controller.sends_short,
        "lanes": sender.lanes,
        "stalled": sender.stalled(now),
        "is_silent": sender.is_silent(now),
        "is_stuck": sender.is_stuck(now),
        "due_ms": sender.due_ms,
        "copies_sent": sender.copies_sent,
        "frames_dropped": sender.frames_dropped,
    }


def replay_plan(events: list[Event]) -> list[Event]:
    """Do what `events` say to the plan of a call that began at 0; return them with the answers filled in.

    ["dialled", now], ["dial_ended"], ["opened", lane, now], ["received", lane, size], ["closed", lane, now, reset],
    ["refused", now], ["sounds"]: the first frame is sent,
    ["step", wanted, stalled, silent, stuck, now, dial, leave, freeze_bytes, lanes_max].
    """
    plan = LanePlan(0.0)
    done: list[Event] = []
    for event in events:
        match event:
            case ["dialled", now]:
                plan.dialled(now)
            case ["dial_ended"]:
                plan.dial_ended()
            case ["opened", lane, now]:
                plan.opened(lane, now)
            case ["received", lane, size]:
                plan.received(lane, size)
            case ["closed", lane, now, reset]:
                plan.closed(lane, now, reset=reset)
            case ["refused", now]:
                plan.refused(now)
            case ["sounds"]:
                plan.is_sounding = True
            case ["step", wanted, stalled, silent, stuck, now, *_]:
                steps = plan.step(wanted, stalled, now, silent=silent, stuck=stuck)
                answer = [steps.dial, list(steps.leave), plan.freeze_bytes, plan.lanes_max]
                event = ["step", wanted, stalled, silent, stuck, now, *answer]
            case _:
                raise ValueError(event)
        done.append(event)
    return done


class Recorded(World):
    """A hop whose sender and receiver write down what they are asked, at times of a tenth of a millisecond."""

    def __post_init__(self) -> None:
        self.events: list[Event] = []
        self.frozen: set[LaneId] = set()
        super().__post_init__()
        self.sender = _Sender(self.controller, self.events)
        self.receiver = _Receiver(self.events)
        self.back = _Back(self.events)

    def at(self, when_ms: float, what: Callable[[float], None]) -> None:
        super().at(round(when_ms, 1), what)

    def run(self, seconds: float) -> None:
        for number in range(int(seconds * 1000 / LOOK_MS)):
            self.at(number * LOOK_MS, lambda now_ms: self.events.append(["look", now_ms]))
        super().run(seconds)

    def freeze(self, lane: int, when_ms: float) -> None:
        """Nothing passes on the lane any more, in either direction, and nobody is told."""
        self.at(when_ms, lambda _: self.frozen.add(LaneId(lane)))

    def _put(self, lane: LaneId, way: str, size: int, arrive: Callable[[float], None]) -> None:
        if lane not in self.frozen:
            super()._put(lane, way, size, lambda now_ms: None if lane in self.frozen else arrive(now_ms))

    def end(self, lane: int, when_ms: float) -> None:
        """The connection breaks, and both sides are told."""

        def close(now_ms: float) -> None:
            self.frozen.add(LaneId(lane))
            self._transmit(self.sender.close(LaneId(lane), now_ms))

        self.at(when_ms, close)


class _Sender(LaneSender):
    def __init__(self, controller: Controller, events: list[Event]) -> None:
        super().__init__(controller, lambda lane: True)
        self._events = events

    def open(self, lane: LaneId, now_ms: float) -> None:
        self._events.append(["open", lane, now_ms])
        super().open(lane, now_ms)

    def close(self, lane: LaneId, now_ms: float) -> list[Transmission]:
        self._events.append(["close", lane, now_ms])
        return super().close(lane, now_ms)

    def send(self, body: bytes, now_ms: float) -> list[Transmission]:
        self._events.append(["send", int.from_bytes(body[:4], "big"), now_ms])
        return super().send(body, now_ms)

    def acked(self, lane: LaneId, ack: Ack, now_ms: float) -> None:
        said = [int(ack.level), ack.is_narrow, ack.is_sparing]
        self._events.append(["acked", lane, ack.seq, ack.delay_ms, *said, now_ms])
        super().acked(lane, ack, now_ms)

    def tick(self, now_ms: float) -> list[Transmission]:
        self._events.append(["tick", now_ms])
        return super().tick(now_ms)


class _Back(Controller):
    def __init__(self, events: list[Event]) -> None:
        super().__init__()
        self._events = events
        self._noted = (Level.NORMAL, False)

    def heard(self, level: Level, is_narrow: bool, is_sparing: bool, now_ms: float) -> None:
        if (level, is_sparing) != self._noted:
            self._noted = (level, is_sparing)
            self._events.append(["heard", int(level), is_sparing, now_ms])
        super().heard(level, is_narrow, is_sparing, now_ms)


class _Receiver(LaneReceiver):
    def __init__(self, events: list[Event]) -> None:
        super().__init__()
        self._events = events

    def arrived(
        self, lane: LaneId, seq: int, sent_ms: int, now_ms: float, back: Controller, *, is_narrow: bool = False
    ) -> tuple[bool, Ack | None]:
        self._events.append(["arrived", lane, seq, sent_ms, is_narrow, now_ms])
        return super().arrived(lane, seq, sent_ms, now_ms, back, is_narrow=is_narrow)

    def closed(self, lane: LaneId) -> None:
        self._events.append(["gone", lane])
        super().closed(lane)


def until(end_ms: float, share: float) -> Callable[[float, random.Random], bool]:
    """Loss that ends."""
    return lambda now_ms, rng: now_ms < end_ms and rng.random() < share


def hop(seconds: float, lanes: int, up: Way, prepare: Callable[[Recorded], None] = lambda world: None) -> list[Event]:
    """What happens on a hop of 50 ms in so many seconds."""
    world = Recorded(up, Way(25.0, up.loss), lanes, seed=7)
    prepare(world)
    world.run(seconds)
    return world.events


def wrap() -> Iterator[Event]:
    """Two lanes, 50 ms; the clock and the numbers pass 2^32 in the middle."""
    start = UINT32_MAX + 1 - 3000.0
    yield from (["open", 0, start], ["open", 1, start + 500])
    seq = UINT32_MAX - 40
    for number in range(100):
        now, lane = start + 600 + number * 60.5, number % 2
        yield ["send", number, now]
        yield ["arrived", lane, seq, int(now) & UINT32_MAX, False, now + 25]
        if number % 10 == 9:
            yield ["tick", now + 30]
            yield ["arrived", lane, (seq - number) & UINT32_MAX, int(now) & UINT32_MAX, False, now + 31]
        for answered in (0, 1) if number == 0 else (lane, 1 - lane):
            yield ["acked", answered, seq, 25, 1, False, False, now + 50]
        seq = (seq + 1) & UINT32_MAX
        if number % 5 == 0:
            yield ["look", now + 51]


def busy() -> Iterator[Event]:
    """Two lanes, 3 ms; each fifth answer is late by as much as a busy device makes it."""
    yield from (["open", 0, 0.0], ["open", 1, 500.0])
    for number in range(100):
        now, lane = 600 + number * 60.5, number % 2
        after_ms = 40.0 if number % 5 == 4 else 3.0
        yield ["send", number, now]
        yield ["tick", now + after_ms - 1]
        for answered in (0, 1) if number == 0 else (lane,):
            yield ["acked", answered, number, 1 + int(after_ms - 3), 1, False, False, now + after_ms]
        yield ["look", now + after_ms + 1]


def wild(seed: int) -> Iterator[Event]:
    """Calls without order, as a hostile server and a broken network make them."""
    chance = random.Random(seed)
    now, number, newest = 0.0, 0, 0
    for _ in range(600):
        now += chance.choice([0, 0.5, 3, 17.3, 60, 60, 250, 1700 if chance.random() < 0.1 else 5])
        lane = chance.randrange(4)
        what = chance.choices(
            ["open", "close", "writable", "send", "acked", "tick", "arrived", "heard", "look"],
            [3, 1, 2, 12, 12, 6, 8, 1, 4],
        )[0]
        if what in ("open", "close"):
            yield [what, lane, now]
            if what == "close":
                yield ["gone", lane]
        elif what == "writable":
            yield [what, lane, chance.random() < 0.8]
        elif what == "send":
            yield [what, number, now]
            number += 1
        elif what == "acked":
            seq = max(0, number - chance.choice([1, 1, 2, 3, 5, 40]))
            delay = (chance.choice([0, 30, 80, 500, -200]) + 12_345) & UINT32_MAX
            yield [what, lane, seq, delay, chance.randrange(4), chance.random() < 0.1, chance.random() < 0.3, now]
        elif what == "heard":
            yield [what, chance.choice([0, 0, 1, 3]), chance.random() < 0.5, now]
        elif what == "arrived":
            newest = (newest + chance.choice([1, 1, 1, 0, -1, -5, 1500, -1500])) & UINT32_MAX
            yield [what, lane, newest, chance.getrandbits(32), chance.random() < 0.1, now]
        else:
            yield [what, now]


def wild_plan(seed: int) -> Iterator[Event]:
    """Calls of a plan without order."""
    chance = random.Random(seed)
    now = 0.0
    for _ in range(400):
        now += chance.choice([0, 100, 100, 350, 1000])
        lane = chance.randrange(8)
        what = chance.choices(["opened", "closed", "received", "dialled", "refused", "step"], [4, 1, 6, 1, 1, 12])[0]
        if what == "opened":
            yield [what, lane, now]
        elif what == "closed":
            yield [what, lane, now, chance.random() < 0.5]
        elif what == "received":
            yield [what, lane, chance.choice([200, 5000, 20_000])]
        elif what == "dialled":
            yield from ([what, now], ["dial_ended"])
        elif what == "refused":
            yield [what, now]
        else:
            stalled = sorted(chance.sample(range(8), chance.choice([0, 0, 1, 2])))
            for _ in range(chance.choice([1, 1, 12])):
                yield [what, chance.randrange(1, 7), stalled, chance.random() < 0.05, chance.random() < 0.1, now]
                now += 400


def lossy_plan(losses: bool) -> Iterator[Event]:
    """Two lanes die after alike many bytes, another receives more before, or later; with `losses` a third one is
    stalled now and then, and answers again."""
    for lane in range(3):
        yield ["opened", lane, 0]
    for second in range(60):
        now = second * 1000
        stalled = [lane for lane, from_s in ((1, 10), (2, 20)) if from_s <= second < from_s + 4]
        if losses and second % 4 == 1:
            stalled.insert(0, 0)
        for lane in range(3):
            if second < (60, 10, 20)[lane]:
                yield ["received", lane, (300 if second < 30 else 900, 1000, 530)[lane]]
        yield ["step", 3, stalled, False, False, now]
        for lane, gone_s in ((1, 13), (2, 23)):
            if second == gone_s:
                yield ["closed", lane, now, False]


def hanging_plan() -> Iterator[Event]:
    """Of three handshakes the first two hang while it rings, which then are all that are begun."""
    yield ["opened", 0, 0]
    for now in range(0, 5_000, 100):
        if now == 3_000:
            yield ["sounds"]
        yield ["step", 2, [], False, False, now]
        if now in (500, 1_500, 3_500):
            yield ["dialled", now]
        elif now == 4_000:
            yield from (["dial_ended"], ["opened", 1, now])


class Network:
    """What a plan meets: connections that end, freeze or are forbidden."""

    def __init__(self, freeze_bytes: int | None = None, lanes_max: int | None = None, wanted: int = 2) -> None:
        self.plan = LanePlan(0.0)
        self.events: list[Event] = []
        self.freeze_bytes = freeze_bytes
        self.lanes_max = lanes_max
        self.wanted = wanted
        self.lanes: dict[LaneId, int] = {}
        self.next = 0

    def run(
        self, seconds: float, silent: range = range(0), limit_ends_s: float = float("inf"), *, rings: bool = False
    ) -> list[Event]:
        """Frames of 200 bytes on every lane each 100 ms; `silent` are the seconds in which nothing passes at all."""
        self._do("opened", self._fresh(), 0.0)
        if not rings:
            self.events.append(["sounds"])
            self.plan.is_sounding = True
        due: list[float] = []
        for now in (number * 100.0 for number in range(int(seconds * 10))):
            is_silent = int(now // 1000) in silent
            if now >= limit_ends_s * 1000:
                self.lanes_max = None
            while due and due[0] <= now and not is_silent:
                due.pop(0)
                is_forbidden = self.lanes_max is not None and len(self.lanes) >= self.lanes_max
                if is_forbidden and self.next % 2:
                    self._do("refused", now)
                    self._do("dial_ended")
                    continue
                self._do("dial_ended")
                self._do("opened", self._fresh(), now)
                if is_forbidden:
                    self._end(LaneId(self.next - 1), now + 40.0, reset=True)
            stalled = []
            for lane, size in self.lanes.items():
                if is_silent or (self.freeze_bytes is not None and size >= self.freeze_bytes):
                    stalled.append(lane)
                    continue
                self.lanes[lane] += 200
                self._do("received", lane, 200)
            self.events.append(["step", self.wanted, stalled, is_silent, is_silent, now])
            steps = self.plan.step(self.wanted, stalled, now, silent=is_silent, stuck=is_silent)
            for lane in steps.leave:
                self._end(lane, now, reset=False)
            if steps.dial:
                self._do("dialled", now)
                due.append(now + 150.0)
        return self.events

    def _do(self, what: str, *arguments: Any) -> None:
        self.events.append([what, *arguments])
        getattr(self.plan, what)(*arguments)

    def _fresh(self) -> LaneId:
        lane = LaneId(self.next)
        self.next += 1
        self.lanes[lane] = 0
        return lane

    def _end(self, lane: LaneId, now: float, *, reset: bool) -> None:
        del self.lanes[lane]
        self.events.append(["closed", lane, now, reset])
        self.plan.closed(lane, now, reset=reset)


def hops() -> Iterator[tuple[str, str, int, list[Event]]]:
    """(name, what it shows, number of the first frame, events without answers)."""
    yield "clean", "nothing goes wrong", 0, hop(10, 2, Way(25.0))
    yield "loss-5", "one packet in twenty is lost", 0, hop(15, 2, Way(25.0, random_loss(0.05)))
    yield "loss-20", "one packet in five is lost for 8 s", 0, hop(19, 4, Way(25.0, until(7_000, 0.2)))
    narrow = Way(25.0, rate_bps=lambda now_ms: 32_000.0 if 2000 <= now_ms < 8000 else float("inf"))
    yield "narrow", "32 kbit/s for 6 s", 0, hop(131, 2, narrow)
    slower = Way(25.0, rate_bps=lambda now_ms: 32_000.0 if now_ms >= 2000 else float("inf"))
    yield "narrow-for-good", "32 kbit/s, and never more again", 0, hop(20, 2, slower)
    begun = Way(25.0, rate_bps=lambda now_ms: 32_000.0, free_ms=600.0)
    yield "narrow-and-full", "32 kbit/s, and something else is still in the pipe", 0, hop(10, 1, begun)
    yield "lane-ends", "one of two connections breaks", 0, hop(8, 2, Way(25.0), lambda world: world.end(0, 4010))
    yield (
        "lane-stalls",
        "one of two connections freezes",
        0,
        hop(9, 2, Way(25.0), lambda world: world.freeze(0, 4010)),
    )

    def black(world: Recorded) -> None:
        world.freeze(0, 4010)
        world.freeze(1, 4010)
        world.at(7000, lambda now_ms: world.sender.open(LaneId(2), now_ms))

    yield "all-stall", "both connections freeze, then a third comes", 0, hop(10, 2, Way(25.0), black)
    yield "wrap", "numbers and clock pass 2^32", UINT32_MAX - 40, list(wrap())
    yield "busy", "a short way between busy devices", 0, list(busy())
    later = Way(25.0, rate_bps=lambda now_ms: 32_000.0 if now_ms >= 5000 else float("inf"))
    yield "short", "short packets, until the pipe gets narrow", 0, [["short"], *hop(9, 2, later)]
    little = Way(25.0, lambda now_ms, rng: now_ms >= 4000 and rng.random() < 0.06)
    yield "short-lossy", "short packets, until a few are lost", 0, [["short"], *hop(14, 2, little)]
    clean = hop(12, 2, Way(25.0))
    at = clean.index(["look", 4000.0])
    stalls = [*clean[:at], ["stalls", 4000.0], *clean[at:]]
    yield "short-stalls", "short packets, until a connection stalls", 0, [["short"], *stalls]

    def back(*levels: Level) -> Callable[[Recorded], None]:
        """The other direction's levels, 6 s each."""

        def prepare(world: Recorded) -> None:
            for number, level in enumerate(levels):
                world.at(6_000.0 * number, lambda now_ms, level=level: setattr(world.back, "level", level))  # type: ignore[misc]

        return prepare

    again = hop(16, 2, Way(25.0), back(Level.NORMAL, Level.BOOST, Level.NORMAL))
    yield "short-again", "short packets, but not while the way back needs more", 0, [["short"], *again]
    lossy = Way(25.0, random_loss(0.06))
    yield (
        "back-lean",
        "some lost, and the way back is narrow",
        0,
        hop(14, 3, lossy, back(Level.LEAN, Level.NORMAL)),
    )
    twice = Way(25.0, rate_bps=lambda now_ms: 32_000.0 if 2000 <= now_ms % 8000 < 5000 else float("inf"))
    yield "back-boost", "narrow twice, beside a way back that needs copies", 0, hop(22, 2, twice, back(Level.BOOST))

    def around(now_ms: float, rng: random.Random) -> bool:
        return not 4000 <= now_ms < 5500 and rng.random() < 0.3

    doubtful = Way(25.0, around, rate_bps=lambda now_ms: 32_000.0 if 4500 <= now_ms < 5000 else float("inf"))
    yield "held-lossy", "a third lost, and narrow for half a second", 0, hop(16, 4, doubtful)
    for seed in range(3):
        yield f"wild-{seed}", "no order at all", 0, list(wild(seed))
    yield "wild-short", "no order, and packets may be short", 0, [["short"], *wild(3)]


def plans() -> Iterator[tuple[str, str, list[Event]]]:
    """(name, what it shows, events without answers)."""
    yield "plan-clean", "a spare lane is opened", Network().run(10)
    yield "plan-rings", "a spare lane is opened before any sound", Network().run(3, rings=True)
    yield "plan-hangs", "handshakes hang, while it rings and later", list(hanging_plan())
    yield "plan-heavy", "six lanes are wanted", Network(wanted=6).run(15)
    yield "plan-freeze", "a connection freezes after 16 KB", Network(freeze_bytes=16_000).run(30)
    yield "plan-alike", "two die after alike many bytes, and a third lives on past them", list(lossy_plan(False))
    yield (
        "plan-alike-lossy",
        "two die after alike many bytes where others are stalled and come back",
        list(lossy_plan(True)),
    )
    yield "plan-count", "more than two connections are reset", Network(lanes_max=2, wanted=4).run(50)
    yield (
        "plan-no-limit",
        "what looked like a limit is gone",
        Network(lanes_max=2, wanted=4).run(30, limit_ends_s=15),
    )
    yield "plan-silent", "nothing passes for five seconds", Network().run(15, range(4, 9))
    for seed in range(2):
        yield f"plan-wild-{seed}", "no order at all", list(wild_plan(seed))


def files() -> Iterator[tuple[Path, str]]:
    """Every file with its content."""
    for name, shows, first_seq, events in hops():
        yield (
            FOLDER / f"{name}.json",
            document({"shows": shows, "first_seq": first_seq}, replay_hop(events, first_seq)),
        )
    for name, shows, events in plans():
        yield FOLDER / f"{name}.json", document({"shows": shows}, replay_plan(events))


def document(head: dict[str, Any], events: list[Event]) -> str:
    """One event a line."""
    rows = ",\n".join("  " + json.dumps(event, separators=(",", ":")) for event in events)
    return json.dumps(head, indent=1)[:-2] + f',\n "events": [\n{rows}\n ]\n}}\n'


def main() -> None:
    """Write the files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for path, content in files():
        path.write_text(content)


if __name__ == "__main__":
    main()
