"""Writes every screen of the page at 390 and 1280 pixels, light and dark, into docs/screens/.

Run from the top folder: `python -m web.test.ui.screens`. The people are scripted and the clock stands, so that
pictures change only when the page does.
"""

from __future__ import annotations

import argparse
import asyncio
import io
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.async_api import Page

from tests.web.ui_page import NARROW, WEB, WIDE, build, chromium, served

SIZES = {390: NARROW, 1280: WIDE}
OUT = WEB.parent / "docs" / "screens"
COLOURS_EXACT = 144


async def _open(page: Page, title: str) -> None:
    await page.evaluate("title => { location.hash = '#/chat/' + fake.idOf(title) }", title)
    await page.wait_for_selector("[data-message]")
    await page.wait_for_timeout(150)


async def _chat(page: Page) -> None:
    await _open(page, "@ana")
    await page.wait_for_selector("button.picture img")


async def _group(page: Page) -> None:
    await _open(page, "Garden committee")


async def _group_info(page: Page) -> None:
    await _open(page, "Garden committee")
    await page.evaluate("location.hash += '/info'")
    await page.wait_for_selector("aside")


async def _person_info(page: Page) -> None:
    await _open(page, "@ana")
    await page.evaluate("location.hash += '/info'")
    await page.wait_for_selector("aside")


async def _safety(page: Page) -> None:
    await _person_info(page)
    await page.click("aside button.line")
    await page.wait_for_selector("ol.digits")


async def _key_changed(page: Page) -> None:
    await _chat(page)
    await page.evaluate("fake.trust(fake.members('@ana')[1].accountId, 'changed')")
    await page.wait_for_selector("[role=alert]")


async def _request(page: Page) -> None:
    await _open(page, "@m.okafor@chat.example.net")


async def _menu(page: Page) -> None:
    await _chat(page)
    await page.locator("[data-message]").nth(-3).focus()
    await page.keyboard.press("Enter")
    await page.wait_for_selector("[role=menu]")


async def _reply(page: Page) -> None:
    await _chat(page)
    await page.evaluate(
        "session.conversation(fake.idOf('@ana')).reply(session.conversation(fake.idOf('@ana')).messages.at(-3))"
    )
    await page.keyboard.type("I know that platform")


async def _offline(page: Page) -> None:
    await page.evaluate(
        "fake.connection({ kind: 'offline', reason: 'The server does not answer. Trying again in 20 s.' })"
    )
    await page.wait_for_selector("[role=status] strong")


async def _new_chat(page: Page) -> None:
    await page.get_by_role("button", name="New chat").click()
    await page.wait_for_selector("dialog")


async def _new_group(page: Page) -> None:
    await _new_chat(page)
    await page.get_by_role("radio", name="Group").check()
    await page.get_by_label("Name of the group").fill("Saturday walk")
    await page.get_by_role("button", name="@ana").click()
    await page.get_by_role("button", name="@tomas").click()


async def _my_code(page: Page) -> None:
    await _new_chat(page)
    await page.get_by_role("button", name="My code").click()


async def _place(page: Page, script: str) -> None:
    await page.evaluate("title => { location.hash = '#/chat/' + fake.idOf(title) }", "@ana")
    await page.get_by_role("button", name="Call", exact=True).click()
    await page.wait_for_selector("section.call")
    await page.evaluate(script)


async def _ringing(page: Page) -> None:
    await _place(page, "fake.call('@ana', { phase: 'ringing_there' })")


IN_CALL = """fake.call('@ana', {
  phase: 'in_call', sinceMs: fakeNowMs - 754000, quality: 'good',
  carrier: 'Through the message connection: direct UDP does not pass here.',
  direct: { state: 'blocked', clause: '', carries: false, framesDirect: 0, framesLanes: 900,
    why: 'It does not pass between the two networks; it is tried again.' },
  way: { level: 'normal', lanes: 2, queueingMs: 0, missShare: 0.01, roundTripMs: 48, lanesOpened: 3 },
  verdicts: [
    { verdict: 'direct_blocked', matter: 'Direct UDP does not pass here.',
      remedy: 'The call is carried by the message connection.' },
  ],
  trace: Array.from({ length: 60 }, (_, second) => ({
    roundTripMs: Math.round(55 + 18 * Math.sin(second / 3) + (second % 7) * 4),
    lostShare: second === 21 ? 0.2 : second === 22 ? 0.08 : 0,
  })),
})"""


async def _in_call(page: Page) -> None:
    await _place(page, IN_CALL)


async def _call_why(page: Page) -> None:
    await _in_call(page)
    await page.locator("summary").click()
    await page.locator("details").scroll_into_view_if_needed()


CALL_NOTES = """fake.call('@ana', {
  phase: 'in_call', sinceMs: fakeNowMs - 95000, quality: 'poor', carrier: 'Through the message connection.',
  notes: { on: true, speaking: false, spokenMs: 0, unsent: 1, playing: 0 },
})"""


async def _call_notes(page: Page) -> None:
    await _place(page, CALL_NOTES)


async def _voice_note(page: Page) -> None:
    await _open(page, "@tomas")
    await page.evaluate(
        """for (const mine of [false, true]) {
          const people = fake.members('@tomas')
          fake.say(fake.idOf('@tomas'), people.find((person) => person.isMe === mine), { kind: 'note', seconds: 3 })
        }"""
    )
    await page.get_by_role("button", name="Play voice note, 3 seconds").first.wait_for()


