"""The direct channel between two browsers: sound moves to it, and back to the lanes without a gap when it ends."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from playwright.async_api import Browser, async_playwright

from ringthrough.client.client import Client
from tests.web.conftest import Site
from tests.web.engine_calls import PACKET, called, phase
from tests.web.engine_page import CHROMIUM, CHROMIUM_FLAGS, Tab

pytestmark = [pytest.mark.slow, pytest.mark.alone]

Profile = Callable[..., Awaitable[Tab]]
Sdk = Callable[..., Awaitable[Client]]
GAP_MS_MAX = 300
ATTEMPTS = 3
"""A busy machine makes gaps of its own, on any way."""

PEERS = """
window.connections = []
window.gathered = []
window.sentDescriptions = 0
const Real = window.RTCPeerConnection
window.RTCPeerConnection = class extends Real {
  constructor(configuration) {
    super(configuration)
    window.connections.push({ connection: this, configuration })
    this.addEventListener("icecandidate", ({ candidate }) => candidate && window.gathered.push(candidate.candidate))
  }
  setRemoteDescription(description) {
    const sdp = window.drops ? description.sdp.replace(/a=candidate.*\\r\\n/g, "") : description.sdp
    return super.setRemoteDescription({ ...description, sdp })
  }
}
"""


@pytest.fixture
async def page(engine_browser: Browser, site: Site) -> Profile:
    """`await page("alice")`: notes what it does with WebRTC; `drops`: leaves out the peer's addresses."""

    async def make(handle: str, *, drops: bool = False) -> Tab:
        context = await engine_browser.new_context()
        await context.add_init_script(f"window.drops = {int(drops)}; {PEERS}")
        tab = await Tab.open(context, site.url)
        await tab.call("createAccount", handle)
        return tab

    return make


async def in_call(
    alice: Tab, bob: Tab, *, hides: tuple[bool, bool] = (False, False), group: str | None = None
) -> str:
    """Alice calls Bob, who had written to each other before, or a group of the two; both hear each other."""
    conversation = await alice.call("conversationWith", (await bob.call("account"))["address"])
    await alice.call("sendText", conversation, "May I call?", None)
    there = await bob.conversation((await alice.call("account"))["address"], "request")
    await bob.call("acceptRequest", there["id"])
    if group is not None:
        conversation = await alice.call("createGroup", group, ["@bob"])
        await bob.conversation(group)
    call: str = await alice.call("placeCall", conversation)
    await phase(bob, call, "ringing_here")
    await attach(alice, call, hides[0])
    await bob.call("answerCall", call)
    await attach(bob, call, hides[1])
    for tab in (alice, bob):
        await phase(tab, call, "in_call")
    return call


async def attach(tab: Tab, call: str, hides: bool) -> None:
    await tab.page.evaluate("window.attach", [call, PACKET])
    await tab.page.evaluate(
        """() => {
          window.times = []
          const push = window.arrived.push.bind(window.arrived)
          window.arrived.push = (slot) => {
            if (!window.arrived.includes(slot)) window.times.push(performance.now())
            return push(slot)
          }
        }"""
    )
    await tab.page.evaluate("([id, hides]) => window.direct(id, hides)", [call, hides])


async def direct(tab: Tab, matches: Callable[[dict[str, Any]], bool], patience_s: float = 20.0) -> dict[str, Any]:
    """Wait until the newest view of the direct channel is such."""

    async def check() -> dict[str, Any] | None:
        view: dict[str, Any] | None = (await tab.news("call"))[-1]["call"]["direct"]
        return view if view is not None and matches(view) else None

    found: dict[str, Any] = await tab.until("the direct channel", check, patience_s)
    return found


async def gap_ms(tab: Tab) -> float:
    """The longest time between two frames that arrived, since the last question."""
    longest: float = await tab.page.evaluate(
        "() => { const t = window.times.splice(0, window.times.length - 1); t.push(window.times[0]);"
        " return Math.max(0, ...t.slice(1).map((at, i) => at - t[i])) }"
    )
    return longest


