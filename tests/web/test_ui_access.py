"""Who cannot see, cannot point, needs it larger or from right to left: every screen, every action."""

from __future__ import annotations

from typing import Literal

import pytest
from playwright.async_api import Page
from web.test.ui.screens import SCREENS, SIZES

from tests.web.ui_page import BUILT, NARROW, WEB, build, chromium, open_chat, opened, served, until

pytestmark = pytest.mark.slow

AXE = WEB / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
"""The only rules of axe that a scheme can change."""
TARGET_PX = 44
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    build()
    assert (BUILT / "page.html").is_file()


async def violations(page: Page, rules: list[str] | None = None) -> list[str]:
    """What axe finds, by all its rules or by these."""
    # The policy forbids inline scripts, so axe comes through the debugger and not through a tag.
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text() + "; void 0")
    found: list[str] = await page.evaluate(
        """tags => axe.run(document, { runOnly: tags, resultTypes: ['violations'] }).then(({ violations }) =>
          violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => id + ': ' + html.slice(0, 160))))""",
        rules or TAGS,
    )
    return found


@pytest.mark.timeout(600)
async def test_axe_finds_nothing_on_any_screen_at_any_size_in_any_scheme() -> None:
    """Each screen is made once; size and scheme change under it, as when a window is resized at dusk."""
    found: dict[str, list[str]] = {}
    with served() as origin:
        async with chromium() as browser:
            context = await browser.new_context(reduced_motion="reduce")
            await context.add_init_script(path=AXE)
            for name, (scene, act) in SCREENS.items():
                page = await context.new_page()
                for width, size in SIZES.items():
                    await page.set_viewport_size(size)
                    if width == min(SIZES):
                        await page.goto(f"{origin}/page.html?scene={scene}")
                        await page.wait_for_selector("h1, h2")
                        await act(page)
                    for scheme in SCHEMES:
                        await page.emulate_media(color_scheme=scheme)
                        await page.evaluate("new Promise(requestAnimationFrame)")
                        rules = None if scheme == SCHEMES[0] else COLOUR_RULES
                        found[f"{name}-{width}-{scheme}"] = await violations(page, rules)
                await page.close()
    assert len(found) == len(SCREENS) * 4
    assert {name: hits for name, hits in found.items() if hits} == {}


async def test_axe_would_find_a_button_without_a_name() -> None:
    async with opened("bare") as page:
        await page.evaluate("document.querySelector('h1').insertAdjacentHTML('afterend', '<button></button>')")
        assert any(hit.startswith("button-name") for hit in await violations(page))


async def test_axe_would_find_pale_words() -> None:
    async with opened("bare") as page:
        await page.evaluate(
            "const style = document.querySelector('h1').style; [style.color, style.background] = ['#888', '#777']"
        )
        assert any(hit.startswith("color-contrast") for hit in await violations(page, COLOUR_RULES))


async def _overflows(page: Page) -> list[str]:
    """Elements that stick out of the window sideways."""
    found: list[str] = await page.evaluate(
        """() => [...document.querySelectorAll('body *')].filter(e => {
          const box = e.getBoundingClientRect()
          if (box.width < 2 || e.closest('svg, .skip, .unseen, ul.files')) return false
          // What its own frame cuts with an ellipsis sticks out of nothing.
          for (let up = e.parentElement; up; up = up.parentElement) {
            if (getComputedStyle(up).textOverflow === 'ellipsis') return false
          }
          return box.right > innerWidth + 1 || box.left < -1
        }).map(e => e.tagName + '.' + e.className)"""
    )
    return found


async def test_nothing_is_cut_off_at_200_percent() -> None:
    """Each screen is made once and then turned round."""
    found: dict[str, list[str]] = {}
    with served() as origin:
        async with chromium() as browser:
            context = await browser.new_context(viewport=NARROW, reduced_motion="reduce")
            await context.add_init_script("localStorage.setItem('preferences', '{\"textPercent\":200}')")
            for name, (scene, act) in SCREENS.items():
                page = await context.new_page()
                await page.goto(f"{origin}/page.html?scene={scene}")
                await page.wait_for_selector("h1, h2")
                assert await page.evaluate("getComputedStyle(document.documentElement).fontSize") == "32px"
                await act(page)
                for direction in ("ltr", "rtl"):
                    await page.evaluate("direction => void (document.documentElement.dir = direction)", direction)
                    found[f"{name}-{direction}"] = await _overflows(page)
                await page.close()
    assert {name: hits for name, hits in found.items() if hits} == {}


