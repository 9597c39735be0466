"""Walks through a call in the page, its voice notes, and the check of the network, with a scripted engine."""

from __future__ import annotations

import contextlib
import re

import pytest
from playwright.async_api import Error as PageError
from playwright.async_api import expect
from web.test.ui.screens import SCREENS

from tests.web.ui_page import NARROW, asked, build, open_chat, opened, until, until_asked

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    build()


async def test_a_call_from_the_click_to_its_end() -> None:
    async with opened() as page:
        await open_chat(page, "@ana")
        await page.get_by_role("button", name="Call", exact=True).press("Enter")
        await until(page, "fake.asked.includes('attachAudio()')")
        await page.evaluate("fake.call('@ana', { phase: 'ringing_there' })")
        await expect(page.get_by_text("Ringing…")).to_be_visible()
        await page.evaluate(
            "fake.call('@ana', { phase: 'in_call', sinceMs: fakeNowMs - 61000, quality: 'good', carrier: 'Direct.' })"
        )
        await expect(page.get_by_role("timer")).to_have_text(re.compile("^1:[0-5][0-9]$"))
        await page.get_by_role("button", name="Mute").press("Enter")
        await expect(page.get_by_role("button", name="Unmute")).to_have_attribute("aria-pressed", "true")
        await page.get_by_role("link", name="Settings").click()
        await page.get_by_role("button", name="Back to the call").click()
        await page.get_by_role("button", name="Hang up").click()
        await expect(page.get_by_text("You hung up.")).to_be_visible()
        for call in ("placeCall()", "attachAudio()", "mute(true)", "hangUp()"):
            await until_asked(page, [call], call)
        await page.get_by_role("button", name="Write a message").click()
        await expect(page.get_by_role("textbox", name="Message to @ana")).to_be_visible()


async def test_a_call_says_which_way_and_why_and_can_be_held() -> None:
    async with opened(size=NARROW) as page:
        await SCREENS["in-call"][1](page)
        await expect(page.get_by_text("Direct UDP does not pass here.").first).to_be_visible()
        await expect(
            page.get_by_text("Last minute: 67 ms to the server and back, sound lost in 2 seconds")
        ).to_be_visible()
        assert await page.locator("figure rect").count() == 2
        relay = page.get_by_text("none is used, so none can be blocked")
        await expect(relay).to_be_hidden()
        await page.locator("summary").press("Enter")
        await expect(relay).to_be_visible()
        await expect(page.get_by_text("2 connections in use, 3 opened so far")).to_be_visible()
        ignored = page.get_by_text("damaged, repeated or unreadable")
        await expect(ignored).to_have_count(0)
        await page.evaluate("fake.call('@ana', { ignored: 12 })")
        await expect(ignored).to_have_text("12 packets that were damaged, repeated or unreadable")
        await relay.scroll_into_view_if_needed()
        for button in ("Back to the chats", "Hang up"):
            await expect(page.get_by_role("button", name=button)).to_be_in_viewport(ratio=1)
        await page.get_by_role("button", name="Hold").press("Enter")
        await expect(page.get_by_text("On hold: nothing is sent or played.")).to_be_visible()
        await expect(page.get_by_role("button", name="Unmute")).to_be_disabled()
        await page.get_by_role("button", name="Take up again").press("Enter")
        await expect(page.get_by_role("button", name="Mute", exact=True)).to_be_enabled()
        await until_asked(page, ["mute(true)", "mute(false)"], "mute")


async def test_a_call_says_how_well_each_side_hears_the_other() -> None:
    async with opened() as page:
        await SCREENS["in-call"][1](page)
        gaps = page.get_by_text("What you say arrives there with gaps.")
        for quality, words in {"good": "Good quality", "fair": "Fair quality", "poor": "Poor quality"}.items():
            await page.evaluate("quality => fake.call('@ana', { quality })", quality)
            await expect(page.get_by_role("status").get_by_text(words)).to_be_visible()
            await expect(gaps).to_have_count(0)
        await page.evaluate("fake.call('@ana', { quality: 'good', qualityThere: 'poor' })")
        await expect(gaps).to_be_visible()
        await page.evaluate(
            "fake.call('@ana', { notes: { on: true, speaking: false, spokenMs: 0, unsent: 0, playing: 0 } })"
        )
        await expect(page.get_by_text("Too much is lost here")).to_be_visible()
        await expect(gaps).to_have_count(0)


