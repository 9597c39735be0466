"""What must not hurt: a server that restarts, several tabs, no room, and a server that is hostile."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import struct
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from ringthrough.client.client import Client
from tests.web.conftest import Site
from tests.web.engine_page import CHROMIUM, CHROMIUM_FLAGS, EngineFault, Tab
from tests.web.hostile_proxy import HostileProxy

pytestmark = pytest.mark.slow

Profile = Callable[[str], Awaitable[Tab]]
Sdk = Callable[..., Awaitable[Client]]


def received(client: Client) -> list[str]:
    return [m.text for m in client.messages() if m.status == "received" and m.kind == "text"]


async def all_received(client: Client, texts: list[str]) -> None:
    async with asyncio.timeout(20):
        while len(received(client)) < len(texts):
            await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)
    assert received(client) == texts


@pytest.mark.promise("CANNOT-LOSE")
async def test_a_server_that_restarts_in_mid_message(profile: Profile, sdk: Sdk, site: Site) -> None:
    bob = await sdk("bob")
    alice = await profile("alice")
    conversation = await alice.call("conversationWith", "@bob")
    texts = [f"number {i}" for i in range(60)]
    writing = asyncio.gather(*(alice.call("sendText", conversation, text, None) for text in texts[:30]))
    await site.stop()
    await writing

    async def offline() -> bool:
        return bool((await alice.call("connectionState"))["kind"] == "offline")

    await alice.until("the loss", offline)
    for text in texts[30:]:
        await alice.call("sendText", conversation, text, None)
    waiting = await alice.messages(conversation)
    assert [m["body"]["text"] for m in waiting] == texts
    assert waiting[-1]["delivery"] == "waiting"
    await site.start()
    await alice.reload()
    await all_received(bob, texts)
    await alice.delivery(conversation, waiting[-1]["id"], "sent")
    assert await alice.texts(conversation) == texts
    assert [m["order"] for m in await alice.messages(conversation)] == list(range(1, 61))


async def test_several_tabs(profile: Profile, sdk: Sdk) -> None:
    bob = await sdk("bob")
    first = await profile("alice")
    second = await Tab.open(first.page.context, first.url)
    assert (await second.call("account"))["handle"] == "alice"
    conversation = await second.call("conversationWith", "@bob")
    await second.call("sendText", conversation, "from the second tab", None)
    await first.text(conversation, "from the second tab")

    async def told() -> bool:
        news = await first.news("messages")
        return any(m["body"].get("text") == "from the second tab" for e in news for m in e["changed"])

    await first.until("the news", told)
    await first.page.close()
    await second.call("sendText", conversation, "after the first was closed", None)
    await all_received(bob, ["from the second tab", "after the first was closed"])
    third = await Tab.open(second.page.context, second.url)
    await third.online()
    # A call is placed where its sound is: the third tab takes over, and the second goes on through it.
    call = await third.call("placeCall", conversation)
    await second.call("sendText", conversation, "while the third calls", None)
    await second.text(conversation, "while the third calls")
    with pytest.raises(EngineFault) as refused:
        await second.call("placeCall", conversation)
    assert refused.value.code == "busy"
    await third.call("hangUp", call)
    await all_received(bob, ["from the second tab", "after the first was closed", "while the third calls"])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 48 MB that a test fills up."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Leave no byte free."""
    ballast = folder / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    return ballast


