"""docs/spec/{transport,streams,directory}.md say what the code does: generated parts and tables are compared.

`RINGTHROUGH_REGENERATE=1 pytest tests/server/test_spec.py` rewrites the generated parts.
"""

from __future__ import annotations

import json
import os
import re
import textwrap
from pathlib import Path

import apsw
import msgspec
import pytest

from ringthrough.protocol import directory, frames, limits
from ringthrough.protocol.errors import ErrorCode
from ringthrough.server.app import ROUTES, Limits, ServerConfig
from ringthrough.server.config import option_of, options_table
from ringthrough.server.http import STATUS
from ringthrough.server.knowledge import STORED, columns
from ringthrough.server.store.migrate import migrate, shipped_migrations

ROOT = Path(__file__).resolve().parents[2]
SPEC = ROOT / "docs" / "spec"


def hex_lines(*messages: tuple[str, bytes]) -> str:
    lines = ["```"]
    for name, message in messages:
        shown = textwrap.wrap(message.hex(" "), 96)
        lines += [f"{name}:", *(f"  {line}" for line in shown)]
    return "\n".join([*lines, "```"])


def example() -> str:
    token, stream = bytes(range(32)), bytes(range(16))
    append = frames.encode(frames.Append(1, 2, (b"x" * 160,)))
    return hex_lines(
        ("HELLO", frames.encode(frames.Hello(1, 1))),
        ("WELCOME", frames.encode(frames.Welcome(1, 1_700_000_000_000))),
        ("OPEN", frames.encode(frames.Open(1, stream, token, 1))),
        ("OPENED", frames.encode(frames.Opened(1, 1, 7, 0, 1, 0, 0))),
        ("APPEND, cut", append[: 16 + 12]),
        ("APPENDED", frames.encode(frames.Appended(2, 1))),
    )


def frames_table() -> str:
    rows = ["| type | frame | from | fields |", "|---|---|---|---|"]
    for frame_type in frames.FrameType:
        name = frame_type.name.capitalize()
        fields = ", ".join(f"`{field}`" for field in getattr(frames, name).__struct_fields__)
        who = "client" if frame_type < 0x80 else "server"
        rows.append(f"| `0x{frame_type:02x}` | {frame_type.name} | {who} | {fields} |")
    return "\n".join(rows)


def limits_table() -> str:
    rows = ["| limit | value |", "|---|---|"]
    for name, value in vars(limits).items():
        if name.isupper():
            shown = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value).replace("|", "\\|")
            rows.append(f"| `limits.{name}` | {shown} |")
    return "\n".join(rows)


def documents() -> str:
    rows = ["| document | fields |", "|---|---|"]
    for name, value in vars(directory).items():
        if isinstance(value, type) and issubclass(value, msgspec.Struct):
            rows.append(f"| {name} | {', '.join(f'`{field}`' for field in value.__struct_fields__)} |")
    return "\n".join(rows)


def directory_example() -> str:
    cases = json.loads((ROOT / "vectors" / "directory" / "documents.json").read_text())["cases"]
    (case,) = [case for case in cases if case["name"] == "one device"]
    signed = directory.SignedDeviceList(bytes.fromhex(case["payload"]), bytes.fromhex(case["signature"]))
    signed.verify()
    return hex_lines(("payload", signed.payload), ("signature", signed.signature))


def generated() -> dict[str, dict[str, str]]:
    stored = ["| column | why | until |", "|---|---|---|"]
    stored += [f"| `{column}` | {STORED[column][0]} | {STORED[column][1]} |" for column in columns()]
    routes = ["| method | path | asks for |", "|---|---|---|"]
    routes += [f"| {route.method} | `{route.path}` | {route.auth.value} |" for route in ROUTES]
    return {
        "transport.md": {
            "limits": limits_table(),
            "options": options_table(Limits) + "\n\n" + options_table(ServerConfig),
            "frames": frames_table(),
            "example": example(),
        },
        "streams.md": {"stored": "\n".join(stored)},
        "directory.md": {"routes": "\n".join(routes), "documents": documents(), "example": directory_example()},
    }


@pytest.mark.promise("CANNOT-LINK")
def test_every_stored_column_has_a_reason_and_an_end() -> None:
    assert set(columns()) == set(STORED)


@pytest.mark.promise("CANNOT-LINK")
def test_no_table_joins_an_account_to_a_stream_or_to_another_account() -> None:
    tables: dict[str, set[str]] = {}
    for column in columns():
        table, name = column.split(".")
        tables.setdefault(table, set()).add(name)
    for table, names in tables.items():
        assert not (names & {"account_id", "device_id", "handle"} and names & {"sid", "id", "token_hash"}), table
        assert len(names & {"account_id", "peer", "contact", "owner"}) <= 1, table
    forbidden = ("address", "ip", "peer", "seen", "login", "agent")
    assert not [column for column in columns() if any(word in column.split(".")[1].split("_") for word in forbidden)]


@pytest.mark.parametrize("name", generated())
def test_generated_parts_equal_the_code(name: str) -> None:
    path = SPEC / name
    text = path.read_text()
    for part, content in generated()[name].items():
        mark = re.compile(rf"(<!-- generated: {part} -->\n).*?(<!-- end -->)", re.DOTALL)
        assert mark.search(text), f"no mark for {part} in {name}"
        text = mark.sub(lambda found, content=content: f"{found[1]}{content}\n{found[2]}", text)  # type: ignore[misc]
    if os.environ.get("RINGTHROUGH_REGENERATE"):
        path.write_text(text)
    assert path.read_text() == text


def test_the_error_table_lists_every_code_with_its_status() -> None:
    text = (SPEC / "transport.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (frame|HTTP|both) \| ?(\d*) \|", text, re.MULTILINE)
    assert [code for code, _, _ in rows] == [code.value for code in ErrorCode]
    assert {code: int(status) for code, _, status in rows if status} == {c.value: s for c, s in STATUS.items()}
    assert all(bool(status) == (where != "frame") for _, where, status in rows)


@pytest.mark.parametrize("options", [Limits, ServerConfig])
def test_every_option_has_help_and_a_trust_note(options: type[Limits] | type[ServerConfig]) -> None:
    for name in options.__dataclass_fields__:
        option = option_of(options, name)
        assert option.text
        assert option.trust


def test_every_table_is_strict() -> None:
    db = apsw.Connection(":memory:")
    migrate(db, shipped_migrations())
    rows = db.execute("SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'")
    assert all(strict for _, strict in rows.fetchall())