async def test_a_call_that_broke_off_says_what_was_in_its_way() -> None:
    async with opened() as page:
        await SCREENS["in-call"][1](page)
        found = "{ verdict: '%s', matter: '%s', remedy: 'Something is done.' }"
        silent, direct = found % ("silent", "Nothing passes."), found % ("direct_blocked", "No UDP.")
        await page.evaluate(
            f"fake.call('@ana', {{ phase: 'ended', ended: 'It broke off.', verdicts: [{direct}, {silent}] }})"
        )
        await expect(page.get_by_text("It broke off.")).to_be_visible()
        await expect(page.get_by_text("Nothing passes.")).to_be_visible()
        await expect(page.get_by_text("No UDP.")).to_have_count(0)


async def test_sound_tells_of_a_muted_speaker_and_of_a_browser_that_holds_it_back() -> None:
    async with opened() as page:
        await SCREENS["in-call"][1](page)
        muted = page.get_by_role("status").get_by_text("You are muted")
        alert = page.locator("section.call").get_by_role("alert")
        await page.evaluate("sayOfSound({ kind: 'muted_speaking', speaking: true })")
        await expect(muted).to_be_visible()
        await page.evaluate("sayOfSound({ kind: 'muted_speaking', speaking: false })")
        await expect(muted).to_have_count(0)
        await page.evaluate("sayOfSound({ kind: 'paused', needsClick: true })")
        await expect(alert.get_by_role("button", name="Play sound")).to_be_visible()
        await page.evaluate("sayOfSound({ kind: 'running' })")
        await expect(alert).to_have_count(0)
        await page.evaluate("sayOfSound({ kind: 'trouble', what: 'It went away.', next: 'Plug it in.' })")
        await expect(alert).to_have_text("It went away. Plug it in.")


async def test_microphone_and_loudspeaker_are_chosen_in_the_call() -> None:
    flags = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    async with opened(flags=flags) as page:
        await SCREENS["in-call"][1](page)
        await page.evaluate(
            "navigator.mediaDevices.getUserMedia({ audio: true }).then((it) => it.getTracks()[0].stop())"
        )
        await page.get_by_role("button", name="Devices").press("Enter")
        for kind, named in {"setInput": "Microphone", "setOutput": "Loudspeaker"}.items():
            choice = page.get_by_role("combobox", name=named)
            chosen = choice.locator("option").nth(1)
            await expect(chosen).to_be_attached()
            value = await chosen.get_attribute("value")
            assert value
            await choice.select_option(value)
            await until_asked(page, [f"{kind}({value})"], kind)
            await choice.select_option("")
            await until_asked(page, [f"{kind}({value})", f"{kind}(null)"], kind)
            await expect(choice).to_have_value("")


RING_JS = """() => {
    window.tones = 0
    const start = OscillatorNode.prototype.start
    OscillatorNode.prototype.start = function (at) {
        window.tones++
        start.call(this, at)
    }
}"""


@pytest.mark.parametrize("rings", [True, False], ids=["on", "off"])
async def test_a_call_rings_until_it_is_dealt_with(rings: bool) -> None:
    async with opened(flags=("--autoplay-policy=no-user-gesture-required",)) as page:
        await page.evaluate(RING_JS)
        if not rings:
            await page.get_by_role("link", name="Settings").click()
            await page.get_by_role("switch", name="Ring aloud for calls").press("Space")
        await page.evaluate("fake.call('@tomas', {})")
        await expect(page.get_by_role("dialog", name="@tomas is calling")).to_be_visible()
        if rings:
            await until(page, "tones >= 2")
        await page.get_by_role("button", name="Decline").click()
        await expect(page.get_by_role("dialog")).to_have_count(0)
        assert (await page.evaluate("tones") > 0) is rings