@pytest.mark.promise("CANNOT-LOSE")
async def test_no_room_left(site: Site, small_disk: Path, sdk: Sdk) -> None:
    bob = await sdk("bob")
    async with async_playwright() as playwright:
        context = await playwright.chromium.launch_persistent_context(
            small_disk / "profile", executable_path=CHROMIUM, args=CHROMIUM_FLAGS
        )
        alice = await Tab.open(context, site.url)
        await alice.call("createAccount", "alice")
        conversation = await alice.call("conversationWith", "@bob")
        await alice.call("sendText", conversation, "there is room", None)
        await all_received(bob, ["there is room"])
        ballast = fill(small_disk)
        kept = ["there is room"]
        fault: dict[str, str] | None = None
        while fault is None and len(kept) < 100:
            text = f"{len(kept)}" + "x" * 12_000
            answer = await alice.page.evaluate("window.ask", ["sendText", [conversation, text, None]])
            fault = answer.get("fault")
            kept += [text] if fault is None else []
        assert fault is not None
        assert fault["code"] == "storage_full"
        assert "space" in fault["next"]
        (here,) = bob.conversations()
        await bob.send_text(here, "into a full disk")
        await alice.until("the fault", lambda: alice.news("fault"))
        ballast.unlink()
        await alice.text(conversation, "into a full disk")
        await alice.call("sendText", conversation, "there is room again", None)
        await alice.text(conversation, "there is room again")
        await all_received(bob, [*kept, "there is room again"])
        assert sorted(await alice.texts(conversation)) == sorted([*kept, "into a full disk", "there is room again"])
        await context.close()


def kill_browser(profile: Path) -> None:
    """SIGKILL to the processes that run on this profile, the browser first."""
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"--user-data-dir={profile}" in (folder / "cmdline").read_bytes().decode().split("\0"):
                os.kill(int(folder.name), signal.SIGKILL)


