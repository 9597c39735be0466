"""Directory documents: every vector."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringthrough.protocol import directory as d
from ringthrough.protocol.errors import ProtocolError

FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "directory"
CASES: list[dict[str, Any]] = [
    case for path in sorted(FOLDER.iterdir()) for case in json.loads(path.read_text())["cases"]
]


def check(case: dict[str, Any]) -> None:
    match case["what"]:
        case "device list":
            signed = d.SignedDeviceList(bytes.fromhex(case["payload"]), bytes.fromhex(case["signature"]))
            devices = signed.verify()
            assert d.device_list_payload(devices) == signed.payload
            assert json.loads(msgspec.json.encode(_plain(devices))) == case["decoded"]
        case "sign-in":
            payload = d.sign_in_payload(case["authority"], bytes.fromhex(case["challenge"]))
            d.verify(bytes.fromhex(case["signature_key"]), payload, bytes.fromhex(case["signature"]))
        case "handle":
            assert d.check_handle(case["handle"]) == case["handle"]
        case what:
            pytest.fail(f"nobody reads {what}")


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    return value


@pytest.mark.promise("CANNOT-FORGE")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_vector(case: dict[str, Any]) -> None:
    if case["expect"] == "ok":
        check(case)
        return
    with pytest.raises(ProtocolError) as refused:
        check(case)
    assert refused.value.code == case["expect"]


def test_half_of_the_vectors_are_refused() -> None:
    assert sum(case["expect"] != "ok" for case in CASES) >= len(CASES) / 2


@pytest.mark.promise("CANNOT-FORGE")
@given(data=st.data())
def test_every_flipped_bit_of_a_device_list_is_refused(data: st.DataObject) -> None:
    case = CASES[0]
    both = bytearray.fromhex(case["payload"] + case["signature"])
    bit = data.draw(st.integers(0, len(both) * 8 - 1))
    both[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ProtocolError):
        d.SignedDeviceList(bytes(both[:-64]), bytes(both[-64:])).verify()


@given(payload=st.binary(max_size=200), signature=st.binary(max_size=70))
def test_random_bytes_raise_nothing_but_protocol_error(payload: bytes, signature: bytes) -> None:
    with pytest.raises(ProtocolError):
        d.SignedDeviceList(payload, signature).verify()
