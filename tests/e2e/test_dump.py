"""What the server's disk says after a conversation and a call: nothing that it must not know."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

import apsw
import msgspec
import pytest

from lab.demo import MESSAGES
from ringthrough.client.account import load_identity, state_path
from ringthrough.client.conversation import stream_token
from ringthrough.client.identity import OwnIdentity
from ringthrough.client.store import ConversationRow, Store
from ringthrough.e2ee.mls import Group, KeyPackageBundle
from ringthrough.protocol.limits import PADDED_SIZES_BYTES

from .conftest import Played

pytestmark = [pytest.mark.slow, pytest.mark.alone, pytest.mark.promise("CANNOT-LINK")]

PEOPLE = ("alice", "bob")


@dataclass(frozen=True)
class Device:
    """What one person's device knows."""

    own: OwnIdentity
    conversations: list[ConversationRow]
    bundles: list[KeyPackageBundle]


@pytest.fixture(scope="module")
def devices(played: Played) -> list[Device]:
    found = []
    for person in PEOPLE:
        with Store(state_path(played.out / person)) as store:
            bundles = [KeyPackageBundle.from_bytes(b) for b in store.key_packages()]
            found.append(Device(load_identity(store), store.conversations(), bundles))
    return found


@pytest.fixture(scope="module")
def dump(played: Played) -> dict[str, list[dict[str, object]]]:
    """Every row of every table of every database below the server's folder."""
    tables: dict[str, list[dict[str, object]]] = {}
    for path in (played.out / "server-data").rglob("*.sqlite"):
        db = apsw.Connection(str(path))
        names = [r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            cursor = db.execute(f"SELECT * FROM {name}")
            rows = list(cursor)
            columns = [c[1] for c in db.execute(f"PRAGMA table_info({name})")]
            tables[name] = [dict(zip(columns, row, strict=True)) for row in rows]
        db.close()
    assert {"stream", "record", "account"} <= tables.keys()
    assert tables["record"], "the demo left records behind"
    return tables


@pytest.fixture(scope="module")
def at_rest(played: Played) -> bytes:
    """Every byte in the server's folder, logs and write-ahead logs included."""
    files = [p for p in (played.out / "server-data").rglob("*") if p.is_file()]
    return b"".join(p.read_bytes() for p in (*files, played.out / "server.log"))


def test_no_plaintext(at_rest: bytes, dump: dict[str, list[dict[str, object]]]) -> None:
    for text in (*MESSAGES, "I hear you."):
        for words in (text, text[:12], text[-12:]):
            assert words.encode() not in at_rest


@pytest.mark.promise("CANNOT-READ")
def test_no_key(at_rest: bytes, devices: list[Device]) -> None:
    secrets = []
    for device in devices:
        own = device.own
        secrets += [own.identity_private, own.signature_private, own.inbox_private, own.inbox_token]
        for row in device.conversations:
            group = Group.from_bytes(row.state)
            secrets += [stream_token(group), group.export("ringthrough call", b"", 32), group.epoch_authenticator]
        for bundle in device.bundles:
            secrets += [bundle.init_private, bundle.encryption_private]
    assert len(secrets) > 20
    for secret in secrets:
        assert secret not in at_rest


def test_no_row_joins_an_account_to_a_conversation(
    dump: dict[str, list[dict[str, object]]], devices: list[Device]
) -> None:
    people = {
        x for d in devices for x in (d.own.account_id, d.own.device_id, d.own.signature_key, d.own.identity_key)
    }
    people |= {d.own.handle.encode() for d in devices}
    streams = {row.stream for device in devices for row in device.conversations}
    assert streams
    for table, rows in dump.items():
        sids = {r["sid"] for r in dump["stream"] if r["id"] in streams}
        for row in rows:
            blob = _bytes(row)
            names_person = any(person in blob for person in people)
            names_stream = any(stream in blob for stream in streams) or (row.get("sid") in sids and "sid" in row)
            assert not (names_person and names_stream), f"{table} joins a person to a conversation"


def test_no_row_joins_two_accounts(dump: dict[str, list[dict[str, object]]], devices: list[Device]) -> None:
    for table, rows in dump.items():
        for row in rows:
            blob = _bytes(row)
            named = [d for d in devices if d.own.account_id in blob or d.own.device_id in blob]
            assert len(named) <= 1, f"{table} joins two accounts"


def test_no_address_of_a_person(at_rest: bytes, dump: dict[str, list[dict[str, object]]]) -> None:
    """Neither in text nor as packed bytes in a column of its own, for the addresses the homes had."""
    addresses = [ipaddress.ip_address(f"10.66.{n}.2") for n in (1, 2)]
    for address in addresses:
        assert str(address).encode() not in at_rest
        for rows in dump.values():
            for row in rows:
                assert address.packed not in row.values()
                assert int(address) not in row.values()
    assert not re.search(rb"\b10\.66\.[12]\.\d+\b", at_rest)


def test_records_have_only_the_padded_sizes(dump: dict[str, list[dict[str, object]]]) -> None:
    sizes = {len(row["body"]) for row in dump["record"] if isinstance(row["body"], bytes)}
    assert sizes
    assert sizes <= set(PADDED_SIZES_BYTES)


def _bytes(row: dict[str, object]) -> bytes:
    parts = []
    for value in row.values():
        if isinstance(value, bytes):
            parts.append(value)
        elif isinstance(value, str):
            parts.append(value.encode())
    return b"\0".join(parts) + msgspec.msgpack.encode([v for v in row.values() if isinstance(v, int)])
