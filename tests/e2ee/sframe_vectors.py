"""Run the official SFrame test vectors (repository sframe-wg/sframe, test-vectors.json; RFC 9605 appendix C).

What counts as a case: each header (289) and each whole frame, one for each of the suites 1 to 5 of RFC 9605: 294. The
three cases of the AEAD that suites 1 to 3 are built on must pass as well but are printed apart; three more are for
suites 6 to 8, which RFC 9605 does not have, and are skipped.

Where they are: the folder in RINGTHROUGH_SFRAME_VECTORS, else `<repository>/../shared/vectors/sframe`.
Run as a script, the last line is `N of N official SFrame cases passed`, and the exit status tells whether all did.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ringthrough.e2ee import sframe

Case = dict[str, Any]
VARIABLE = "RINGTHROUGH_SFRAME_VECTORS"
COUNT_EXPECTED = 294
SUITES_NOT_IN_RFC_9605 = (6, 7, 8)


def vectors_file() -> Path:
    """Where the official file should be; it may be missing."""
    default = Path(__file__).resolve().parents[2].parent / "shared" / "vectors" / "sframe"
    return Path(os.environ.get(VARIABLE) or default) / "test-vectors.json"


def check_header(case: Case) -> None:
    """Encode and decode, and refuse it cut short."""
    encoded = bytes.fromhex(case["encoded"])
    assert sframe.encode_header(case["kid"], case["ctr"]) == encoded
    assert sframe.decode_header(encoded) == (case["kid"], case["ctr"], len(encoded))
    try:
        sframe.decode_header(encoded[:-1])
    except sframe.Malformed:
        return
    raise AssertionError("a header cut short was read")


def check_aead(case: Case) -> None:
    """The AES-CTR-HMAC construction, both ways."""
    suite = sframe.Suite(case["cipher_suite"])
    key, nonce, aad, pt, ct = (bytes.fromhex(case[name]) for name in ("key", "nonce", "aad", "pt", "ct"))
    aead = sframe.AesCtrHmac(key, len(ct) - len(pt))
    assert len(ct) - len(pt) == sframe.SFrameKey(b"any", 0, suite).tag_bytes
    assert aead.encrypt(nonce, pt, aad) == ct
    assert aead.decrypt(nonce, ct, aad) == pt


def check_frame(case: Case) -> None:
    """Key schedule, nonce, sealing and opening."""
    suite, kid, ctr = sframe.Suite(case["cipher_suite"]), case["kid"], case["ctr"]
    base_key, metadata, pt, ct = (bytes.fromhex(case[name]) for name in ("base_key", "metadata", "pt", "ct"))
    secrets = sframe.derive_secrets(base_key, sframe.KeyId(kid), suite)
    assert [part.hex() for part in secrets] == [case[f"sframe_{name}"] for name in ("secret", "key", "salt")]
    key = sframe.SFrameKey(base_key, kid, suite)
    assert key.nonce(ctr).hex() == case["nonce"]
    assert (sframe.encode_header(kid, ctr) + metadata).hex() == case["aad"]
    assert sframe.SFrameSender(key, counter_start=ctr).seal(pt, metadata) == ct
    assert sframe.SFrameReceiver(key).open(ct, metadata) == (kid, ctr, pt)


def run(cases: list[Case], check: Callable[[Case], None], kind: str) -> int:
    """How many of the cases pass; the others are named on the output."""
    passed = 0
    for index, case in enumerate(cases):
        try:
            check(case)
            passed += 1
        except (AssertionError, sframe.SFrameError) as error:
            print(f"FAILED {kind}[{index}]: {error!r}")
    print(f"{kind}: {passed} of {len(cases)}")
    return passed


def main() -> int:
    """Run all, print the counts, return the exit status."""
    path = vectors_file()
    if not path.is_file():
        print(f"no SFrame vectors at {path}: set {VARIABLE}")
        return 2
    groups: dict[str, list[Case]] = json.loads(path.read_text())
    headers, frames = groups["header"], groups["sframe"]
    aead_cases = groups["aes_ctr_hmac"]
    for case in groups.get("aes_256_ctr_hmac", []):
        assert case["cipher_suite"] in SUITES_NOT_IN_RFC_9605
        print(f"skipped: suite {case['cipher_suite']} is not in RFC 9605")
    aead_passed = run(aead_cases, check_aead, "aes_ctr_hmac (not counted below)")
    passed = run(headers, check_header, "header") + run(frames, check_frame, "sframe")
    total = len(headers) + len(frames)
    print(f"{passed} of {total} official SFrame cases passed")
    return 0 if (passed, aead_passed, total) == (total, len(aead_cases), COUNT_EXPECTED) else 1


if __name__ == "__main__":
    sys.exit(main())
