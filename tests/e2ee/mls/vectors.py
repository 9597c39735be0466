"""Runs the official MLS test vectors (mlswg/mls-implementations) against the core.

`python tests/e2ee/mls/vectors.py [file ...]` prints a line for each file and ends with the total. The folder is
taken from RINGTHROUGH_MLS_VECTORS, or is `shared/vectors/mls` beside the repository.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

_HERE = Path(__file__).resolve()
if __name__ == "__main__":
    sys.path.insert(0, str(_HERE.parents[3] / "src"))
    sys.path.insert(0, str(_HERE.parents[3]))

from tests.e2ee.mls import vectors_messages, vectors_passive, vectors_schedule, vectors_tree  # noqa: E402

Case = Mapping[str, Any]
Run = Callable[[Case], None]

FILES: Final[dict[str, tuple[int, Run]]] = {
    "tree-math": (10, vectors_tree.tree_math_case),
    "deserialization": (14, vectors_messages.deserialization_case),
    "crypto-basics": (7, vectors_schedule.crypto_basics_case),
    "key-schedule": (7, vectors_schedule.key_schedule_case),
    "secret-tree": (21, vectors_schedule.secret_tree_case),
    "message-protection": (7, vectors_messages.message_protection_case),
    "transcript-hashes": (7, vectors_schedule.transcript_hashes_case),
    "welcome": (7, vectors_messages.welcome_case),
    "psk_secret": (77, vectors_schedule.psk_secret_case),
    "tree-operations": (5, vectors_tree.tree_operations_case),
    "tree-validation": (98, vectors_tree.tree_validation_case),
    "treekem": (77, vectors_tree.treekem_case),
    "messages": (300, vectors_messages.messages_case),
    "passive-client-welcome": (56, vectors_passive.passive_client_case),
    "passive-client-handling-commit": (91, vectors_passive.passive_client_case),
    "passive-client-random": (1, vectors_passive.passive_client_case),
}
"""Name of each file with the number of its cases and what runs one."""

TOTAL: Final = sum(count for count, _ in FILES.values())


def folder() -> Path:
    """Where the vectors are, whether or not they are there."""
    configured = os.environ.get("RINGTHROUGH_MLS_VECTORS")
    return Path(configured) if configured else _HERE.parents[4] / "shared" / "vectors" / "mls"


def run_file(name: str, where: Path) -> Iterator[str]:
    """Yields one description for each case that fails, also when the file has another number of cases."""
    expected, run = FILES[name]
    cases = json.loads((where / f"{name}.json").read_text())
    if len(cases) != expected:
        yield f"{name}: {len(cases)} cases instead of {expected}"
    for number, case in enumerate(cases):
        try:
            run(case)
        except Exception as error:
            yield f"{name}[{number}]: {type(error).__name__}: {error}"


def main(names: list[str]) -> int:
    """Prints the counts; 0 only if every case of every wanted file passes."""
    where = folder()
    wanted = names or list(FILES)
    passed = 0
    for name in wanted:
        count = FILES[name][0]
        try:
            failures = list(run_file(name, where))
        except OSError as error:
            failures = [f"{name}: {error}"] * count
        good = max(0, count - len(failures))
        passed += good
        print(f"{name}: {good} of {count}", flush=True)
        for failure in failures[:5]:
            print(f"  {failure}")
    total = sum(FILES[name][0] for name in wanted)
    print(f"{passed} of {total} official MLS cases passed")
    return 0 if passed == total else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