NOTICES_JS = """() => {
    window.isHidden = false
    Object.defineProperty(document, 'hidden', { get: () => isHidden })
    window.hide = (hidden) => {
        isHidden = hidden
        document.dispatchEvent(new Event('visibilitychange'))
    }
    window.notices = []
    window.Notification = class {
        static permission = 'granted'
        constructor(title, options) {
            if (window.byWorkerAlone) throw new TypeError('Illegal constructor')
            Object.assign(this, { title, tag: options.tag, isOpen: true })
            notices.push(this)
        }
        close() { this.isOpen = false }
    }
    session.preferences.change({ notify: true })
}"""
"""Stands for the system, which shows nothing in a test."""


async def test_a_call_is_told_while_the_page_is_hidden_also_when_it_is_hidden_later() -> None:
    async with opened() as page:
        await page.evaluate(NOTICES_JS)
        await page.evaluate("fake.call('@tomas', {})")
        await expect(page.get_by_role("dialog", name="@tomas is calling")).to_be_visible()
        assert await page.evaluate("notices.length") == 0
        await page.evaluate("hide(true), hide(false), hide(true)")
        assert await page.evaluate("notices.map(({ title, isOpen }) => [title, isOpen])") == [
            ["@tomas is calling", True]
        ]
        await page.evaluate("fake.call('@tomas', { phase: 'ended', ended: 'They gave up.' })")
        await until(page, "notices.every(({ isOpen }) => !isOpen)")
        await page.evaluate("hide(false), hide(true)")
        assert await page.evaluate("notices.length") == 1


async def test_a_notice_is_put_by_the_service_worker_where_the_page_may_not() -> None:
    async with opened() as page:
        await page.evaluate(NOTICES_JS)
        await page.evaluate(
            """() => {
                window.byWorkerAlone = true
                const workers = new EventTarget()
                const shown = new Map()
                const registration = {
                    showNotification: async (title, { tag }) => void shown.set(tag, title),
                    getNotifications: async ({ tag }) => (shown.has(tag) ? [{ close: () => shown.delete(tag) }] : []),
                }
                workers.ready = Promise.resolve(registration)
                Object.defineProperty(navigator, 'serviceWorker', { value: workers })
                window.shown = shown
                hide(true)
            }"""
        )
        await page.evaluate("fake.call('@tomas', {})")
        await until(page, "shown.get('call') === '@tomas is calling'")
        await page.evaluate("fake.call('@tomas', { phase: 'ended', ended: 'They gave up.' })")
        await until(page, "shown.size === 0")


async def test_the_history_marks_the_calls_that_were_missed() -> None:
    async with opened() as page:
        await page.get_by_role("link", name="Calls", exact=True).click()
        rows = page.get_by_role("list", name="Call history").get_by_role("listitem")
        missed = rows.filter(has_text="Missed call")
        assert await missed.count() > 0
        answered = rows.filter(has_text="Outgoing call")
        assert await answered.count() > 0
        colour = "row => getComputedStyle(row.querySelector('.name')).color"
        assert await missed.first.evaluate(colour) != await answered.first.evaluate(colour)
        who = await missed.first.locator(".name").inner_text()
        await missed.first.get_by_role("button", name=f"Call {who}").click()
        await until_asked(page, ["placeCall()"], "placeCall")


async def test_a_call_goes_on_in_a_small_window_above_all_others() -> None:
    async with opened() as page:
        await SCREENS["in-call"][1](page)
        async with page.context.expect_page() as opening:
            await page.get_by_role("button", name="Small window").click()
        small = await opening.value
        await expect(small.get_by_role("timer")).to_have_text(re.compile(r"^\d+:\d\d$"))
        await expect(page.get_by_role("button", name="Small window")).to_have_count(0)
        await small.get_by_role("button", name="Mute").press("Enter")
        await expect(page.get_by_role("button", name="Unmute")).to_be_visible()
        async with small.expect_event("close"):
            # The window goes before the key comes up.
            with contextlib.suppress(PageError):
                await small.get_by_role("button", name="Hang up").press("Enter")
        await expect(page.get_by_text("You hung up.")).to_be_visible()
        for call in ("mute(true)", "hangUp()"):
            await until_asked(page, [call], call)


