"""GET /v1/server-knows: every column of the real schema, with the caller's own values."""

from __future__ import annotations

import aiohttp

from ringthrough.server.app import RunningServer
from ringthrough.server.knowledge import columns
from tests.server.test_directory_routes import Api, Person


async def test_every_column_is_told_with_the_callers_own_values(server: RunningServer) -> None:
    async with aiohttp.ClientSession() as session:
        api, person = Api(server, session), Person("alice", b"a" * 16)
        await api.create(person)
        await api.sign_in(person)
        status, answer = await api.call("GET", "/v1/server-knows", None, person)
    rows = {row["what"]: row for row in answer["rows"]}
    assert status == 200
    assert tuple(rows) == columns()
    assert rows["account.handle"]["value"] == "@alice"
    assert rows["account.account_id"]["value"] == person.account_id.hex()
    assert all(row[name] for row in rows.values() for name in ("why", "until", "value"))
    assert "nothing says which" in rows["record.body"]["value"]


async def test_a_stranger_is_told_nothing(server: RunningServer) -> None:
    async with aiohttp.ClientSession() as session:
        assert await Api(server, session).call("GET", "/v1/server-knows") == (401, "unauthenticated")
