"""What a person does in the page, before a scripted engine: by keyboard where a keyboard is enough."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.async_api import FilePayload, Locator, Page, expect

from tests.web.ui_page import NARROW, asked, build, open_chat, opened, until, until_asked

pytestmark = pytest.mark.slow

PIXEL = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8ffff3f0005fe02fea7352b1a0000000049454e44ae426082"
    )
).decode()


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    build()


async def composer(page: Page, title: str = "@ana") -> Any:
    await open_chat(page, title)
    await page.wait_for_selector("[data-message]")
    return page.get_by_role("textbox", name=f"Message to {title}")


async def test_first_run_to_the_first_message_by_keyboard_alone() -> None:
    async with opened("new") as page:
        await expect(page.get_by_text("Unaudited.")).to_be_visible()
        await page.keyboard.type("Noor")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name="You are @noor")).to_be_focused()
        await page.keyboard.press("Tab")
        await page.keyboard.press("Enter")
        box = page.get_by_role("textbox", name="Message to @echo")
        await expect(box).to_be_focused()
        await expect(box).to_have_value("Hello!")
        await page.keyboard.press("Enter")
        await expect(page.locator(".bubble:not(.mine)")).to_contain_text("Hello!")
        await until_asked(page, ["createAccount(noor)", "conversationWith(@echo)", "sendText(Hello!)"])


@pytest.mark.parametrize(
    ("typed", "words"), [("a", "with a letter or digit at both ends"), ("taken", "Choose another handle.")]
)
async def test_a_bad_handle_is_explained_where_it_was_typed(typed: str, words: str) -> None:
    async with opened("new") as page:
        await page.keyboard.type(typed)
        await page.keyboard.press("Enter")
        await expect(page.get_by_text(words)).to_be_visible()
        field = page.get_by_role("textbox", name="Handle")
        await expect(field).to_be_focused()
        await expect(field).to_have_attribute("aria-invalid", "true")


async def test_a_link_to_somebody_waits_for_the_account_and_for_a_yes() -> None:
    async with opened("new") as page:
        await page.evaluate("location.hash = '#/@mira'")
        await page.get_by_label("Handle").fill("noor")
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Write to @mira").click()
        await expect(page.get_by_role("textbox", name="Message to @mira")).to_be_visible()
    async with opened() as page:
        await page.evaluate("location.hash = '#/@mira'")
        await expect(page.get_by_role("dialog", name="Start a chat with @mira?")).to_be_visible()
        assert await asked(page) == []
        await page.keyboard.press("Enter")
        await until(page, "fake.asked.includes('conversationWith(@mira)')")


async def test_enter_sends_and_shift_enter_does_not() -> None:
    async with opened() as page:
        box = await composer(page)
        await box.press_sequentially("one")
        await box.press("Shift+Enter")
        await box.press_sequentially("two")
        assert not [call for call in await asked(page) if call.startswith("sendText")]
        await box.press("Enter")
        await expect(page.locator(".bubble.mine").last).to_contain_text("one\ntwo")
        await until_asked(page, ["sendText(one\ntwo)"], "sendText")
        await expect(box).to_have_value("")
        await until_asked(page, ["typing()"], "typing")


async def test_reply_react_edit_and_delete_by_keyboard() -> None:
    async with opened() as page:
        box = await composer(page)
        await page.get_by_role("article").last.focus()
        await page.keyboard.press("ArrowUp")
        await page.keyboard.press("ArrowUp")
        await page.keyboard.press("Enter")
        menu = page.get_by_role("menu", name="Message actions")
        await menu.get_by_role("menuitem", name="Reply").press("Enter")
        await expect(box).to_be_focused()
        await page.keyboard.type("Which one?")
        await page.keyboard.press("Enter")
        await expect(page.locator(".bubble.mine").last.locator(".quote")).to_contain_text("8:10")

        await page.get_by_role("article").last.focus()
        await page.keyboard.press("Enter")
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("button", name="1 reaction, one is yours")).to_be_visible()

        await box.focus()
        await page.keyboard.press("ArrowUp")
        await expect(box).to_have_value("Which one?")
        await page.keyboard.type(" Platform?")
        await page.keyboard.press("Enter")
        await expect(page.locator(".bubble.mine").last).to_contain_text("Which one? Platform?")
        await expect(page.locator(".bubble.mine").last).to_contain_text("edited")

        await page.get_by_role("article").last.focus()
        await page.keyboard.press("Enter")
        await page.keyboard.press("End")
        await page.keyboard.press("Enter")
        await (
            page.get_by_role("dialog", name="Delete this message?")
            .get_by_role("button", name="Delete")
            .press("Enter")
        )
        await expect(page.locator(".bubble.mine").last).to_contain_text("Deleted")
        for call in ("react(👍)", "editText(Which one? Platform?)", "deleteMessage()"):
            await until_asked(page, [call], call)


async def test_an_edit_given_up_brings_the_draft_back() -> None:
    async with opened() as page:
        box = await composer(page)
        await page.evaluate("session.conversation(fake.idOf('@ana')).draft = 'not yet'")
        await page.evaluate("(c => c.startEditing(c.lastOwnText()))(session.conversation(fake.idOf('@ana')))")
        await expect(box).to_have_value("And the good cheese.")
        await box.press("Escape")
        await expect(box).to_have_value("not yet")


async def test_files_come_by_choice_by_drop_and_by_paste_and_show_their_progress() -> None:
    async with opened() as page:
        box = await composer(page)
        await page.set_input_files(
            "input[type=file]", FilePayload(name="plan.pdf", mimeType="application/pdf", buffer=b"x" * 2000)
        )
        for kind, target in (("paste", "textarea"), ("drop", "section.chat")):
            await page.evaluate(
                """([kind, target, pixel]) => {
                  const data = new DataTransfer()
                  const bytes = Uint8Array.from(atob(pixel), c => c.charCodeAt(0))
                  data.items.add(new File([bytes], kind + '.png', { type: 'image/png' }))
                  const event = kind === 'paste'
                    ? new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true })
                    : new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true })
                  document.querySelector(target).dispatchEvent(event)
                }""",
                [kind, target, PIXEL],
            )
        await expect(page.get_by_role("list", name="Files to send").get_by_role("listitem")).to_have_count(3)
        await page.get_by_role("button", name="Do not send paste.png").click()
        await box.fill("Here")
        await page.get_by_role("button", name="Send 2 files").click()
        await expect(page.get_by_role("progressbar", name="Transfer of plan.pdf")).to_have_attribute(
            "aria-valuenow", "40"
        )
        files = ["sendFile(plan.pdf, application/pdf, )", "sendFile(drop.png, image/png, Here)"]
        await until_asked(page, files, "sendFile")


async def test_a_stranger_loads_nothing_before_the_yes() -> None:
    async with opened() as page:
        await open_chat(page, "@m.okafor@chat.example.net")
        await page.wait_for_selector("[data-message]")
        await page.wait_for_timeout(200)
        assert "fetchFile()" not in await asked(page)
        assert await page.get_by_role("textbox", name="Message to").count() == 0
        await page.get_by_role("button", name="Accept").press("Enter")
        await until(page, "fake.asked.includes('fetchFile()')")
        await expect(page.get_by_role("textbox", name="Message to @m.okafor")).to_be_visible()


async def test_a_refused_stranger_is_gone() -> None:
    async with opened(size=NARROW) as page:
        await open_chat(page, "@m.okafor@chat.example.net")
        await page.get_by_role("button", name="Refuse").click()
        await expect(page.get_by_role("heading", name="Chats")).to_be_visible()
        assert await page.get_by_text("@m.okafor").count() == 0


async def test_offline_says_what_happens_next_and_marks_what_waits() -> None:
    async with opened() as page:
        box = await composer(page)
        await page.evaluate("fake.connection({ kind: 'offline', reason: 'No network.' })")
        await expect(page.get_by_text("What you write is kept here")).to_be_visible()
        await box.fill("later")
        await box.press("Enter")
        await expect(page.locator(".bubble.mine").last.get_by_text("Waiting to be sent")).to_be_attached()
        await page.evaluate("fake.connection({ kind: 'online' })")
        await expect(page.get_by_text("What you write is kept here")).to_have_count(0)


async def test_a_short_break_is_no_news() -> None:
    async with opened() as page:
        await page.evaluate("fake.connection({ kind: 'offline', reason: 'x' })")
        await page.wait_for_timeout(300)
        await page.evaluate("fake.connection({ kind: 'online' })")
        await page.wait_for_timeout(1500)
        assert await page.get_by_text("Offline").count() == 0


async def test_people_are_found_by_handle_and_a_wrong_one_says_so() -> None:
    async with opened() as page:
        await page.get_by_role("button", name="New chat").click()
        field = page.get_by_role("textbox", name="Handle or link")
        await expect(field).to_be_focused()
        await field.fill("not a handle!")
        await field.press("Enter")
        await expect(page.get_by_text("This is no handle and no link")).to_be_visible()
        await field.fill("@nobody")
        await field.press("Enter")
        await expect(page.get_by_text("Nobody here is called @nobody.")).to_be_visible()
        await field.fill("https://chat.example.org/#/@mira")
        await field.press("Enter")
        await expect(page.get_by_role("textbox", name="Message to @mira")).to_be_focused()


async def test_a_group_is_made_and_a_member_leaves_it() -> None:
    async with opened() as page:
        await page.get_by_role("button", name="New chat").click()
        await page.get_by_role("radio", name="Group").check()
        await page.get_by_role("button", name="Create group").click()
        await expect(page.get_by_text("Add at least one person.")).to_be_visible()
        await page.get_by_label("Name of the group").fill("Walk")
        await page.get_by_label("Members", exact=True).fill("mira")
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="@ana").click()
        await page.get_by_role("button", name="Create group").click()
        await page.get_by_role("button", name="About Walk").click()
        await page.get_by_role("button", name="Remove from the group: @mira").click()
        await page.get_by_role("button", name="Remove from the group", exact=True).click()
        await expect(page.get_by_role("complementary").get_by_text("@mira")).to_have_count(0)
        await page.get_by_role("button", name="Leave the group").click()
        await page.get_by_role("dialog").get_by_role("button", name="Leave the group").click()
        await expect(page.get_by_text("You are not in this group any more.")).to_be_visible()


async def test_the_safety_number_is_shown_in_groups_of_five() -> None:
    async with opened() as page:
        await open_chat(page, "@ana")
        await page.get_by_role("button", name="About @ana").click()
        await page.get_by_role("button", name="Safety number").click()
        groups = (
            await page.get_by_role("list", name="Sixty digits in groups of five")
            .get_by_role("listitem")
            .all_inner_texts()
        )
        assert [len(group) for group in groups] == [5] * 12
        await expect(page.get_by_role("img", name="QR code: Safety number")).to_be_visible()


async def test_a_comparison_is_remembered_and_shown() -> None:
    async with opened() as page:
        await open_chat(page, "@tomas")
        header = page.locator("section.chat header")
        await expect(header.get_by_text("Verified")).to_have_count(0)
        await page.evaluate("location.hash += '/info'")
        await page.get_by_role("button", name="Safety number").click()
        await page.get_by_role("button", name="The digits are the same").click()
        await expect(page.get_by_role("alert").filter(has_text="They match")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(header.get_by_text("Verified")).to_be_visible()
        await page.evaluate("fake.call('@tomas', {})")
        await expect(page.get_by_role("dialog", name="@tomas is calling").get_by_text("Verified")).to_be_visible()
        await page.get_by_role("button", name="Answer").click()
        await expect(page.locator("section.call").get_by_text("Verified")).to_be_visible()
        await page.get_by_role("button", name="Hang up").click()
        await open_chat(page, "@tomas")
        await page.evaluate("location.hash += '/info'")
        await page.get_by_role("button", name="Safety number").click()
        await page.get_by_role("button", name="Take the mark back").click()
        await page.keyboard.press("Escape")
        await expect(header.get_by_text("Verified")).to_have_count(0)


async def _safety_number(page: Page) -> Locator:
    await open_chat(page, "@tomas")
    await page.evaluate("location.hash += '/info'")
    await page.get_by_role("button", name="Safety number").click()
    return page.get_by_role("img", name="QR code: Safety number")


async def test_the_camera_makes_the_comparison(tmp_path: Path) -> None:
    async with opened() as page:
        code = Image.open(io.BytesIO(await (await _safety_number(page)).screenshot())).convert("RGB")
    frame = Image.new("RGB", (640, 480), "#777")
    frame.paste(code.resize((360, 360)), (140, 60))
    frame.save(tmp_path / "seen.mjpeg", "JPEG", quality=90)
    seen = f"--use-file-for-fake-video-capture={tmp_path / 'seen.mjpeg'}"
    flags = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", seen)
    async with opened(flags=flags) as page:
        await _safety_number(page)
        await page.get_by_role("button", name="Compare by camera").click()
        await expect(page.get_by_role("alert").filter(has_text="They match")).to_be_visible(timeout=15_000)
        await page.keyboard.press("Escape")
        await expect(page.locator("section.chat header").get_by_text("Verified")).to_be_visible()


async def test_a_changed_key_is_loud_until_it_is_answered() -> None:
    async with opened() as page:
        await open_chat(page, "@ana")
        header = page.locator("section.chat header")
        await expect(header.get_by_text("Verified")).to_be_visible()
        await page.evaluate("fake.trust(fake.members('@ana')[1].accountId, 'changed')")
        warning = page.get_by_role("alert").filter(has_text="The key of @ana has changed.")
        await expect(warning).to_be_visible()
        await expect(header.get_by_text("Key changed")).to_be_visible()
        await warning.get_by_role("button", name="Compare").click()
        await page.get_by_role("button", name="The digits are the same").click()
        await page.keyboard.press("Escape")
        await expect(warning).to_have_count(0)
        await expect(header.get_by_text("Verified")).to_be_visible()


async def test_deleting_the_account_asks_for_the_handle() -> None:
    async with opened() as page:
        await page.get_by_role("link", name="Settings").click()
        await page.get_by_role("button", name="Delete account").click()
        now = page.get_by_role("button", name="Delete for good")
        await expect(now).to_be_disabled()
        await page.get_by_label("Type noor to delete it").fill("noor")
        await now.click()
        await expect(page.get_by_role("button", name="Create account")).to_be_visible()


async def test_choices_of_appearance_last() -> None:
    async with opened() as page:
        await page.get_by_role("link", name="Settings").click()
        await page.get_by_role("radio", name="Dark").check()
        await page.get_by_label("Text size").press("End")
        await page.reload()
        await page.wait_for_selector("h1")
        shown = await page.evaluate(
            "[document.documentElement.dataset.theme, document.documentElement.style.fontSize]"
        )
        assert shown == ["dark", "200%"]


async def test_back_and_forth_on_a_phone() -> None:
    async with opened(size=NARROW) as page:
        await page.get_by_role("link", name="Garden committee").click()
        await expect(page.get_by_role("region", name="Chat with Garden committee")).to_be_visible()
        await expect(page.get_by_role("heading", name="Chats")).to_be_hidden()
        await page.get_by_role("button", name="Back", exact=True).click()
        await expect(page.get_by_role("heading", name="Chats")).to_be_visible()
        await page.go_back()
        await expect(page.get_by_role("region", name="Chat with Garden committee")).to_be_visible()


async def test_the_unread_mark_stays_while_the_count_goes() -> None:
    async with opened() as page:
        await open_chat(page, "Garden committee")
        await expect(page.locator("p.new")).to_be_visible()
        await expect(page.get_by_role("link", name="Garden committee")).not_to_contain_text("unread")
        await expect(page.locator("p.new")).to_be_visible()


@pytest.mark.parametrize(
    "what",
    ["Something that came in was damaged, repeated or forged, and was refused.", "The browser's storage is full."],
)
async def test_trouble_is_said_over_any_screen_and_can_be_closed(what: str) -> None:
    async with opened() as page:
        await open_chat(page, "Garden committee")
        await page.evaluate("what => fake.trouble({code: 'x', what, next: 'Nothing needs to be done.'})", what)
        toast = page.locator(".toasts[role=alert]").get_by_text(what)
        await expect(toast).to_be_visible()
        await expect(page.locator(".toast")).to_contain_text("Nothing needs to be done.")
        await page.locator(".toast").get_by_role("button", name="Close").click()
        await expect(toast).to_have_count(0)
