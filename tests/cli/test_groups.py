"""`ringthrough group ...`"""

from __future__ import annotations

from .conftest import Run, ServerThread


def test_a_group_from_creation_to_removal(people: Run, server: ServerThread) -> None:
    assert people("carol", "account", "create", "carol", "--server", server.url).code == 0
    made = people("alice", "group", "create", "tea", "@bob")
    assert made.code == 0
    assert made.lines[0]["title"] == "tea"
    assert people("alice", "group", "add", "tea", "@carol").lines == [{"title": "tea", "added": ["@carol"]}]
    (listed,) = people("alice", "group", "list").lines
    assert listed["members"] == ["@alice", "@bob", "@carol"]
    assert people("alice", "send", "tea", "hello all").code == 0
    for name in ("bob", "carol"):
        out = people(name, "read", "--wait", "1", as_json=False).out
        assert out == "@alice [tea]: hello all\n"
    assert people("alice", "group", "remove", "tea", "@carol").lines == [{"title": "tea", "removed": ["@carol"]}]
    people("carol", "read", "--wait", "1")
    assert people("carol", "group", "list").lines == []
    refused = people("carol", "send", "tea", "still here")
    assert (refused.code, "no group" in refused.err) == (1, True)
    plain = people("alice", "group", "list", as_json=False).out
    assert plain == f"#{listed['conversation'][:8]} tea: @alice, @bob\n"
    assert people("alice", "send", "#" + listed["conversation"][:8], "by id").code == 0


def test_what_cannot_be_done(people: Run) -> None:
    assert "@nobody" in people("alice", "group", "create", "tea", "@nobody").err
    assert people("alice", "group", "list").lines == [], "nothing is left behind"
    assert "no group called 'tea'" in people("alice", "group", "add", "tea", "@bob").err
    assert "title" in people("alice", "group", "create", "x" * 200).err
    assert people("alice", "group", "create", "tea").code == 0
    assert "nobody of that name" in people("alice", "group", "remove", "tea", "@bob").err


def test_a_title_of_others_does_not_command_the_terminal(people: Run) -> None:
    assert people("alice", "group", "create", "te\x1b[2Ja", "@bob").code == 0
    people("bob", "read", "--wait", "1")
    assert "\x1b" not in people("bob", "group", "list", as_json=False).out