async def test_from_right_to_left_everything_is_mirrored() -> None:
    async with opened(query="dir=rtl") as page:
        await open_chat(page, "@ana")
        await page.wait_for_selector("[data-message]")
        boxes: dict[str, float] = await page.evaluate(
            """() => ({
              side: document.querySelector('.side').getBoundingClientRect().left,
              main: document.querySelector('main').getBoundingClientRect().left,
              mine: document.querySelector('.bubble.mine').getBoundingClientRect().right,
              theirs: document.querySelector('.bubble:not(.mine)').getBoundingClientRect().left,
            })"""
        )
        assert boxes["side"] > boxes["main"]
        assert boxes["theirs"] > boxes["mine"] - 600
        mirrored = await page.evaluate("getComputedStyle(document.querySelector('main header .flip')).transform")
        assert mirrored.startswith("matrix(-1")


@pytest.mark.parametrize(
    "screen",
    [
        "chats",
        "chat",
        "voice-note",
        "group-info",
        "settings",
        "calls",
        "in-call",
        "call-notes",
        "new-chat",
        "request",
    ],
)
async def test_fingers_hit_every_target(screen: str) -> None:
    scene, act = SCREENS[screen]
    async with opened(scene, NARROW, touch=True) as page:
        await act(page)
        small: list[str] = await page.evaluate(
            """least => [...document.querySelectorAll('button, a[href], input, select, textarea, label')]
              .filter(e => {
              const box = e.getBoundingClientRect()
              if (box.width === 0 || e.closest('.skip, .words, .reactions') || e.hidden) return false
              if (e.matches('[role=switch], [type=radio], label:not(:has(input))')) return false
              if (e.closest('dialog') === null && document.querySelector('dialog[open]')) return false
              const row = e.tagName === 'INPUT' ? (e.closest('.box, label, .size') ?? e).getBoundingClientRect() : box
              return row.height < least || row.width < least
            }).map(e => `${e.tagName} ${e.getAttribute('aria-label') ?? e.textContent.trim()} ` +
              `${e.getBoundingClientRect().width}x${e.getBoundingClientRect().height}`)""",
            TARGET_PX - 0.5,
        )
        assert small == []


async def test_motion_can_be_switched_off() -> None:
    moving = "document.getAnimations().filter(a => a.effect.getTiming().iterations === Infinity).length"
    ring = "fake.call('@ana', {})"
    async with opened(motion=True) as page:
        await page.evaluate(ring)
        await page.wait_for_selector("dialog")
        assert await page.evaluate(moving) > 0
        await page.evaluate("session.preferences.change({ calm: true })")
        await page.wait_for_timeout(50)
        assert await page.evaluate(moving) == 0
    async with opened(motion=False) as page:
        await page.evaluate(ring)
        await page.wait_for_selector("dialog")
        assert await page.evaluate(moving) == 0


async def test_the_focus_is_seen_wherever_it_is() -> None:
    async with opened() as page:
        await open_chat(page, "@ana")
        await page.wait_for_selector("button.picture img")
        seen: set[str] = set()
        await page.evaluate("document.activeElement.blur()")
        for _ in range(40):
            await page.keyboard.press("Tab")
            name, visible = await page.evaluate(
                """() => {
                  const e = document.activeElement
                  if (e === document.body) return ['', true]
                  const outlined = [e, e.closest('.box'), e.closest('.search'), e.closest('label')].some(x => {
                    const style = x && getComputedStyle(x)
                    return style && style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2
                  })
                  const line = e.matches('textarea') && getComputedStyle(e.closest('.line'))
                  const rule = getComputedStyle(document.querySelector('hr')).borderTopColor
                  const bordered = line && line.borderColor !== rule
                  return [e.getAttribute('aria-label') ?? e.textContent.trim().slice(0, 40), outlined || bordered]
                }"""
            )
            if name != "" and name in seen:
                break
            seen.add(name)
            assert visible, name
        assert {"New chat", "Call", "Add files", "Message to @ana"} <= seen


async def test_what_arrives_is_said() -> None:
    async with opened() as page:
        await open_chat(page, "@ana")
        await page.wait_for_selector("[data-message]")
        await page.evaluate("fake.arrive('@ana', 'The train is late')")
        await until(
            page,
            "[...document.querySelectorAll('[aria-live]')].some(e => e.textContent === '@ana: The train is late')",
        )


async def test_a_ringing_call_names_itself_and_no_key_answers_it_by_chance() -> None:
    async with opened() as page:
        await open_chat(page, "@ana")
        await page.keyboard.type("half a sen")
        await page.evaluate("fake.call('@tomas', {})")
        dialog = page.get_by_role("dialog", name="@tomas is calling")
        await dialog.wait_for()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Space")
        await page.keyboard.press("Escape")
        assert await dialog.is_visible()
        assert not {"answerCall()", "declineCall()"} & set(await page.evaluate("fake.asked"))
        assert await page.title() == "@tomas is calling"
        await page.keyboard.press("Tab")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        await until(page, "fake.asked.includes('attachAudio()')")
