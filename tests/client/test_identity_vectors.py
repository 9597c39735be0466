"""Every case of vectors/identity: credentials here, safety numbers in test_identity.py."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ringthrough.client.identity import Credential
from ringthrough.e2ee.mls import CredentialRefused

FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "identity"
CASES: list[dict[str, Any]] = json.loads((FOLDER / "credentials.json").read_text())["cases"]


@pytest.mark.promise("CANNOT-FORGE")
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_credential(case: dict[str, Any]) -> None:
    identity = bytes.fromhex(case["hex"])
    if case["expect"] != "ok":
        with pytest.raises(CredentialRefused):
            Credential.decode(identity)
        return
    credential = Credential.decode(identity)
    found = (credential.account_id.hex(), credential.device_id.hex(), credential.origin)
    assert found == tuple(case["decoded"][name] for name in ("account_id", "device_id", "origin"))
    assert credential.encode() == identity


def test_no_file_is_unread_no_name_comes_twice_and_half_are_refused() -> None:
    assert {file.name for file in FOLDER.iterdir()} == {"credentials.json", "safety_numbers.json"}
    assert len({case["name"] for case in CASES}) == len(CASES)
    assert sum(case["expect"] != "ok" for case in CASES) * 2 >= len(CASES)
