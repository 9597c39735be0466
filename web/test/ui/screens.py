"""Writes every screen of the page at 390 and 1280 pixels, light and dark, into docs/screens/.

Run after `npm run build:screens`. The people are scripted and the clock stands, so that pictures change only when the
page does.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page
from served import WEB, browser, served

SIZES = {390: (390, 844), 1280: (1280, 800)}
OUT = WEB.parent / "docs" / "screens"
COLOURS_EXACT = 144


def _open(page: Page, title: str) -> None:
    page.evaluate("title => { location.hash = '#/chat/' + fake.idOf(title) }", title)
    page.wait_for_selector("[data-message]")
    page.wait_for_timeout(150)


def _chat(page: Page) -> None:
    _open(page, "@ana")
    page.wait_for_selector("button.picture img")


def _group(page: Page) -> None:
    _open(page, "Garden committee")


def _group_info(page: Page) -> None:
    _open(page, "Garden committee")
    page.evaluate("location.hash += '/info'")
    page.wait_for_selector("aside")


def _person_info(page: Page) -> None:
    _open(page, "@ana")
    page.evaluate("location.hash += '/info'")
    page.wait_for_selector("aside")


def _safety(page: Page) -> None:
    _person_info(page)
    page.click("aside button.line")
    page.wait_for_selector("ol.digits")


def _request(page: Page) -> None:
    _open(page, "@m.okafor@chat.example.net")


def _menu(page: Page) -> None:
    _chat(page)
    page.locator("[data-message]").nth(-3).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=menu]")


def _reply(page: Page) -> None:
    _chat(page)
    page.evaluate(
        "session.conversation(fake.idOf('@ana')).reply(session.conversation(fake.idOf('@ana')).messages.at(-3))"
    )
    page.keyboard.type("I know that platform")


def _offline(page: Page) -> None:
    page.evaluate("fake.connection({ kind: 'offline', reason: 'The server does not answer. Trying again in 20 s.' })")
    page.wait_for_selector("[role=status] strong")


def _new_chat(page: Page) -> None:
    page.get_by_role("button", name="New chat").click()
    page.wait_for_selector("dialog")


def _new_group(page: Page) -> None:
    _new_chat(page)
    page.get_by_role("radio", name="Group").check()
    page.get_by_label("Name of the group").fill("Saturday walk")
    page.get_by_role("button", name="@ana").click()
    page.get_by_role("button", name="@tomas").click()


def _my_code(page: Page) -> None:
    _new_chat(page)
    page.get_by_role("button", name="My code").click()


def _place(page: Page, script: str) -> None:
    page.evaluate("title => { location.hash = '#/chat/' + fake.idOf(title) }", "@ana")
    page.get_by_role("button", name="Call", exact=True).click()
    page.wait_for_selector("section.call")
    page.evaluate(script)


def _ringing(page: Page) -> None:
    _place(page, "fake.call('@ana', { phase: 'ringing_there' })")


def _in_call(page: Page) -> None:
    _place(
        page,
        "fake.call('@ana', { phase: 'in_call', sinceMs: fakeNowMs - 754000, quality: 'good', carrier:"
        " 'Carried by the message connection: direct UDP does not pass on this network.' })",
    )


def _call_ended(page: Page) -> None:
    _place(page, "fake.call('@ana', { phase: 'ended', ended: 'No answer within a minute.' })")


def _call_bar(page: Page) -> None:
    _in_call(page)
    _group(page)


def _incoming(page: Page) -> None:
    page.evaluate("fake.call('@tomas', {})")
    page.wait_for_selector("dialog")


def _fault(page: Page) -> None:
    _chat(page)
    page.evaluate(
        "fake.trouble({ code: 'full', what: 'This browser has no room left.',"
        " next: 'Delete downloads, then send again.' })"
    )
    page.wait_for_selector(".toast")


def _welcome(page: Page) -> None:
    page.get_by_label("Handle").fill("noor")
    page.get_by_role("button", name="Create account").click()
    page.wait_for_selector("text=You are @noor")


def _refused_handle(page: Page) -> None:
    page.get_by_label("Handle").fill("taken")
    page.get_by_role("button", name="Create account").click()
    page.wait_for_selector("text=belongs to somebody else")


def _go(target: str) -> Callable[[Page], None]:
    def act(page: Page) -> None:
        page.evaluate("target => { location.hash = target }", target)
        page.wait_for_timeout(250)

    return act


def _nothing(page: Page) -> None:
    pass


SCREENS: dict[str, tuple[str, Callable[[Page], None]]] = {
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
    "request": ("full", _request),
    "new-chat": ("full", _new_chat),
    "new-group": ("full", _new_group),
    "my-code": ("full", _my_code),
    "link": ("full", _go("#/@mira")),
    "incoming-call": ("full", _incoming),
    "call-ringing": ("full", _ringing),
    "in-call": ("full", _in_call),
    "call-bar": ("full", _call_bar),
    "call-ended": ("full", _call_ended),
    "calls": ("full", _go("#/calls")),
    "settings": ("full", _go("#/settings")),
    "server-knows": ("full", _go("#/settings/server")),
    "fault": ("full", _fault),
}


def _write(png: bytes, path: Path) -> None:
    """As a palette picture, a third of the size: the frequent colours stay exact, the rest share what is left."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    counted = sorted(picture.getcolors(picture.width * picture.height) or [], reverse=True)
    exact = [colour for _, colour in counted[:COLOURS_EXACT]]
    rest = [colour for _, colour in counted[COLOURS_EXACT:]]
    if rest:
        strip = Image.new("RGB", (len(rest), 1))
        strip.putdata(rest)
        shared = strip.quantize(256 - COLOURS_EXACT, method=Image.Quantize.MEDIANCUT).convert("RGB")
        exact += [colour for _, colour in shared.getcolors(len(rest)) or []]
    palette = Image.new("P", (1, 1))
    palette.putpalette([channel for colour in exact for channel in colour])
    picture.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", help="names of screens")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--width", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--scheme", nargs="*", default=["light", "dark"])
    parser.add_argument("--query", default="", help="added to the address, for example dir=rtl")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with served() as origin, browser() as chromium:
        for width in options.width:
            size = SIZES.get(width, (width, 900))
            for scheme in options.scheme:
                context = chromium.new_context(
                    viewport={"width": size[0], "height": size[1]},
                    color_scheme=scheme,
                    reduced_motion="reduce",
                    has_touch=width < 800,
                )
                for name, (scene, act) in SCREENS.items():
                    if options.only and name not in options.only:
                        continue
                    page = context.new_page()
                    page.goto(f"{origin}/page.html?scene={scene}&{options.query}")
                    page.wait_for_selector("h1, h2")
                    act(page)
                    page.wait_for_timeout(120)
                    _write(page.screenshot(), options.out / f"{name}-{width}-{scheme}.png")
                    page.close()
                context.close()


if __name__ == "__main__":
    main()
