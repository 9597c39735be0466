"""Calls from shipped page to shipped page and to the SDK, with recorded speech as microphone, scored as it was heard.

The page leaves echo cancellation, noise suppression and gain to the browser, and these change the sound before we
get it: so a call as shipped is scored against what the browser handed over, and a call with them left out, by the
test and not by the page, against the file itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from lab.browser import site as shipped
from lab.browser.person import Person, chromium, speaking
from lab.speech import ALICE_SAYS, BOB_SAYS, speech, write_wav
from ringthrough.audio.pcm import SAMPLE_RATE_HZ, Pcm
from ringthrough.audio.score import Score, score
from ringthrough.client.calls import Call
from ringthrough.client.client import Client, online
from ringthrough.client.media import PcmSource
from ringthrough.server.app import ServerConfig, start

pytestmark = [pytest.mark.slow, pytest.mark.alone]

PESQ_MIN = 3.4
ESTOI_MIN = 0.93
ATTEMPTS = 4
"""Calls to make until one is heard well: a shared machine takes the time of a call that it owes to none."""
CONCEALED_BY_SHORT_STALLS_MAX = 6
"""Slots of the 600 of a call: its buffer holds less than the witness of stalls can see, each way."""
CONCEALED_FOR_A_STALL_MAX = 5
LEAD_S = 6.0
"""Silence at the beginning of each microphone: meanwhile the call is answered and, between pages, goes directly."""
SPEECH_S = 12.0
PROCESSING = ("echoCancellation", "noiseSuppression", "autoGainControl")


@dataclass(frozen=True)
class Voice:
    """A file for a fake microphone, and the speech in it."""

    path: Path
    speech: Pcm

    @property
    def with_lead(self) -> Pcm:
        return np.concatenate([silent(LEAD_S), self.speech, silent(1.0)])


def silent(seconds: float) -> Pcm:
    return np.zeros(int(seconds * SAMPLE_RATE_HZ), dtype=np.int16)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shipped.build(tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> tuple[Voice, Voice]:
    folder = tmp_path_factory.mktemp("voices")
    made = []
    for name, says in (("alice", ALICE_SAYS), ("bob", BOB_SAYS)):
        voice = Voice(folder / f"{name}.wav", speech(says, SPEECH_S))
        write_wav(voice.path, voice.with_lead)
        made.append(voice)
    return made[0], made[1]


@asynccontextmanager
async def serving(pages: Path, data: Path) -> AsyncIterator[str]:
    server = await start(ServerConfig(data, port=0, page_dir=pages))
    try:
        yield f"http://localhost:{server.port}"
    finally:
        await server.close()


class Ear:
    """A loudspeaker that keeps what it plays."""

    def __init__(self) -> None:
        self.frames: list[Pcm] = []

    def write(self, frame: Pcm) -> None:
        self.frames.append(frame)

    @property
    def heard(self) -> Pcm:
        return np.concatenate(self.frames)


@dataclass(frozen=True)
class Outcome:
    """One call: what was said and heard in each direction, and what it cost."""

    directions: dict[str, tuple[Pcm, Pcm]]
    concealed: dict[str, int]
    stalls: int

    def scores(self) -> dict[str, Score]:
        return {name: score(said, heard) for name, (said, heard) in self.directions.items()}


async def by_page(pages: Path, data: Path, voices: tuple[Voice, Voice], *, raw: bool) -> Outcome:
    """A call from a page to a page, in two browsers."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(pages, data))
        alice, bob = [
            await Person.arrive(await stack.enter_async_context(chromium(speaking(v.path))), url, handle, raw=raw)
            for v, handle in zip(voices, ("alice", "bob"), strict=True)
        ]
        await alice.write("@bob", "I will call")
        await bob.accept("@alice")
        await alice.call()
        await bob.answer()
        await asyncio.gather(*(person.told("Directly between the two devices.") for person in (alice, bob)))
        await asyncio.sleep(LEAD_S + SPEECH_S + 1)
        states = [await person.state() for person in (alice, bob)]
        said = [await person.said() for person in (alice, bob)]
        heard = [await person.heard() for person in (alice, bob)]
        for person in (alice, bob):
            (asked,) = await person.asked()
            assert all(asked["audio"][name] is True for name in PROCESSING), asked
        await alice.hang_up()
        await bob.told("The other side hung up.")
    references = [
        voice.speech if raw else mouth.speech()[: -2 * SAMPLE_RATE_HZ]
        for voice, mouth in zip(voices, said, strict=True)
    ]
    return Outcome(
        {
            "alice to bob": (references[0], heard[1].speech()),
            "bob to alice": (references[1], heard[0].speech()),
        },
        {"alice": states[0]["report"]["concealedSlots"], "bob": states[1]["report"]["concealedSlots"]},
        sum(state["stalls"] for state in states),
    )