async def heard_for(tab: Tab, frames: int) -> None:
    wanted = await tab.page.evaluate("window.arrived.length") + frames

    async def check() -> bool:
        return bool(await tab.page.evaluate("window.arrived.length") >= wanted)

    await tab.until(f"{frames} more frames", check, 25.0)


async def carried(tab: Tab) -> None:
    """Wait until what this page says goes on the channel alone, and has for a while."""
    view = await direct(tab, lambda view: bool(view["carries"]))
    assert view["state"] == "open"
    assert view["framesDirect"] >= 15
    assert (await tab.page.evaluate("window.connections[0].configuration.iceServers")) == []
    await heard_for(tab, 20)
    await gap_ms(tab)


async def complete(tab: Tab) -> None:
    """No packet is missing. Silence before the sound has opened may end with a shorter one."""
    arrived = await tab.page.evaluate("[...new Set(window.arrived)].sort((a, b) => a - b)")
    steps = [after - before for before, after in itertools.pairwise(arrived)]
    rest = next((at for at, step in enumerate(steps) if step < 3), -1)
    assert steps[rest + 1 :] == [3] * (len(steps) - rest - 1)
    assert steps[: max(rest, 0)] == [3] * max(rest, 0)
    assert rest < 20, "it has opened by then"


async def test_sound_moves_to_a_direct_channel_and_back_without_a_gap_when_it_ends(page: Profile) -> None:
    gaps = []
    for attempt in range(ATTEMPTS):
        alice, bob = [await page(f"{name}{attempt}") for name in ("alice", "bob")]
        call = await in_call(alice, bob)
        for tab in (alice, bob):
            await carried(tab)
        await bob.page.evaluate("window.connections.at(-1).connection.close()")
        for tab in (alice, bob):
            view = await direct(tab, lambda view: view["state"] == "blocked")
            assert view["clause"] == ": direct UDP passed, and then fell silent."
            await heard_for(tab, 20)
            await complete(tab)
        gaps.append(max(await gap_ms(alice), await gap_ms(bob)))
        await alice.call("hangUp", call)
        await phase(bob, call, "ended")
        if gaps[-1] <= GAP_MS_MAX:
            break
    print("gaps, ms:", gaps)
    assert gaps[-1] <= GAP_MS_MAX, gaps


async def test_where_addresses_do_not_pass_the_call_stays_on_the_lanes(page: Profile) -> None:
    alice, bob = await page("alice", drops=True), await page("bob", drops=True)
    call = await in_call(alice, bob)
    view = await direct(alice, lambda view: view["state"] == "blocked")
    assert view["clause"] == ": direct UDP does not pass here."
    assert view["framesDirect"] == 0
    await heard_for(alice, 10)
    await complete(alice)
    await alice.call("hangUp", call)


@pytest.mark.parametrize("who", [0, 1])
async def test_who_hides_the_address_gathers_none_and_the_other_is_told(page: Profile, who: int) -> None:
    alice, bob = await page("alice"), await page("bob")
    call = await in_call(alice, bob, hides=(who == 0, who == 1))
    hiding, other = (alice, bob) if who == 0 else (bob, alice)
    view = await direct(other, lambda view: view["state"] == "blocked")
    assert view["clause"] == ": the other side does not connect directly."
    view = await direct(hiding, lambda view: "you hide" in view["why"])
    assert view["clause"] == ", because you hide your address."
    await heard_for(alice, 20)
    assert await hiding.page.evaluate("window.connections.length") == 0
    assert await hiding.page.evaluate("window.gathered") == []
    await alice.call("hangUp", call)


