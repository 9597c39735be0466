"""What the device keeps, and what two processes see of each other's changes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ringthrough.client.errors import NoAccount
from ringthrough.client.store import PendingCommit, Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "state.sqlite"


@pytest.fixture
def store(path: Path) -> Store:
    return Store(path)


def a_conversation(store: Store, stream: bytes = b"s" * 16) -> int:
    with store.transaction():
        return store.add_conversation(
            stream, "https://a.example", is_direct=True, title="", status="active", state=b"state", next_seq=1
        )


def queue(store: Store, conversation: int, text: bytes) -> int:
    with store.transaction():
        return store.queue_message(conversation, b"a", b"d", text, b"m")


def test_a_missing_profile_value_means_no_account(store: Store) -> None:
    with pytest.raises(NoAccount):
        store.profile("identity")


def test_two_processes_see_each_other(store: Store, path: Path) -> None:
    conversation = a_conversation(store)
    other = Store(path)
    seen = store.data_version()
    assert store.data_version() == seen
    with other.transaction():
        version = other.save_group(conversation, b"newer")
    assert store.data_version() != seen
    row = store.conversation(conversation)
    assert (row.state, row.version) == (b"newer", version)
    other.close()


def test_writers_in_two_processes_take_turns(store: Store, path: Path) -> None:
    conversation = a_conversation(store)
    program = (
        "import sys; from pathlib import Path; from ringthrough.client.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "for _ in range(100):\n"
        "    with store.transaction():\n"
        "        state = store.conversation(1).state\n"
        "        store.save_group(1, str(int(state) + 1).encode())\n"
    )
    with store.transaction():
        store.save_group(conversation, b"0")
    running = [subprocess.Popen([sys.executable, "-c", program, str(path)]) for _ in range(2)]
    assert [process.wait(60) for process in running] == [0, 0]
    assert store.conversation(conversation).state == b"200"
    assert store.conversation(conversation).version == 202


def test_the_first_seq_of_a_repeated_record_counts(store: Store) -> None:
    conversation = a_conversation(store)
    message = queue(store, conversation, b"x")
    with store.transaction():
        store.seal_message(message, b"body", b"hash", 1)
        assert store.any_unsent(conversation, [b"hash"])
        assert store.mark_sent(conversation, b"hash", 5, 100)
        assert store.mark_sent(conversation, b"hash", 6, 101)
        assert not store.mark_sent(conversation, b"other", 7, 101)
    row = store.message(message)
    assert (row.status, row.seq, row.received_s, row.body) == ("sent", 5, 100, None)
    assert not store.any_unsent(conversation, [b"hash"])


def test_unsent_messages_are_refused_when_we_are_out(store: Store) -> None:
    conversation = a_conversation(store)
    kept = [queue(store, conversation, b"x") for _ in range(2)]
    with store.transaction():
        store.refuse_unsent(conversation)
    assert {store.message(message).status for message in kept} == {"refused"}
    assert store.unsent(conversation, 10) == []


def test_a_pending_commit_is_kept_whole(store: Store) -> None:
    conversation = a_conversation(store)
    pending = PendingCommit(conversation, b"commit", 3, b"h" * 32, None, b"\x90")
    with store.transaction():
        store.set_pending_commit(pending)
    assert store.pending_commit(conversation) == pending
    with store.transaction():
        store.drop_pending_commit(conversation)
    assert store.pending_commit(conversation) is None


def test_a_welcome_goes_with_its_last_deposit(store: Store) -> None:
    conversation = a_conversation(store)
    with store.transaction():
        welcome = store.add_welcome(conversation, 2, b"welcome")
        for n in range(2):
            store.add_deposit(welcome, "https://a.example", bytes([n]) * 16, b"k" * 32)
        store.set_welcome_blob(welcome, b"blob")
    first, second = store.deposits()
    assert first.blob == b"blob"
    with store.transaction():
        store.drop_deposit(first.id)
    assert store.deposits() == [second]
    with store.transaction():
        store.drop_deposit(second.id)
    assert store._run("SELECT * FROM welcome") == []


def test_key_packages_are_kept_for_as_long_as_a_welcome_may_come(store: Store) -> None:
    with store.transaction():
        store.add_key_package(b"1", b"one-time", last_resort=False, expires_s=1000)
        store.add_key_package(b"2", b"old last resort", last_resort=True, expires_s=1000)
        store.add_key_package(b"3", b"new last resort", last_resort=True, expires_s=1000)
        assert store.unpublished_key_packages() == [b"one-time"]
        store.mark_key_packages_published()
        store.retire_last_resorts(b"3", 500)
        store.prune_key_packages(500)
        assert len(store.key_packages()) == 3
        store.prune_key_packages(501)
        assert store.key_packages() == [b"one-time", b"new last resort"]
        store.forget_key_package(b"1")
        store.forget_key_package(b"3")
    assert store.unpublished_key_packages() == []
    assert store.key_packages() == [b"new last resort"]


def test_keys_of_a_call_stay_in_their_conversation(store: Store) -> None:
    one, two = a_conversation(store), a_conversation(store, b"t" * 16)
    with store.transaction():
        store.add_call_key(b"call", 1, one, b"key of one", 1000)
        store.add_call_key(b"call", 2, two, b"key of two", 1000)
        store.add_call_key(b"call", 3, one, b"later", 1000)
    assert store.call_keys(one, b"call") == [(1, b"key of one"), (3, b"later")]
    with store.transaction():
        store.drop_call_keys(one, [b"call"])
    assert store.call_keys(one, b"call") == []
    assert store.call_keys(two, b"call") == [(2, b"key of two")]
    with store.transaction():
        store.prune_call_keys(1001)
    assert store.live_calls(two) == []


def test_waiting_invitations_are_few_and_expire(store: Store) -> None:
    with store.transaction():
        for n in range(5):
            store.keep_invitation(bytes([n]), 100 + n, at_most=3)
    waiting = store.waiting_invitations(100)
    assert [body for _, body in waiting] == [b"\2", b"\3", b"\4"]
    assert len(store.waiting_invitations(103)) == 2
    with store.transaction():
        store.drop_invitation(waiting[2][0], expired_at_s=103)
    assert [body for _, body in store.waiting_invitations(0)] == [b"\3"]


def test_a_read_mark_never_goes_back(store: Store) -> None:
    with store.transaction():
        store.set_read_mark("me", 5)
        store.set_read_mark("me", 3)
    assert store.read_mark("me") == 5
    assert store.read_mark("another") == 0
