"""Files: sealed, fetched from the conversation's server only, refused when anything is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ringthrough.client import files
from ringthrough.client.client import Client
from ringthrough.client.conversation import Conversation
from ringthrough.client.errors import FileUnreadable, TooLarge
from ringthrough.client.messages import Message
from ringthrough.e2ee import content as mimi

from .conftest import World, joined, soon, until


async def sent(world: World, data: bytes, name: str = "note.txt") -> tuple[Client, Client, Conversation, Message]:
    """Alice has sent Bob a file; his message."""
    alice, bob = await world.person("alice"), await world.person("bob")
    path = world.folder / name
    path.write_bytes(data)
    conversation = await alice.conversation_with("@bob")
    await joined(bob)
    await soon(conversation.sent(await alice.send_file(conversation, path)))
    await until(lambda: bool(bob.messages()), bob)
    return alice, bob, conversation, bob.messages()[0]


@pytest.mark.promise("CANNOT-READ")
async def test_a_file_arrives_and_the_server_holds_ciphertext(world: World) -> None:
    data = b"a secret note. " * 20_000
    _, bob, _, message = await sent(world, data)
    assert message.kind == "file"
    assert await soon(bob.fetch_file(message)) == data
    for path in (world.folder / "server").rglob("*"):
        assert not path.is_file() or b"a secret note" not in path.read_bytes()


async def test_an_empty_file(world: World) -> None:
    _, bob, _, message = await sent(world, b"")
    assert await soon(bob.fetch_file(message)) == b""


@pytest.mark.promise("CANNOT-FORGE")
async def test_a_blob_that_was_tampered_with_is_refused(world: World) -> None:
    _, bob, _, message = await sent(world, b"note")
    assert message.attachment is not None
    name = message.attachment.content_hash.hex()
    (blob,) = [p for p in (world.folder / "server").rglob("*") if p.is_file() and name in str(p)]
    blob.write_bytes(b"\0" * blob.stat().st_size)
    with pytest.raises(FileUnreadable):
        await soon(bob.fetch_file(message))
    blob.unlink()
    with pytest.raises(FileUnreadable):
        await soon(bob.fetch_file(message))


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v1/blobs/{hash}",
        "{origin}/v1/accounts/{hash}",
        "{origin}/v1/blobs/{hash}/../x",
        "nonsense",
        "",
        "http://[",
        "file:///etc/passwd",
    ],
)
async def test_a_file_elsewhere_is_not_fetched(world: World, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A link of the sender's choice would tell others when and where somebody reads it."""
    _, bob, conversation, message = await sent(world, b"note")
    assert message.attachment is not None
    http = bob.context.http(world.url)
    monkeypatch.setattr(http, "get_blob", lambda *_: pytest.fail("asked"))
    changed = url.format(hash=message.attachment.content_hash.hex(), origin=conversation.connection.origin)
    trap = replace(message, attachment=replace(message.attachment, url=changed))
    with pytest.raises(FileUnreadable, match="trap"):
        await soon(bob.fetch_file(trap))


async def test_a_message_without_file(world: World) -> None:
    _, bob, _, message = await sent(world, b"note")
    with pytest.raises(FileUnreadable, match="no file"):
        await bob.fetch_file(replace(message, attachment=None))


async def test_too_large_or_missing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    alice = await world.person("alice")
    tea = await soon(alice.create_group("tea", []))
    path = world.folder / "big"
    path.write_bytes(bytes(101))
    monkeypatch.setattr(files, "FILE_BYTES_MAX", 100)
    with pytest.raises(TooLarge, match="101 bytes"):
        await alice.send_file(tea, path)  # type: ignore[arg-type]
    with pytest.raises(FileUnreadable, match="No such file"):
        await alice.send_file(tea, Path("/nowhere/x"))  # type: ignore[arg-type]
    assert alice.messages() == []


async def test_two_uploads_of_one_file_share_nothing(world: World) -> None:
    alice, bob, conversation, first = await sent(world, b"note")
    await soon(conversation.sent(await alice.send_file(conversation, world.folder / "note.txt")))
    await until(lambda: len(bob.messages()) == 2, bob)
    second = bob.messages()[1]
    assert first.attachment is not None
    assert second.attachment is not None
    assert first.attachment.content_hash != second.attachment.content_hash
    assert first.attachment.key != second.attachment.key
    assert isinstance(first.attachment, mimi.ExternalPart)