async def test_the_network_is_checked_by_keyboard_and_the_result_explained() -> None:
    async with opened(size=NARROW) as page:
        await page.get_by_role("link", name="Settings").press("Enter")
        await page.get_by_role("link", name="Network check").press("Enter")
        await page.get_by_role("switch", name="Also wait out a silence").press("Space")
        await page.get_by_role("button", name="Check now").press("Enter")
        await expect(page.get_by_role("progressbar", name="Progress of the check")).to_have_attribute(
            "aria-valuenow", "78"
        )
        await page.get_by_role("button", name="Stop").press("Enter")
        await expect(page.get_by_text("there is no verdict")).to_be_visible()
        await page.get_by_role("button", name="Check again").press("Enter")
        await expect(page.get_by_role("button", name="Stop")).to_be_visible()
        await page.evaluate(
            """fake.checked({ verdicts: [{ verdict: 'frozen', matter: 'Connections freeze here.',
            remedy: 'New ones take their place.' }] })"""
        )
        await expect(page.get_by_role("status").get_by_text("Connections freeze here.")).to_be_visible()
        await expect(page.get_by_text("frozen after 15,872 bytes")).to_be_visible()
        await expect(page.get_by_text("7 of 100 answers late")).to_be_visible()
        await page.evaluate("fake.checked({ steps: [{ name: 'bytes', state: 'failed', values: {} }] })")
        await expect(page.get_by_role("status").get_by_text("Not everything could be measured")).to_be_visible()
        await until_asked(page, ["checkNetwork(true)", "checkNetwork(true)"], "check")
        await until_asked(page, ["stopCheck()"], "stop")


async def test_a_call_by_voice_notes_is_spoken_by_key_by_pointer_and_by_click_alone() -> None:
    async with opened(size=NARROW) as page:
        await SCREENS["call-notes"][1](page)
        await expect(page.get_by_text("Hold the button (or space) and speak; it arrives whole.")).to_be_visible()
        await expect(page.get_by_role("button", name="Mute", exact=True)).to_be_disabled()
        hold = page.get_by_role("button", name="Hold and speak")
        release = page.get_by_role("button", name="Let go to send")
        await page.keyboard.down(" ")
        await expect(release).to_have_attribute("aria-pressed", "true")
        await expect(page.get_by_text("Speaking, 1 s")).to_be_visible()
        await page.keyboard.up(" ")
        await expect(hold).to_have_attribute("aria-pressed", "false")
        await expect(page.get_by_text("Sending 2 voice notes…").first).to_be_visible()
        await hold.focus()
        await page.keyboard.down("Enter")
        await expect(release).to_be_visible()
        await page.keyboard.up("Enter")
        await hold.hover()
        await page.mouse.down()
        await expect(release).to_be_visible()
        await page.mouse.move(5, 5)
        await page.mouse.up()
        await expect(hold).to_be_visible()
        for name in (hold, release):  # as a screen reader presses it
            await name.dispatch_event("click")
        await expect(hold).to_be_visible()
        spoken = ["speak(true)", "speak(false)"] * 4
        await until_asked(page, spoken, "speak")
        await page.get_by_role("button", name="Hold", exact=True).press("Enter")
        await expect(hold).to_be_disabled()
        await page.get_by_role("button", name="Take up again").press("Enter")
        await page.evaluate(
            "fake.call('@ana', { notes: { on: false, speaking: false, spokenMs: 0, unsent: 0, playing: 0 } })"
        )
        await expect(page.get_by_text("Talking works again.")).to_be_visible()
        await expect(hold).to_have_count(0)
        await page.evaluate("document.activeElement.blur()")
        await page.keyboard.press(" ")
        await page.evaluate("fake.call('@ana', { notes: null })")
        await expect(page.get_by_text("Talking works again.")).to_have_count(0)
        await until_asked(page, [*spoken, "speak(false)"], "speak")  # the last one is the hold's


