"""docs/spec/media.md says what `sframe` does: limits, errors and the worked example are compared."""

from __future__ import annotations

import re
from pathlib import Path

from ringthrough.e2ee import sframe

SPEC = Path(__file__).resolve().parents[2] / "docs" / "spec" / "media.md"


def subclasses(cls: type[sframe.SFrameError]) -> list[type[sframe.SFrameError]]:
    return [found for direct in cls.__subclasses__() for found in (direct, *subclasses(direct))]


def generated() -> dict[str, str]:
    """What must stand between the marks of the spec."""
    names = [f"`{cls.__name__}` (`{cls.reason}`)" for cls in subclasses(sframe.SFrameError)]
    return {"errors": ", ".join(names) + "."}


def test_errors_equal_the_code() -> None:
    found = re.search(r"<!-- generated: errors -->\n(.*?)\n<!-- end -->", SPEC.read_text(), re.DOTALL)
    assert found is not None
    assert found[1] == generated()["errors"]
    reasons = [cls.reason for cls in subclasses(sframe.SFrameError)]
    assert len(set(reasons)) == len(reasons)


def test_limits_equal_the_code() -> None:
    stated = dict(re.findall(r"^\| `sframe\.(\w+)` \| (\d+) \|", SPEC.read_text(), re.MULTILINE))
    constants = {name: value for name, value in vars(sframe).items() if name.isupper() and not name.startswith("_")}
    assert stated == {name: str(value) for name, value in constants.items() if isinstance(value, int)}


def test_worked_example() -> None:
    example = dict(re.findall(r"^([a-z][a-z ]*?) {2,}([0-9a-f]+)$", SPEC.read_text(), re.MULTILINE))
    values = {name: bytes.fromhex(text) for name, text in example.items()}
    kid = sframe.call_kid(1, 7)
    assert values["key id"] == kid.to_bytes(2, "big")
    secrets = sframe.derive_secrets(values["base key"], kid, sframe.Suite.AES_128_GCM_SHA256_128)
    assert secrets == (values["secret"], values["key"], values["salt"])
    key = sframe.call_key(values["base key"], 1, 7)
    assert values["header"] == sframe.encode_header(kid, 0)
    assert sframe.seal_frame(sframe.SFrameSender(key), values["payload"]) == values["frame"]
    assert len(values["frame"]) == sframe.VOICE_BODY_BYTES
    assert len(example) == 8


def test_exporter_label_and_overhead() -> None:
    text = SPEC.read_text()
    assert f"MLS-Exporter(`{sframe.CALL_EXPORTER_LABEL}`, call id, {sframe.CALL_BASE_KEY_BYTES})" in text
    overhead = sframe.VOICE_BODY_BYTES - sframe.payload_bytes_max(sframe.VOICE_BODY_BYTES)
    assert f"is {overhead} bytes less than that size" in text
