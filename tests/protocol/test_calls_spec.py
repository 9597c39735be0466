"""docs/spec/media.md says what the call machine does: limits, transitions, hangups and reasons are compared."""

from __future__ import annotations

import re
from pathlib import Path

from ringthrough.protocol import calls

SPEC = Path(__file__).resolve().parents[2] / "docs" / "spec" / "media.md"


def generated() -> dict[str, str]:
    """What must stand between the marks of the spec."""
    rows = ["| state | input | if | then | steps |", "|---|---|---|---|---|"]
    for row in calls.TRANSITIONS:
        rows.append(f"| {row.state} | {row.what} | {row.when} | {row.then} | {', '.join(row.steps)} |")
    hangups = ["| reason | while ringing | in a call |", "|---|---|---|"]
    for reason in calls.HangupReason:
        hangups.append(f"| {reason} | {calls.ENDED_WHILE_RINGING[reason]} | {calls.ENDED_IN_CALL[reason]} |")
    return {
        "transitions": "\n".join(rows),
        "hangups": "\n".join(hangups),
        "reasons": ", ".join(f"`{reason}`" for reason in calls.EndReason) + ".",
    }


def between_marks(name: str) -> str:
    found = re.search(rf"<!-- generated: {name} -->\n(.*?)\n?<!-- end -->", SPEC.read_text(), re.DOTALL)
    assert found is not None, f"no mark for {name}"
    return found[1]


def test_generated_parts_equal_the_code() -> None:
    for name, text in generated().items():
        assert between_marks(name) == text, name


def test_limits_equal_the_code() -> None:
    stated = dict(re.findall(r"^\| `calls\.(\w+)` \| (\d+) \|", SPEC.read_text(), re.MULTILINE))
    actual = {
        name: str(value)
        for name, value in vars(calls).items()
        if name.isupper() and isinstance(value, int) and not name.startswith("_")
    }
    assert stated == actual
