"""Writes vectors/direct: payloads of the direct channel's signalling, and which of them are refused.

Run it after a deliberate change: `python -m tests.e2ee.make_direct_vectors`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ringthrough.e2ee.content.cbor import encode_deterministic
from ringthrough.e2ee.content.errors import ContentError
from ringthrough.e2ee.direct import (
    Candidate,
    Description,
    DirectMessage,
    decode_direct,
    direct_base_key,
    encode_direct,
)

FILE = Path(__file__).resolve().parents[2] / "vectors" / "direct" / "messages.json"
HERE = Description(
    "aB3+",
    "0123456789abcdefghij+/",
    bytes(range(32)),
    (
        Candidate("192.0.2.7", 50_000),
        Candidate("2001:db8::7", 50_001),
        Candidate("0f9a3f2e-1b2c-4d5e-8f90-123456789abc.local", 50_002),
    ),
)
MESSAGES = {
    "offer": DirectMessage("offer", 1, HERE),
    "answer without candidates": DirectMessage("answer", 2**32 - 1, replace(HERE, candidates=())),
    "refuse": DirectMessage("refuse", 7),
    "ask": DirectMessage("ask", 0),
}
_GOOD: list[Any] = ["aB3+", HERE.password, HERE.fingerprint, [["192.0.2.7", 50_000]]]
REFUSED: dict[str, Any] = {
    "no array": {},
    "too short": [1, 2],
    "another version": [2, 2, 0],
    "version true": [True, 2, 0],
    "unknown kind": [1, 4, 0],
    "negative attempt": [1, 2, -1],
    "attempt too large": [1, 2, 2**32],
    "refuse with more": [1, 2, 0, "x"],
    "offer without a description": [1, 0, 1],
    "password too short": [1, 0, 1, "aB3+", "short", *_GOOD[2:]],
    "line end in the ufrag": [1, 0, 1, "aB3+\r\na=x", *_GOOD[1:]],
    "line end behind the ufrag": [1, 0, 1, "aB3+\n", *_GOOD[1:]],
    "fingerprint too short": [1, 0, 1, *_GOOD[:2], bytes(31), _GOOD[3]],
    "host name": [1, 0, 1, *_GOOD[:3], [["chat.example", 50_000]]],
    "line end in an address": [1, 0, 1, *_GOOD[:3], [["192.0.2.7 1\r\n", 50_000]]],
    "port 0": [1, 0, 1, *_GOOD[:3], [["192.0.2.7", 0]]],
    "port too large": [1, 0, 1, *_GOOD[:3], [["192.0.2.7", 65_536]]],
    "too many candidates": [1, 0, 1, *_GOOD[:3], [["192.0.2.7", 50_000]] * 17],
}


def document() -> dict[str, Any]:
    base_key = bytes(range(32))
    return {
        "keys": {"base_key": base_key.hex(), "direct_base_key": direct_base_key(base_key).hex()},
        "cases": list(_cases()),
    }


def _cases() -> Iterator[dict[str, Any]]:
    for name, message in MESSAGES.items():
        description = message.description and {
            "ufrag": message.description.ufrag,
            "password": message.description.password,
            "fingerprint": message.description.fingerprint.hex(),
            "candidates": [{"address": c.address, "port": c.port} for c in message.description.candidates],
        }
        said = {"kind": message.kind, "attempt": message.attempt, "description": description}
        yield {"name": name, "payload": encode_direct(message).hex(), "expect": "ok", "message": said}
    for name, value in REFUSED.items():
        payload = encode_deterministic(value)
        yield {"name": name, "payload": payload.hex(), "expect": refusal(payload)}
    yield {"name": "truncated", "payload": encode_deterministic([1, 2, 0])[:-1].hex(), "expect": "truncated"}


def refusal(payload: bytes) -> str:
    try:
        decode_direct(payload)
    except ContentError as error:
        return error.reason.value
    return "ok"


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(document(), indent=1) + "\n")
