"""What a running server has in memory: no code that opens a message or a call."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import ringthrough

PROGRAM = """
import json, sys
import ringthrough.server.app
print(json.dumps(sorted(sys.modules)))
"""
DECRYPTING = ("ciphers", "aead", "hpke", "x25519", "x448", "kdf", "Fernet", "fernet", "keywrap")


@pytest.mark.promise("CANNOT-READ")
def test_the_server_imports_no_code_that_decrypts() -> None:
    output = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True).stdout
    modules = set(json.loads(output))
    ours = {name for name in modules if name.split(".")[0] == "ringthrough"}
    assert "ringthrough.server.app" in ours
    assert {name.split(".")[1] for name in ours if "." in name} == {"server", "protocol"}
    assert not modules & {"cbor2", "av", "numpy", "sounddevice"}


@pytest.mark.promise("CANNOT-READ")
def test_no_source_of_the_server_names_a_cipher() -> None:
    """`cryptography` loads its bindings as one; what our code asks of it is Ed25519 verification alone."""
    root = Path(ringthrough.__file__).parent
    for path in [*(root / "server").rglob("*.py"), *(root / "protocol").rglob("*.py")]:
        for line in path.read_text().splitlines():
            if "cryptography" in line and line.lstrip().startswith(("import ", "from ")):
                assert not any(word in line for word in DECRYPTING), (path, line)
                assert "ed25519" in line or "InvalidSignature" in line, (path, line)