@pytest.mark.parametrize("who", [0, 1])
async def test_who_hides_the_address_in_the_middle_of_a_call_leaves_the_direct_way_at_once(
    page: Profile, who: int
) -> None:
    alice, bob = await page("alice"), await page("bob")
    call = await in_call(alice, bob)
    for tab in (alice, bob):
        await carried(tab)
    hiding, other = (alice, bob) if who == 0 else (bob, alice)
    await hiding.call("attachDirect", call, "hidden")
    view = await direct(hiding, lambda view: not view["carries"])
    assert (view["state"], view["clause"]) == ("off", ", because you hide your address.")
    await direct(other, lambda view: view["clause"] == ": the other side does not connect directly.")
    for tab in (alice, bob):
        made = await tab.page.evaluate("window.connections.map(({ connection }) => connection.connectionState)")
        assert made == ["closed"]
        await heard_for(tab, 20)
        await complete(tab)
    assert (await direct(hiding, lambda view: True))["framesDirect"] == view["framesDirect"]
    verdicts = [e["call"]["verdicts"] for tab in (alice, bob) for e in (await tab.news("call"))[-1:]]
    assert [v["verdict"] for found in verdicts for v in found if v["verdict"].startswith("direct")] == []
    await alice.call("hangUp", call)


async def test_a_third_account_in_the_conversation_ends_the_direct_way(page: Profile, sdk: Sdk) -> None:
    alice, bob = await page("alice"), await page("bob")
    await sdk("carol")
    call = await in_call(alice, bob, group="Tea")
    for tab in (alice, bob):
        await carried(tab)
    tea = await alice.conversation("Tea")
    await alice.call("addMembers", tea["id"], ["@carol"])
    for tab in (alice, bob):
        view = await direct(tab, lambda view: view["state"] == "off")
        assert view["clause"] == ", as all calls in groups."
        assert not view["carries"]
        await heard_for(tab, 20)
        made = await tab.page.evaluate("window.connections.map(({ connection }) => connection.connectionState)")
        assert made == ["closed"]
    await alice.call("hangUp", call)


async def test_a_stranger_learns_no_address(page: Profile) -> None:
    alice, bob = await page("alice"), await page("bob")
    conversation = await bob.call("conversationWith", "@alice")
    await bob.call("sendText", conversation, "You do not know me", None)
    there = await alice.conversation("@bob", "request")
    call = await alice.call("placeCall", there["id"])
    await phase(bob, call, "ringing_here")
    await attach(alice, call, False)
    await bob.call("answerCall", call)
    await attach(bob, call, False)
    view = await direct(alice, lambda view: "not accepted" in view["clause"])
    assert view["framesDirect"] == 0
    await direct(bob, lambda view: view["state"] == "blocked")
    await heard_for(alice, 20)
    assert await alice.page.evaluate("window.connections.length") == 0
    await alice.call("hangUp", call)


async def test_the_sdk_refuses_and_the_call_stays_on_the_lanes(page: Profile, sdk: Sdk) -> None:
    alice, bob = await page("alice"), await sdk("bob")
    call, other = await called(alice, bob)
    await alice.page.evaluate("([id, hides]) => window.direct(id, hides)", [call, False])
    view = await direct(alice, lambda view: view["state"] == "blocked")
    assert view["clause"] == ": the other side does not connect directly."
    received = other.stats.received
    await heard_for(alice, 20)
    assert other.stats.received > received
    assert other.stats.refused == 0
    await alice.call("hangUp", call)


@pytest.mark.parametrize("microphone", [False, True])
async def test_addresses_are_names_until_the_microphone_is_granted(microphone: bool, site: Site) -> None:
    async with async_playwright() as playwright:
        flags = [*CHROMIUM_FLAGS, "--use-fake-device-for-media-stream"]
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        context = await browser.new_context(permissions=["microphone"] if microphone else [])
        tab = await context.new_page()
        await tab.goto(site.url)
        if microphone:
            await tab.evaluate("navigator.mediaDevices.getUserMedia({ audio: true }).then(() => undefined)")
        gathered = await tab.evaluate(
            """async () => {
              const connection = new RTCPeerConnection({ iceServers: [] })
              connection.createDataChannel("")
              await connection.setLocalDescription(await connection.createOffer())
              while (connection.iceGatheringState !== "complete")
                await new Promise((resolve) => { connection.onicegatheringstatechange = resolve })
              return connection.localDescription.sdp.split("\\r\\n").filter((line) => line.startsWith("a=candidate"))
            }"""
        )
        await browser.close()
    assert gathered
    assert all(("typ host" in candidate) for candidate in gathered)
    assert all((".local " in candidate) is not microphone for candidate in gathered)