async def _call_ended(page: Page) -> None:
    await _place(page, "fake.call('@ana', { phase: 'ended', ended: 'No answer within a minute.' })")


async def _call_bar(page: Page) -> None:
    await _in_call(page)
    await _group(page)


async def _incoming(page: Page) -> None:
    await page.evaluate("fake.call('@tomas', {})")
    await page.wait_for_selector("dialog")


async def _fault(page: Page) -> None:
    await _chat(page)
    await page.evaluate(
        "fake.trouble({ code: 'full', what: 'This browser has no room left.',"
        " next: 'Delete downloads, then send again.' })"
    )
    await page.wait_for_selector(".toast")


async def _welcome(page: Page) -> None:
    await page.get_by_label("Handle").fill("noor")
    await page.get_by_role("button", name="Create account").click()
    await page.wait_for_selector("text=You are @noor")


async def _refused_handle(page: Page) -> None:
    await page.get_by_label("Handle").fill("taken")
    await page.get_by_role("button", name="Create account").click()
    await page.wait_for_selector("text=belongs to somebody else")


async def _network(page: Page) -> None:
    await page.evaluate("location.hash = '#/settings/network'")
    await page.get_by_role("button", name="Check now").click()
    await page.get_by_role("button", name="Stop").wait_for()
    await page.evaluate(
        """fake.checked({ verdicts: [{ verdict: 'frozen', matter:
        'This network freezes each connection after a few kilobytes.',
        remedy: 'Each connection is replaced before it freezes.' }] })"""
    )
    await page.get_by_role("button", name="Check again").wait_for()


def _go(target: str) -> Callable[[Page], Awaitable[None]]:
    async def act(page: Page) -> None:
        await page.evaluate("target => { location.hash = target }", target)
        await page.wait_for_timeout(250)

    return act


async def _nothing(page: Page) -> None:
    pass


SCREENS: dict[str, tuple[str, Callable[[Page], Awaitable[None]]]] = {
    "first-run": ("new", _nothing),
    "handle-taken": ("new", _refused_handle),
    "welcome": ("new", _welcome),
    "empty": ("bare", _nothing),
    "chats": ("full", _nothing),
    "offline": ("full", _offline),
    "chat": ("full", _chat),
    "message-menu": ("full", _menu),
    "reply": ("full", _reply),
    "group": ("full", _group),
    "group-info": ("full", _group_info),
    "person-info": ("full", _person_info),
    "safety-number": ("full", _safety),
    "key-changed": ("full", _key_changed),
    "request": ("full", _request),
    "new-chat": ("full", _new_chat),
    "new-group": ("full", _new_group),
    "my-code": ("full", _my_code),
    "link": ("full", _go("#/@mira")),
    "incoming-call": ("full", _incoming),
    "call-ringing": ("full", _ringing),
    "in-call": ("full", _in_call),
    "call-why": ("full", _call_why),
    "call-bar": ("full", _call_bar),
    "call-notes": ("full", _call_notes),
    "voice-note": ("full", _voice_note),
    "call-ended": ("full", _call_ended),
    "calls": ("full", _go("#/calls")),
    "settings": ("full", _go("#/settings")),
    "network-check": ("full", _network),
    "server-knows": ("full", _go("#/settings/server")),
    "fault": ("full", _fault),
}


def _colours(picture: Image.Image) -> list[tuple[int, int, int]]:
    """Every colour of an RGB picture, the most frequent first."""
    colours, counts = np.unique(np.asarray(picture).reshape(-1, 3), axis=0, return_counts=True)
    return [(int(r), int(g), int(b)) for r, g, b in colours[np.argsort(-counts)]]


def _write(png: bytes, path: Path) -> None:
    """As a palette picture, a third of the size: the frequent colours stay exact, the rest share what is left."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    colours = _colours(picture)
    chosen, rest = colours[:COLOURS_EXACT], colours[COLOURS_EXACT:]
    if rest:
        strip = Image.fromarray(np.array([rest], dtype=np.uint8), "RGB")
        shared = strip.quantize(256 - COLOURS_EXACT, method=Image.Quantize.MAXCOVERAGE).convert("RGB")
        chosen += _colours(shared)
    palette = Image.new("P", (1, 1))
    palette.putpalette([channel for colour in chosen for channel in colour])
    picture.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)


async def draw(out: Path, only: list[str], query: str) -> None:
    with served() as origin:
        async with chromium() as browser:
            for width, size in SIZES.items():
                for scheme in ("light", "dark"):
                    context = await browser.new_context(
                        viewport=size, color_scheme=scheme, reduced_motion="reduce", has_touch=size is NARROW
                    )
                    for name, (scene, act) in SCREENS.items():
                        if only and name not in only:
                            continue
                        page = await context.new_page()
                        await page.goto(f"{origin}/page.html?scene={scene}&{query}")
                        await page.wait_for_selector("h1, h2")
                        await act(page)
                        await page.mouse.move(0, 0)
                        await page.wait_for_timeout(150)
                        _write(await page.screenshot(), out / f"{name}-{width}-{scheme}.png")
                        await page.close()
                    await context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[], help="names of screens")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--query", default="", help="added to the address, for example dir=rtl")
    options = parser.parse_args()
    build()
    options.out.mkdir(parents=True, exist_ok=True)
    asyncio.run(draw(options.out, options.only, options.query))


if __name__ == "__main__":
    main()