async def test_the_microphone_closes_wherever_the_focus_is_when_the_key_comes_up() -> None:
    async with opened() as page:
        await SCREENS["call-notes"][1](page)
        hold = page.get_by_role("button", name="Hold and speak")
        release = page.get_by_role("button", name="Let go to send")
        spoken: list[str] = []

        async def press(key: str) -> None:
            await hold.focus()
            await page.keyboard.down(key)
            await expect(release).to_have_attribute("aria-pressed", "true")

        async def said() -> None:
            spoken.extend(("speak(true)", "speak(false)"))
            await until_asked(page, spoken, "speak")

        elsewhere = [
            page.get_by_role("button", name="Hang up"),
            page.get_by_role("link", name="Settings"),
            page.get_by_role("searchbox", name="Search chats"),
        ]
        for key in ("Space", "Enter"):
            for target in elsewhere:
                await press(key)
                await target.focus()
                await page.keyboard.up(key)
                await said()
                await expect(hold).to_have_attribute("aria-pressed", "false")
        await expect(page.get_by_role("searchbox", name="Search chats")).to_have_value("")
        assert "hangUp()" not in await asked(page), "the key was not meant for the button that has the focus now"
        # Another window, or the address line, takes the keys: they do not come up here.
        await press("Space")
        await page.evaluate("window.dispatchEvent(new Event('blur'))")
        await said()
        await page.keyboard.up("Space")
        # The button itself goes away.
        await press("Space")
        await page.evaluate("location.hash = '#/settings'")
        await said()
        await page.keyboard.up("Space")
        await until_asked(page, spoken, "speak")


async def test_a_voice_note_is_played_and_stopped() -> None:
    async with opened() as page:
        await SCREENS["voice-note"][1](page)
        play = page.get_by_role("button", name="Play voice note, 3 seconds")
        await expect(play).to_have_count(2)
        await play.first.press("Enter")
        await page.get_by_role("button", name="Stop the voice note").press("Enter")
        await expect(play).to_have_count(2)
        await until_asked(page, ["fetchNote()"], "fetchNote")


@pytest.mark.parametrize("query", ["", "dir=rtl"], ids=["ltr", "rtl"])
async def test_the_list_of_chats_says_what_became_of_a_call(query: str) -> None:
    """In the words of the line in the conversation, for eyes and for screen readers."""
    ends = {
        "outgoing: true, outcome: 'answered', seconds: 65": "Outgoing call, 1:05",
        "outgoing: false, outcome: 'answered', seconds: 3725": "Incoming call, 1:02:05",
        "outgoing: true, outcome: 'declined', seconds: 0": "Declined",
        "outgoing: false, outcome: 'missed', seconds: 0": "Missed call",
    }
    async with opened(query=query) as page:
        await open_chat(page, "@ana")
        for call, words in ends.items():
            await page.evaluate(
                f"fake.say(fake.idOf('@ana'), fake.members('@ana')[1], {{ kind: 'call', {call} }})",
            )
            row = page.get_by_role("link", name=re.compile(f"^@ana .*{words}"))
            await expect(row.get_by_text(words, exact=True)).to_be_in_viewport(ratio=1)
            await expect(page.locator("[data-message]").last.get_by_text(words, exact=True)).to_be_visible()
        line = row.locator(".bottom")
        sign, said = line.locator("svg"), line.get_by_text("Missed call")
        at, after = await sign.bounding_box(), await said.bounding_box()
        assert at is not None
        assert after is not None
        assert (at["x"] < after["x"]) is (query == "")
        await page.evaluate("fake.arrive('@ana', 'Sorry, I was out')")
        await expect(page.get_by_role("link", name=re.compile("^@ana .*Sorry"))).to_be_visible()
        await expect(sign).to_have_count(0)


async def test_a_declined_call_never_opens_the_microphone() -> None:
    async with opened() as page:
        await page.evaluate("fake.call('@tomas', {})")
        await page.get_by_role("button", name="Decline").click()
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await until_asked(page, ["declineCall()"], "decline")
        assert "attachAudio()" not in await asked(page)
