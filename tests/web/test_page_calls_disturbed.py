"""Calls of the shipped page that something happens to: the server is killed, a page is reloaded, a tab is hidden."""

from __future__ import annotations

import asyncio
import json
import random
import re
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from playwright.async_api import expect

from lab.browser import site as shipped
from lab.browser.person import PATIENCE_MS, Person, chromium, speaking
from lab.speech import write_wav
from ringthrough.audio.pcm import SAMPLE_RATE_HZ, SLOT_MS, Pcm, rms
from ringthrough.client.calls import Call
from ringthrough.client.client import Client, online
from ringthrough.client.media import PcmSource
from ringthrough.protocol.notes import Mode
from tests.web.audio_tabs import tab

pytestmark = [pytest.mark.slow, pytest.mark.alone]

LOUD_RMS = 0.02
PACKET_MS = 60
"""Of the ordinary profile."""
PATIENCE_S = 20.0
LOST_SHARE = 0.6
HIDDEN_S = 20.0
GAP_MS_MAX = 300
ATTEMPTS = 3
"""A busy machine makes gaps of its own, on any way."""
TONE = (8000 * np.sin(2 * np.pi * 330 * np.arange(SAMPLE_RATE_HZ * 120) / SAMPLE_RATE_HZ)).astype(np.int16)
"""What the SDK says. The browsers' fake microphones beep once a second."""
THROTTLED_SOON = "--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/2"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shipped.build(tmp_path_factory.mktemp("page"))


class Server:
    """A server process that is killed and started again on the same port and data."""

    def __init__(self, data: Path, pages: Path) -> None:
        self._data, self._pages = data, pages
        self._running, self.url = shipped.serving(data, pages)

    def kill(self) -> None:
        self._running.stop(signal.SIGKILL)

    def start_again(self) -> None:
        self._running, url = shipped.serving(self._data, self._pages, urlsplit(self.url).port or 0)
        assert url == self.url


@pytest.fixture
async def server(tmp_path: Path, pages: Path) -> AsyncIterator[Server]:
    running = Server(tmp_path / "server", pages)
    yield running
    running.kill()


@pytest.fixture
async def bob(server: Server, tmp_path: Path) -> AsyncIterator[Client]:
    async with await Client.create_account(tmp_path / "bob", server.url, "bob") as client:
        await online(client)
        yield client


class Ear:
    """A loudspeaker that can wait for something loud."""

    def __init__(self) -> None:
        self.frames: list[Pcm] = []
        self._more = asyncio.Event()

    def write(self, frame: Pcm) -> None:
        self.frames.append(frame)
        self._more.set()

    async def plays(self) -> None:
        """Wait for the next frame."""
        self._more.clear()
        await self._more.wait()

    async def hears(self, frames: int = 3) -> None:
        """Wait for so many loud frames from now on."""
        begin = len(self.frames)
        async with asyncio.timeout(PATIENCE_S):
            while sum(rms(frame) > LOUD_RMS for frame in self.frames[begin:]) < frames:
                self._more.clear()
                await self._more.wait()


def rings(client: Client) -> asyncio.Future[Call]:
    ringing: asyncio.Future[Call] = asyncio.get_running_loop().create_future()
    client.calls.ring = ringing.set_result
    return ringing


