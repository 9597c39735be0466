"""The call machine, one device at a time, as conversation scripts (vectors/calls; language in docs/spec/media.md)."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ringthrough.protocol import calls
from ringthrough.protocol.calls import CallEvent, CallId, CallMachine, ConversationId, HangupReason, Kind, LeafIndex

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "calls"
ROOM, ELSEWHERE = ConversationId(b"room"), ConversationId(b"elsewhere")
PERSON = ("answer", "decline", "hang_up", "fail", "tick")


def call_id(word: str) -> CallId:
    return CallId(bytes((int(word),)) * calls.CALL_ID_BYTES)


def remote_event(words: list[str]) -> CallEvent:
    """`answer 20 from 2 [own] [sent 0] [reason hung_up] [to 3] [elsewhere]`"""
    kind, identity, _, leaf, *rest = words
    options = iter(rest)
    values: dict[str, Any] = {}
    for option in options:
        match option:
            case "own":
                values["own"] = True
            case "elsewhere":
                values["conversation"] = ELSEWHERE
            case "sent":
                values["sent_ms"] = int(next(options))
            case "reason":
                values["reason"] = HangupReason(next(options))
            case "to":
                values["to_leaf"] = LeafIndex(int(next(options)))
            case _:
                raise ValueError(f"script: unknown option {option}")
    return CallEvent(Kind(kind), call_id(identity), values.pop("conversation", ROOM), LeafIndex(int(leaf)), **values)


def written(action: calls.Action) -> str:
    match action:
        case calls.Send(kind, identity, conversation, reason, to_leaf):
            words = ["send", kind, str(identity[0])]
            words += [reason] if reason else []
            words += ["to", str(to_leaf)] if to_leaf is not None else []
            return " ".join(words + (["elsewhere"] if conversation == ELSEWHERE else []))
        case calls.StartAudio(identity, peer):
            return f"start audio {identity[0]} with {peer}"
        case calls.Ring(identity):
            return f"ring {identity[0]}"
        case calls.StopAudio():
            return "stop audio"
        case calls.StopRinging():
            return "stop ringing"
        case calls.ShowRinging():
            return "show ringing"
        case calls.Ended(reason):
            return f"ended {reason}"
        case calls.Refused(what):
            return f"refused {what}"


def feed(machine: CallMachine, words: list[str], now_ms: int) -> list[calls.Action]:
    match words:
        case ["place", identity]:
            return machine.place(call_id(identity), ROOM, now_ms)
        case ["remote", *rest]:
            return machine.remote(remote_event(rest), now_ms)
        case ["frame", "from", leaf, *own]:
            return machine.frame_opened(LeafIndex(int(leaf)), now_ms, own=own == ["own"])
        case ["audio"]:
            return machine.audio_heard(now_ms)
        case [word] if word in PERSON:
            actions: list[calls.Action] = getattr(machine, word)(now_ms)
            return actions
    raise ValueError(f"script: unknown input {words}")


def standing(machine: CallMachine) -> str:
    until = "" if machine.deadline_ms is None else f" until {machine.deadline_ms}"
    return f"= {machine.state}{until}"


def transcript(lines: list[str]) -> Iterator[str]:
    """The script with what the machine really did in place of what was expected."""
    machine, now_ms = CallMachine(LeafIndex(1)), 0
    for line in lines:
        sign, *words = line.split()
        match sign:
            case "at":
                now_ms = int(words[0])
                yield line
            case ">":
                yield line
                yield from (f"< {written(action)}" for action in feed(machine, words, now_ms))
            case "=":
                yield standing(machine)
            case "<":
                continue
            case _:
                raise ValueError(f"script: unknown line {line}")


def play(lines: list[str]) -> None:
    """Fail with a diff unless the machine does exactly what the script says, up to a stated end."""
    if not lines or not lines[-1].startswith("="):
        pytest.fail("unfinished script: it must end with the state that is reached")
    happened = list(transcript(lines))
    if happened != lines:
        pytest.fail("\n" + "\n".join(difflib.unified_diff(lines, happened, "script", "machine", lineterm="", n=9)))


def vector_cases() -> list[dict[str, Any]]:
    return [case for file in sorted(VECTORS.glob("*.json")) for case in json.loads(file.read_text())["cases"]]


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"]) for case in vector_cases()])
def test_script(case: dict[str, Any]) -> None:
    play(case["lines"])
    outputs = [line for line in case["lines"] if line.startswith("<")]
    last_input = max(index for index, line in enumerate(case["lines"]) if line.startswith(">"))
    refused = [line for line in case["lines"][last_input:] if line.startswith("< refused")]
    assert case["expect"] == ("refused" if refused else "ok")
    assert sum(line.startswith("< refused") for line in outputs) == len(refused)


def test_vectors_are_read_named_once_and_half_of_them_are_refused() -> None:
    cases = vector_cases()
    assert {file.name for file in VECTORS.iterdir()} == {"machine.json"}
    assert len({case["name"] for case in cases}) == len(cases)
    assert sum(case["expect"] == "refused" for case in cases) * 2 >= len(cases)


@pytest.mark.parametrize(
    "lines",
    [
        ["at 0", "> place 20", "< send offer 20"],
        ["at 0", "> place 20", "= calling until 60000"],
        ["at 0", "> place 20", "< send offer 20", "< ring 20", "= calling until 60000"],
        ["at 0", "> place 20", "< send offer 20", "= ringing until 60000"],
    ],
    ids=["unfinished", "missing output", "output too many", "other state"],
)
def test_a_wrong_script_fails(lines: list[str]) -> None:
    with pytest.raises(pytest.fail.Exception):
        play(lines)


def test_every_row_is_used_by_a_script(monkeypatch: pytest.MonkeyPatch) -> None:
    used: set[tuple[str, str, str]] = set()

    def noting(row: calls.Row) -> calls.Row:
        class Noted(calls.Row):
            @property
            def then(self) -> calls.State:
                used.add((row.state, row.what, row.when))
                return row.then

        return Noted(*row)

    table = {key: tuple(noting(row) for row in rows) for key, rows in calls._BY_STATE.items()}
    monkeypatch.setattr(calls, "_BY_STATE", table)
    for case in vector_cases():
        play(case["lines"])
    assert used == {(row.state, row.what, row.when) for row in calls.TRANSITIONS}


def test_the_table_is_sound() -> None:
    keys = [(row.state, row.what, row.when) for row in calls.TRANSITIONS]
    assert len(set(keys)) == len(keys)
    assert {row.when for row in calls.TRANSITIONS} == set(calls.GUARDS)
    assert {step for row in calls.TRANSITIONS for step in row.steps} <= set(calls._STEPS)
    assert all(row.state is not calls.State.ENDED for row in calls.TRANSITIONS)
    for row in calls.TRANSITIONS:
        assert (row.then is calls.State.ENDED) == any(step.startswith("end ") for step in row.steps), row
        assert (row.then is calls.State.IN_CALL and row.state is not calls.State.IN_CALL) == (
            "start audio" in row.steps
        ), row
        if row.state is calls.State.IN_CALL and row.then is calls.State.ENDED:
            assert row.steps[0] == "stop audio", row
        if row.state is calls.State.INCOMING and row.then is not calls.State.INCOMING:
            assert row.steps[0] == "stop ringing", row
    assert set(calls.ENDED_WHILE_RINGING) == set(calls.ENDED_IN_CALL) == set(HangupReason)


def test_a_call_id_has_16_bytes() -> None:
    machine = CallMachine(LeafIndex(1))
    with pytest.raises(ValueError, match="16 bytes"):
        machine.place(CallId(b"short"), ROOM, 0)
    event = CallEvent(Kind.OFFER, CallId(b"short"), ROOM, LeafIndex(2))
    assert machine.remote(event, 0) == [calls.Refused(calls.Input.OFFER)]
    assert machine.state is calls.State.IDLE