async def with_sdk(
    pages: Path, data: Path, voices: tuple[Voice, Voice], *, page_calls: bool, directly: bool = False
) -> Outcome:
    """A call between a page and the SDK, from either side."""
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(pages, data))
        bob = await stack.enter_async_context(await Client.create_account(data.parent / "bob", url, "bob"))
        await online(bob)
        browser = await stack.enter_async_context(chromium(speaking(voices[0].path)))
        alice = await Person.arrive(browser, url, "alice", raw=True)
        ear, mouth = Ear(), PcmSource(voices[1].with_lead)
        if page_calls:
            ringing: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
            bob.calls.ring = ringing.set_result
            await alice.write("@bob", "I will call")
            await alice.call()
            call = await asyncio.wait_for(ringing, 20)
            call.shows_address = directly
            call.answer(mouth, ear)
        else:
            conversation = await bob.conversation_with("@alice")
            await bob.send_text(conversation, "I will call")
            await alice.accept("@bob")
            call = bob.calls.place(conversation, mouth, ear, shows_address=directly)
            await alice.answer()
        await alice.talks()
        if directly:
            await alice.told("Directly between the two devices.")
        await asyncio.sleep(LEAD_S + SPEECH_S + 1)
        state, heard = await alice.state(), await alice.heard()
        assert call.media is not None
        assert call.media.direct.carries == directly
        call.hang_up()
        await alice.told("The other side hung up.")
    return Outcome(
        {"page to SDK": (voices[0].speech, ear.heard), "SDK to page": (voices[1].speech, heard.speech())},
        {"SDK": call.stats.concealed, "page": state["report"]["concealedSlots"]},
        state["stalls"],
    )


CALLS: dict[str, Callable[[Path, Path, tuple[Voice, Voice]], Awaitable[Outcome]]] = {
    "page to page, as shipped": lambda pages, data, voices: by_page(pages, data, voices, raw=False),
    "page to page, from the file": lambda pages, data, voices: by_page(pages, data, voices, raw=True),
    "page calls SDK": lambda pages, data, voices: with_sdk(pages, data, voices, page_calls=True),
    "SDK calls page": lambda pages, data, voices: with_sdk(pages, data, voices, page_calls=False),
    "page calls SDK, directly": lambda pages, data, voices: with_sdk(
        pages, data, voices, page_calls=True, directly=True
    ),
    "SDK calls page, directly": lambda pages, data, voices: with_sdk(
        pages, data, voices, page_calls=False, directly=True
    ),
}


@pytest.mark.parametrize("kind", CALLS)
async def test_speech_is_heard_as_it_was_said(
    kind: str,
    pages: Path,
    voices: tuple[Voice, Voice],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    for attempt in range(ATTEMPTS):
        outcome = await CALLS[kind](pages, tmp_path / str(attempt) / "server", voices)
        scores = outcome.scores()
        for name, result in scores.items():
            figures = {"pesq": round(result.pesq, 3), "estoi": round(result.estoi, 3)}
            print(kind, name, figures, outcome.concealed, f"stalls {outcome.stalls}")
            record_property(f"{name} {attempt}", figures)
            # However busy the machine is, it is speech.
            assert result.estoi_segments >= 0.7, result
        good = all(result.pesq >= PESQ_MIN and result.estoi >= ESTOI_MIN for result in scores.values())
        concealed_max = CONCEALED_BY_SHORT_STALLS_MAX + CONCEALED_FOR_A_STALL_MAX * outcome.stalls
        if good and max(outcome.concealed.values()) <= concealed_max:
            return
    pytest.fail(f"none of {ATTEMPTS} calls was heard as it was said; the last: {scores}, {outcome.concealed}")