async def page_hears(person: Person, since_s: float) -> None:
    """Wait until the page plays a second of sound, of what is recorded after the first `since_s`."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            heard = (await person.heard()).speech()[int(since_s * SAMPLE_RATE_HZ) :]
            blocks = heard[: heard.size - heard.size % 960].reshape(-1, 960)
            if sum(rms(block) > LOUD_RMS for block in blocks) >= 1000 // PACKET_MS:
                return
            await asyncio.sleep(0.25)


async def recorded_s(person: Person) -> float:
    heard = await person.heard()
    return heard.pcm.size / heard.rate_hz


@pytest.mark.promise("CANNOT-LOSE")
async def test_a_call_and_messages_go_on_after_the_server_was_killed(server: Server, bob: Client) -> None:
    async with chromium() as browser:
        alice = await Person.arrive(browser, server.url, "alice", raw=True)
        ringing = rings(bob)
        await alice.write("@bob", "I will call")
        await alice.call()
        ear = Ear()
        call = await asyncio.wait_for(ringing, PATIENCE_S)
        call.answer(PcmSource(TONE), ear)
        await alice.talks()
        await ear.hears()
        await page_hears(alice, 0)

        server.kill()
        # Written while nobody is there to take it.
        (conversation,) = bob.conversations()
        await bob.send_text(conversation, "are you still there?")
        server.start_again()
        started_s = time.monotonic()
        before_s = await recorded_s(alice)
        await asyncio.gather(ear.hears(frames=6), page_hears(alice, before_s))
        print(f"both heard again {time.monotonic() - started_s:.1f} s after the start")
        await alice.talks()
        assert not call.ended.done()

        await alice.page.get_by_role("button", name="Back to the chats").click()
        await alice.sees("are you still there?")
        await alice.say("@bob", "I am")
        async with asyncio.timeout(PATIENCE_S):
            while [m.text for m in bob.messages() if m.kind == "text"] != [
                "I will call",
                "are you still there?",
                "I am",
            ]:
                await asyncio.sleep(0.05)
        await alice.hang_up()
        async with asyncio.timeout(PATIENCE_S):
            assert (await call.ended).value == "remote_hung_up"


async def test_the_address_is_hidden_in_the_middle_of_a_call_from_the_settings_of_another_tab(server: Server) -> None:
    async with chromium() as hers, chromium() as his:
        alice = await Person.arrive(hers, server.url, "alice")
        bob = await Person.arrive(his, server.url, "bob")
        await alice.write("@bob", "I will call")
        await bob.accept("@alice")
        await alice.call()
        await bob.answer()
        for person in (alice, bob):
            await person.told("Directly between the two devices.")
        settings = await bob.context.new_page()
        await settings.goto(f"{server.url}#/settings")
        await settings.get_by_role("switch", name="Hide my address in calls").click(timeout=PATIENCE_S * 1000)
        await bob.told("Through the message connection, because you hide your address.")
        await alice.told("Through the message connection: the other side does not connect directly.")
        await bob.talks()
        await alice.hang_up()
        await bob.told("The other side hung up.")


@pytest.mark.promise("CANNOT-LOSE")
async def test_a_call_that_loses_most_frames_goes_by_voice_notes_and_back(server: Server, bob: Client) -> None:
    async with chromium() as browser:
        alice = await Person.arrive(browser, server.url, "alice", raw=True)
        ringing, ear, modes = rings(bob), Ear(), list[Mode]()
        await alice.write("@bob", "I will call")
        await alice.call()
        call = await asyncio.wait_for(ringing, PATIENCE_S)
        call.on_mode = modes.append
        call.answer(PcmSource(TONE), ear)
        await alice.talks()
        await ear.hears()
        assert call.media is not None
        lanes, notes, dice, loses = call.media.lanes, call.media.notes, random.Random(4), True
        take, send = lanes.on_body, lanes.send
        lanes.on_body = lambda body: None if loses and dice.random() < LOST_SHARE else take(body)
        lanes.send = lambda body: (  # type: ignore[method-assign]
            True if loses and dice.random() < LOST_SHARE else send(body)
        )
        hold = alice.page.get_by_role("button", name="Hold and speak")
        await hold.wait_for(timeout=PATIENCE_S * 1000)
        async with asyncio.timeout(PATIENCE_S):
            while modes != [Mode.NOTES]:
                await ear.plays()

        begin, before_s = len(ear.frames), await recorded_s(alice)
        await hold.hover()
        await alice.page.mouse.down()
        await alice.told("Speaking, 2 s")
        await alice.page.mouse.up()
        async with asyncio.timeout(PATIENCE_S):
            while notes.heard < 1:
                await ear.plays()
        # Two beeps of the browser's microphone at least, each of 100 ms or so.
        assert sum(rms(frame) > LOUD_RMS for frame in ear.frames[begin:]) >= 6
        await page_hears(alice, before_s)

        loses = False
        await alice.told("Talking works again.")
        async with asyncio.timeout(PATIENCE_S):
            while modes != [Mode.NOTES, Mode.INTERACTIVE]:
                await ear.plays()
        await ear.hears()
        assert not call.ended.done()
        await alice.page.get_by_role("button", name="Back to the chats").click()
        await alice.page.get_by_role("button", name="Play voice note").first.wait_for()
        await alice.hang_up()
        async with asyncio.timeout(PATIENCE_S):
            assert (await call.ended).value == "remote_hung_up"


async def test_two_pages_talk_through_a_kill_and_a_reload_ends_the_call_with_a_reason(server: Server) -> None:
    async with chromium() as browser:
        alice = await Person.arrive(browser, server.url, "alice", raw=True)
        bob = await Person.arrive(browser, server.url, "bob", raw=True)
        await alice.write("@bob", "I will call")
        await bob.accept("@alice")
        await alice.call()
        await bob.answer()
        await asyncio.gather(alice.talks(), bob.talks())

        async def plays_on(person: Person, slots: int) -> None:
            async with asyncio.timeout(PATIENCE_S):
                # The call goes on from the first frame; playout tells of itself a little later.
                while (report := (await person.state())["report"]) is None or report["playedSlots"] < slots:
                    await asyncio.sleep(0.1)

        await asyncio.gather(plays_on(alice, 1), plays_on(bob, 1))
        server.kill()
        server.start_again()
        before = [await recorded_s(person) for person in (alice, bob)]
        played = [(await person.state())["report"]["playedSlots"] for person in (alice, bob)]
        await asyncio.gather(*map(plays_on, (alice, bob), [slots + 2000 // SLOT_MS for slots in played]))
        for person, since_s in zip((alice, bob), before, strict=True):
            heard = (await person.heard()).speech()[int(since_s * SAMPLE_RATE_HZ) :]
            assert np.abs(heard).max() > 2000, "the other side's beeps"
        await bob.page.reload()
        await alice.told("The call was cut off: one of the two devices failed or was closed.")
        await bob.page.evaluate("location.hash = '#/calls'")
        await bob.told("Incoming call")
        assert await bob.page.get_by_role("button", name="Hang up").count() == 0


async def test_a_call_goes_on_in_a_hidden_tab(server: Server, bob: Client) -> None:
    ear, ringing = Ear(), rings(bob)
    switches = ("--use-fake-ui-for-media-stream", THROTTLED_SOON)
    async with tab(server.url, switches) as page:

        async def click(label: str) -> None:
            button = f"document.querySelector({json.dumps(f'[aria-label={json.dumps(label)}]')})"
            await page.until(f"{button} !== null", PATIENCE_S)
            await page.evaluate(f"{button}.click()")

        await page.until("document.querySelector('form input') !== null", PATIENCE_S)
        await page.evaluate(
            "(field => { field.value = 'alice'; field.dispatchEvent(new Event('input', { bubbles: true }));"
            " field.form.requestSubmit() })(document.querySelector('form input'))"
        )
        await page.until("document.body.textContent.includes('You are @alice')", PATIENCE_S)
        conversation = await bob.conversation_with("@alice")
        await bob.send_text(conversation, "call me")
        await page.until("[...document.querySelectorAll('a')].some(a => a.textContent.includes('@bob'))", PATIENCE_S)
        await page.evaluate("[...document.querySelectorAll('a')].find(a => a.textContent.includes('@bob')).click()")
        accept = "[...document.querySelectorAll('button')].find(b => b.textContent.trim() === 'Accept')"
        await page.until(f"{accept} !== undefined", PATIENCE_S)
        await page.evaluate(f"{accept}.click()")
        await click("Call")
        call = await asyncio.wait_for(ringing, PATIENCE_S)
        call.answer(PcmSource(TONE), ear)
        await page.until("document.querySelector('[role=timer]') !== null", PATIENCE_S)
        await ear.hears()
        await page.hide()
        assert await page.evaluate("document.visibilityState") == "hidden"
        began_s, before = time.monotonic(), (call.stats.played, call.stats.concealed, call.stats.late)
        await asyncio.sleep(HIDDEN_S)
        elapsed_s = time.monotonic() - began_s
        played, concealed, late = (
            now - then
            for now, then in zip((call.stats.played, call.stats.concealed, call.stats.late), before, strict=True)
        )
        assert await page.evaluate("document.visibilityState") == "hidden"
        assert await page.evaluate("document.querySelector('[role=timer]') !== null")
        print(f"hidden for {elapsed_s:.1f} s: {played} slots played, {late} late, {concealed} concealed")
        # Three packets of 60 ms may be on their way at either end; nothing else is missing.
        assert abs(played - elapsed_s * 1000 / SLOT_MS) <= 9
        await ear.hears()
        call.hang_up()
        await page.until("document.body.textContent.includes('The other side hung up.')", PATIENCE_S)


CUTTABLE = """{
  const Real = window.RTCPeerConnection
  window.RTCPeerConnection = class extends Real {
    createDataChannel(...given) {
      // Cannot be handed to the worker, so that the page carries its messages; and loses them once it is told to.
      return new Proxy(super.createDataChannel(...given), {
        set: (real, name, value) => { real[name] = value; return true },
        get: (real, name) => {
          if (name === "send") return (message) => window.isCut || real.send(message)
          return typeof real[name] === "function" ? real[name].bind(real) : real[name]
        },
      })
    }
  }
}"""


def longest_silence_ms(heard: Pcm) -> int:
    """Of a sound that never pauses."""
    longest = run = 0
    for at in range(0, heard.size - 160, 160):
        run = run + 10 if rms(heard[at : at + 160]) < LOUD_RMS else 0
        longest = max(longest, run)
    return longest


async def direct_ended(person: Person) -> None:
    """The clause says why the direct way was left. Which of the two words is right depends on how late a busy machine
    had made its frames before: that is told apart on a virtual clock (tests/protocol/test_carriers.py,
    web/test/worker/direct.test.ts) and in the lab."""
    why = re.compile("direct UDP (passed, and then fell silent|passes here, but badly)")
    await expect(person.page.get_by_text(why).first).to_be_visible(timeout=PATIENCE_MS)


async def test_a_direct_way_that_falls_silent_is_not_heard(server: Server, tmp_path: Path) -> None:
    microphone = tmp_path / "tone.wav"
    write_wav(microphone, TONE)
    for attempt in range(ATTEMPTS):
        async with chromium(speaking(microphone)) as browser:
            alice, bob = [
                await Person.arrive(browser, server.url, f"{name}{attempt}", raw=True, scripts=[CUTTABLE])
                for name in ("alice", "bob")
            ]
            await alice.write(f"@bob{attempt}", "I will call")
            await bob.accept(f"@alice{attempt}")
            await alice.call()
            await bob.answer()
            both = (alice, bob)
            await asyncio.gather(*(person.told("Directly between the two devices.") for person in both))
            begun_s = [await recorded_s(person) for person in both]
            before = [await person.state() for person in both]
            for person in both:
                await person.page.evaluate("window.isCut = true")
            await asyncio.gather(*(direct_ended(person) for person in both))
            now_s = [await recorded_s(person) for person in both]
            await asyncio.gather(*(page_hears(person, s) for person, s in zip(both, now_s, strict=True)))
            after = [await person.state() for person in both]
            heard = [await person.heard() for person in both]
            await alice.hang_up()
        silences = [
            longest_silence_ms(h.speech()[int(s * SAMPLE_RATE_HZ) :]) for h, s in zip(heard, begun_s, strict=True)
        ]
        concealed = [
            SLOT_MS * (now["report"]["concealedSlots"] - then["report"]["concealedSlots"])
            for now, then in zip(after, before, strict=True)
        ]
        stalls = sum(now["stalls"] - then["stalls"] for now, then in zip(after, before, strict=True))
        print(f"longest silence {silences} ms, concealed {concealed} ms, {stalls} stalls")
        if max(silences + concealed) <= GAP_MS_MAX or stalls == 0:
            break
    # A decoder conceals a pause by inventing more of the same, so what was invented counts as a gap too.
    assert max(silences + concealed) <= GAP_MS_MAX