@pytest.mark.promise("CANNOT-LOSE")
async def test_a_browser_killed_in_mid_message(site: Site, tmp_path: Path, sdk: Sdk) -> None:
    bob = await sdk("bob")
    profile = tmp_path / "profile"
    kept: list[str] = []
    async with async_playwright() as playwright:
        launch = playwright.chromium.launch_persistent_context
        context = await launch(profile, executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        alice = await Tab.open(context, site.url)
        await alice.call("createAccount", "alice")
        conversation = await alice.call("conversationWith", "@bob")

        async def write() -> None:
            for i in range(1000):
                await alice.call("sendText", conversation, f"number {i}", None)
                kept.append(f"number {i}")

        writing = asyncio.create_task(write())
        while len(kept) < 12:
            await asyncio.sleep(0.01)
        kill_browser(profile)
        await asyncio.wait([writing])
        assert writing.exception() is not None
        context = await launch(profile, executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        alice = await Tab.open(context, site.url)
        await alice.call("sendText", conversation, "again", None)
        await alice.text(conversation, "again")
        async with asyncio.timeout(15):
            while received(bob)[-1:] != ["again"]:
                await asyncio.sleep(0.05)
        # The one under way when the end came may have been kept, too; each of the others is there once, in order.
        said = received(bob)[:-1]
        assert said[: len(kept)] == kept
        assert len(said) - len(kept) in (0, 1)
        await context.close()


@pytest.mark.promise("CANNOT-LOSE")
async def test_away_while_the_group_goes_on(profile: Profile, sdk: Sdk) -> None:
    """Every change of keys and every message behind it is read on coming back, in order, and an invitation, too."""
    alice = await profile("alice")
    bob = await sdk("bob")
    await sdk("carol")
    tea = await bob.create_group("tea", ["@alice"])
    conversation = (await alice.conversation("tea", "request"))["id"]
    await alice.call("acceptRequest", conversation)
    url, context = alice.url, alice.page.context
    await alice.page.close()
    said = []
    for change in range(6):
        for n in range(4):
            said.append(f"{change}, {n}")
            await tea.sent(await bob.send_text(tea, said[-1]))
        await (bob.remove(tea, ["@carol"]) if change % 2 else bob.add(tea, ["@carol"]))
    cake = await bob.create_group("cake", ["@alice"])
    await cake.sent(await bob.send_text(cake, "and cake"))
    alice = await Tab.open(context, url)
    await alice.text((await alice.conversation("cake"))["id"], "and cake")
    await alice.text(conversation, said[-1])
    assert [m["body"]["text"] for m in await alice.messages(conversation) if m["body"]["kind"] == "text"] == said
    await alice.call("sendText", conversation, "back", None)
    await all_received(bob, ["back"])


def garbled(message: bytes) -> list[bytes | str]:
    return [message, b"\xff\xc1\xc1"]


def as_text(message: bytes) -> list[bytes | str]:
    return [message, "hello"]


def huge(message: bytes) -> list[bytes | str]:
    return [message, b"\x86" + bytes(300_000)]


def unasked(message: bytes) -> list[bytes | str]:
    return [message, b"\x85" + struct.pack(">IQ", 4242, 7)]


def wrong_type(message: bytes) -> list[bytes | str]:
    return [b"\x83\x97\xa1x\xa1x\xa1x\xa1x\xa1x\xa1x\xa1x"] if message[0] == 0x83 else [message]


def twice(message: bytes) -> list[bytes | str]:
    return [message, message] if message[0] == 0x86 else [message]


@pytest.mark.promise("CANNOT-FORGE")
async def test_a_hostile_server(engine_browser: Browser, proxy: HostileProxy, sdk: Sdk) -> None:
    bob = await sdk("bob")
    context = await engine_browser.new_context()
    alice = await Tab.open(context, proxy.url)
    # The name of the server is part of what is signed in for, and the proxy's is not the server's.
    with pytest.raises(EngineFault):
        await alice.call("createAccount", "alice")
    await context.close()
    assert received(bob) == []


BROKEN = "The server broke the protocol."


async def offline_reasons(tab: Tab) -> list[str]:
    """The first sentence of each."""
    states = [event["state"] for event in await tab.news("connection")]
    return [state["reason"].split(". ")[0] + "." for state in states if state["kind"] == "offline"]


@pytest.mark.promise("CANNOT-FORGE")
async def test_frames_that_break_the_protocol(watched: Tab, proxy: HostileProxy, sdk: Sdk) -> None:
    bob = await sdk("bob", proxy.url)
    conversation = await watched.call("conversationWith", "@bob")
    texts = []
    words = {
        garbled: BROKEN,
        as_text: "The server sent something that is not a frame.",
        huge: "The server sent more than it may.",
    }

    async def told(what: str) -> bool:
        return what in await offline_reasons(watched)

    for twist in (garbled, as_text, huge, unasked, wrong_type, twice):
        proxy.twist = twist
        text = f"under {twist.__name__}"
        texts.append(text)
        await watched.call("sendText", conversation, text, None)
        if twist in words:
            await watched.until(words[twist], functools.partial(told, words[twist]))
        else:
            await asyncio.sleep(0.4)
        proxy.twist = lambda message: [message]
        await all_received(bob, texts)
    await watched.online()
    assert await watched.texts(conversation) == texts
    assert await watched.page.evaluate("window.errors") == []


LIES: dict[str, Callable[[list[bytes], bytes], bytes]] = {
    "a message again": lambda seen, body: seen[-1],
    "a commit again": lambda seen, body: seen[0],
    "a commit of another conversation": lambda seen, body: seen[1],
    "a changed bit": lambda seen, body: body[:80] + bytes([body[80] ^ 1]) + body[81:],
    "zeros": lambda seen, body: bytes(len(body)),
    "half of it": lambda seen, body: body[: len(body) // 2],
    "far more of it": lambda seen, body: body + bytes(60_000),
    "nothing": lambda seen, body: b"",
}
"""What a lying server puts into the log before a true record, by what it has seen: two commits, then a message."""
NOT_EVEN_RECORDS = {"far more of it", "nothing"}
"""Of no length that a record has: already the frame is refused, and with it the connection."""


@pytest.mark.promise("CANNOT-FORGE")
@pytest.mark.parametrize("lie", LIES)
async def test_a_record_that_is_a_lie(watched: Tab, proxy: HostileProxy, sdk: Sdk, lie: str) -> None:
    """It is refused and the person told once, in plain words; the true records around it are read."""
    bob = await sdk("bob", proxy.url)
    group = await watched.call("createGroup", "another", ["@bob"])
    conversation = await watched.call("conversationWith", "@bob")
    for each in (group, conversation):
        await watched.call("sendText", each, "one", None)
    await all_received(bob, ["one", "one"])
    here = next(each for each in bob.conversations() if each.title != "another")
    await bob.send_text(here, "two")
    await watched.text(conversation, "two")
    records = [record_of(m) for m in proxy.seen if is_one_record(m)]
    own = next(handle for handle, _ in reversed(records))
    commit = next(body for handle, body in records if handle == own)
    foreign = next(body for handle, body in records if handle != own)
    seen = [commit, foreign, records[-1][1]]
    state = {"next": 0}
    assert await watched.news("fault") == []

    def lying(message: bytes) -> list[bytes | str]:
        if not is_one_record(message) or record_of(message)[0] != own:
            return [message]
        seq, received_s, _ = struct.unpack(">QQI", message[7:27])
        state["next"] = state["next"] or seq
        out: list[bytes | str] = []
        body = record_of(message)[1]
        for record in (LIES[lie](seen, body), body):
            head = struct.pack(">QQI", state["next"], received_s, len(record))
            out.append(message[:7] + head + record)
            state["next"] += 1
        return out

    proxy.twist = lying
    for text in ("three", "four"):
        await bob.send_text(here, text)
        await watched.text(conversation, text)
    assert await watched.texts(conversation) == ["one", "two", "three", "four"]
    faults = [event["fault"]["what"] for event in await watched.news("fault")]
    if lie in NOT_EVEN_RECORDS:
        assert BROKEN in await offline_reasons(watched)
        assert faults == []
    else:
        assert faults == ["Something that came in was damaged, repeated or forged, and was refused."]
    assert len(await watched.call("conversations")) == 2
    assert await watched.page.evaluate("window.errors") == []


def is_one_record(message: bytes) -> bool:
    return message[0] == 0x86 and message[5:7] == b"\0\1"


def record_of(message: bytes) -> tuple[bytes, bytes]:
    """The stream's handle, and the body."""
    return message[1:5], message[27 : 27 + struct.unpack(">I", message[23:27])[0]]


@pytest.mark.promise("CANNOT-FORGE")
async def test_a_directory_that_lies(watched: Tab, proxy: HostileProxy, sdk: Sdk) -> None:
    await sdk("bob", proxy.url)
    await sdk("mallory", proxy.url)
    proxy.twist_http = lambda path, body: body[:-9] if path.endswith("/claim") else body
    with pytest.raises(EngineFault):  # met, but not written to
        await watched.call("conversationWith", "@bob")
    lies: dict[str, bytes] = {}

    def other_person(path: str, body: bytes) -> bytes:
        if path == "/v1/handles/mallory":
            lies["mallory"] = body
        if path == "/v1/handles/bob" and "mallory" in lies:
            return lies["mallory"].replace(b'"mallory"', b'"bob"')
        return body[:-9] if path.endswith("/claim") else body

    proxy.twist_http = other_person
    with pytest.raises(EngineFault):
        await watched.call("conversationWith", "@mallory")
    assert "mallory" in lies
    with pytest.raises(EngineFault) as refused:
        await watched.call("conversationWith", "@bob")
    assert refused.value.code in ("bad_frame", "identity_changed")
    proxy.twist_http = lambda path, body: b"[" * 100_000 if path.startswith("/v1/handles/") else body
    with pytest.raises(EngineFault) as refused:
        await watched.call("conversationWith", "@bob")
    assert refused.value.code == "bad_frame"
    proxy.twist_http = lambda path, body: body
    assert await watched.call("conversationWith", "@bob")
