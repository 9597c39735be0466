"""Every case of vectors/inbox/sealed.json: sealing is exact, so that another implementation makes the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ringthrough.e2ee.inbox import BlobReference, Invitation, open_invitation, seal_invitation
from ringthrough.protocol.limits import padded_size

FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "inbox"
CASES: list[dict[str, Any]] = json.loads((FOLDER / "sealed.json").read_text())["cases"]


def invitation(fields: dict[str, Any]) -> Invitation:
    welcome = fields["welcome"]
    return Invitation(
        origin=fields["origin"],
        stream=bytes.fromhex(fields["stream"]),
        from_seq=fields["from_seq"],
        is_direct=fields["is_direct"],
        title=fields["title"],
        welcome=bytes.fromhex(welcome) if isinstance(welcome, str) else BlobReference(*map(bytes.fromhex, welcome)),
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_sealing_is_exact(case: dict[str, Any]) -> None:
    key, private, inbox, random = (
        bytes.fromhex(case[name]) for name in ("inbox_key", "inbox_private_key", "inbox", "random")
    )

    def once(length: int) -> bytes:
        assert length == len(random)
        return random

    made = invitation(case["invitation"])
    record = seal_invitation(made, key, inbox, pad=padded_size, random=once)
    assert record.hex() == case["record"]
    assert open_invitation(record, private, inbox) == made


def test_no_file_is_unread() -> None:
    assert {file.name for file in FOLDER.iterdir()} == {"invitations.json", "sealed.json"}
