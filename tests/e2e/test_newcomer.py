"""Somebody new, in front of what `make run` starts: an account, a first message, and a call that echoes."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from lab.processes import Running, ringthrough
from tests.web.audio_server import CHROMIUM, FLAGS, write_microphone

from .test_kill import free_port

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
SAID_S = 4.0

LISTEN = """
window.loudest = 0
const connect = AudioNode.prototype.connect
AudioNode.prototype.connect = function (to, ...rest) {
  const connected = connect.call(this, to, ...rest)
  if (to === this.context.destination) {
    const ear = new AnalyserNode(this.context, { fftSize: 16384 })
    const samples = new Float32Array(ear.fftSize)
    connect.call(this, ear)
    setInterval(() => {
      ear.getFloatTimeDomainData(samples)
      window.loudest = Math.max(window.loudest, Math.hypot(...samples) / Math.sqrt(samples.length))
    }, 200)
  }
  return connected
}
"""
"""Keeps how loud the loudspeaker was at most: the root mean square of a third of a second, where 1 is full scale."""


@pytest.fixture
def origin(tmp_path: Path, lab_ready: None) -> Iterator[str]:
    """What `make run` starts, page and @echo included, on a free port."""
    make = shutil.which("make")
    assert make is not None
    subprocess.run([make, "--silent", "web/dist/index.html"], cwd=ROOT, check=True)
    port = str(free_port())
    command = ringthrough("--json", "up", "--data", str(tmp_path / "data"), "--port", port)
    with Running(command, tmp_path / "up.log") as up:
        up.event("ready")
        yield f"http://localhost:{port}"


@pytest.fixture(params=["speaking", "silent"])
def speaks(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "speaking")


@pytest.fixture
def page(tmp_path: Path, speaks: bool) -> Iterator[Page]:
    """A new browser; its microphone says a sentence over and over, or nothing."""
    microphone = tmp_path / "microphone.wav"
    write_microphone(microphone, SAID_S if speaks else 0.0)
    flags = [*FLAGS, "--use-fake-ui-for-media-stream", f"--use-file-for-fake-audio-capture={microphone}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page()
        page.set_default_timeout(20_000)
        page.add_init_script(LISTEN)
        yield page
        browser.close()


def test_from_the_first_page_to_a_call_that_echoes(origin: str, page: Page, speaks: bool) -> None:
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(origin)
    expect(page.get_by_label("Handle")).to_be_focused()
    page.keyboard.type("newcomer")
    page.get_by_role("button", name="Create account").click()
    page.get_by_role("button", name="Write to @echo").click()
    box = page.get_by_role("textbox", name="Message to @echo")
    expect(box).to_have_value("Hello!")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".bubble:not(.mine)")).to_contain_text("Hello!", timeout=20_000)
    box.fill("Is this how it works?")
    box.press("Enter")
    expect(page.locator(".bubble:not(.mine)").last).to_contain_text("Is this how it works?", timeout=20_000)
    page.get_by_role("button", name="Call", exact=True).click()
    expect(page.get_by_role("timer")).to_have_text("0:08", timeout=20_000)
    loudest = page.evaluate("window.loudest")
    # The echo of silence shows that nothing else makes the loudspeaker sound.
    assert loudest > 0.02 if speaks else loudest < 0.002
    page.get_by_role("button", name="Hang up").click()
    expect(page.get_by_text("You hung up.")).to_be_visible()
    assert wrong == []
