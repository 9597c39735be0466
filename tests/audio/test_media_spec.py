"""docs/spec/media.md says what a frame carries: numbers and profiles are compared."""

from __future__ import annotations

import re
from pathlib import Path

from ringthrough.audio import note, payload, pcm, report
from ringthrough.audio.profiles import PROFILES

SPEC = Path(__file__).resolve().parents[2] / "docs" / "spec" / "media.md"


def generated() -> str:
    """The table of profiles."""
    rows = [
        f"| {p.name} | {p.slots * pcm.SLOT_MS} | {p.bitrate_bps / 1000:g} | {p.packet_bytes_max} "
        f"| {p.bandwidth.name.lower()} | {p.redundancy.name.lower()} |"
        for p in PROFILES.values()
    ]
    head = "| profile | packet, ms | kbit/s | packet, bytes at most | band | repeats at least |"
    return "\n".join([head, "|---|---|---|---|---|---|", *rows])


def test_profiles_equal_the_code() -> None:
    found = re.search(r"<!-- generated: profiles -->\n(.*?)<!-- end -->", SPEC.read_text(), re.DOTALL)
    assert found is not None
    assert found[1].strip() == generated()


def test_limits_equal_the_code() -> None:
    stated = dict(
        re.findall(r"^\| `(?:audio|note|payload|report)\.(\w+)` \| (\d+) \|", SPEC.read_text(), re.MULTILINE)
    )
    constants = {"SLOT_MS": pcm.SLOT_MS}
    constants |= {
        name: vars(note)[name] for name in ("NOTE_SLOTS_MIN", "NOTE_SLOTS_MAX", "ONSET_SLOTS", "HUSH_SLOTS")
    }
    for module in (payload, report):
        own = {name: value for name, value in vars(module).items() if name.isupper() and isinstance(value, int)}
        constants.update({name: value for name, value in own.items() if not name.startswith("_")})
    assert stated == {name: str(value) for name, value in constants.items()}
