"""The client's half of a connection against a server that errs or lies."""

from __future__ import annotations

import pytest

from ringthrough.protocol import limits
from ringthrough.protocol.errors import ErrorCode, ProtocolError
from ringthrough.protocol.frames import (
    Acked,
    Appended,
    BundleId,
    Carried,
    Closed,
    Created,
    Error,
    Join,
    Joined,
    Opened,
    Pong,
    Record,
    Records,
    ServerFrame,
    Signalled,
    StreamId,
    StreamKind,
    Token,
    TokenHash,
    Welcome,
    decode_client,
    encode,
)
from ringthrough.protocol.session import (
    Answered,
    ConnectionRefused,
    Ready,
    RecordsArrived,
    RequestRefused,
    Session,
    SignalArrived,
)

ONE, TWO = StreamId(b"1" * 16), StreamId(b"2" * 16)
TOKEN = Token(b"t" * 32)
BODY = bytes(160)


def greeted() -> Session:
    session = Session()
    session.hello()
    assert session.receive(encode(Welcome(1, 5))) == Ready(1, 5)
    return session


def opened(request: int, handle: int, head: int = 0) -> bytes:
    return encode(Opened(request, handle, 7, 0, 1, head, 0))


def with_one_open(from_seq: int = 0) -> Session:
    session = greeted()
    request, _ = session.open(ONE, TOKEN, from_seq)
    assert isinstance(session.receive(opened(request, 9)), Answered)
    return session


def records(handle: int, *seqs: int) -> bytes:
    return encode(Records(handle, tuple(Record(seq, 0, BODY) for seq in seqs)))


def test_answers_find_their_requests_in_any_order() -> None:
    session = greeted()
    first, _ = session.create(ONE, StreamKind.CONVERSATION, TokenHash(bytes(32)))
    second, _ = session.ping()
    assert session.receive(encode(Pong(second, 7))) == Answered(second, Pong(second, 7))
    assert session.receive(encode(Created(first))) == Answered(first, Created(first))


def test_an_error_belongs_to_its_request_or_to_the_connection() -> None:
    session = greeted()
    request, _ = session.ping()
    error = Error(request, ErrorCode.RATE_LIMITED, "slow", 10)
    assert session.receive(encode(error)) == RequestRefused(request, error)
    nobody = Error(0, ErrorCode.STALE, "old")
    assert session.receive(encode(nobody)) == ConnectionRefused(nobody)


@pytest.mark.parametrize(
    "frame",
    [
        Created(1),
        Appended(1, 1),
        Error(77, "conflict", ""),
        Records(5, (Record(1, 0, BODY),)),
        Signalled(5, BODY),
        Welcome(1, 0),
        Closed(3),
    ],
)
def test_what_was_never_asked_for_is_refused(frame: ServerFrame) -> None:
    with pytest.raises(ProtocolError):
        greeted().receive(encode(frame))


def test_an_answer_of_another_kind_is_refused() -> None:
    session = greeted()
    request, _ = session.ping()
    with pytest.raises(ProtocolError):
        session.receive(encode(Created(request)))


def test_an_unknown_version_is_refused() -> None:
    session = Session()
    with pytest.raises(ProtocolError, match="version 2"):
        session.receive(encode(Welcome(2, 0)))


def test_records_come_in_order_without_gap_or_repeat() -> None:
    session = with_one_open(from_seq=3)
    assert session.receive(records(9, 5, 6)) == RecordsArrived(ONE, (Record(5, 0, BODY), Record(6, 0, BODY)))
    assert isinstance(session.receive(records(9, 7)), RecordsArrived)
    for wrong in (7, 9, 1):
        session = with_one_open(from_seq=3)
        session.receive(records(9, 5, 6, 7))
        with pytest.raises(ProtocolError, match="out of order"):
            session.receive(records(9, wrong))


def test_records_from_before_what_was_asked_are_refused() -> None:
    with pytest.raises(ProtocolError):
        with_one_open(from_seq=3).receive(records(9, 2))


def test_signals_carry_their_stream() -> None:
    assert with_one_open().receive(encode(Signalled(9, BODY))) == SignalArrived(ONE, BODY)


def test_a_handle_belongs_to_one_stream() -> None:
    session = with_one_open()
    request, _ = session.open(TWO, TOKEN, 0)
    with pytest.raises(ProtocolError, match="two streams"):
        session.receive(opened(request, 9))
    session = with_one_open()
    request, _ = session.open(ONE, TOKEN, 0)
    with pytest.raises(ProtocolError, match="changed the handle"):
        session.receive(opened(request, 10))


def test_after_close_what_is_under_way_is_dropped_and_then_refused() -> None:
    session = with_one_open()
    request, _ = session.close(ONE)
    assert not session.is_open(ONE)
    assert session.receive(records(9, 1)) is None
    assert session.receive(encode(Signalled(9, BODY))) is None
    session.receive(encode(Closed(request)))
    with pytest.raises(ProtocolError):
        session.receive(records(9, 2))


def test_an_opening_that_a_close_has_overtaken_opens_nothing() -> None:
    """Otherwise records after those dropped would be taken for the next ones."""
    session = with_one_open()
    again, _ = session.open(ONE, TOKEN, 0)
    closing, _ = session.close(ONE)
    assert session.receive(records(9, 1)) is None
    session.receive(opened(again, 9))
    assert not session.is_open(ONE)
    assert session.receive(records(9, 2)) is None
    session.receive(encode(Closed(closing)))
    request, _ = session.open(ONE, TOKEN, 1)
    session.receive(opened(request, 10))
    assert isinstance(session.receive(records(10, 1)), RecordsArrived)


def test_requests_on_closed_streams_and_too_many_requests_are_refused_here() -> None:
    session = greeted()
    with pytest.raises(ProtocolError, match="not open"):
        session.append(ONE, (BODY,))
    with pytest.raises(ProtocolError, match="not open"):
        session.signal(ONE, BODY)
    with pytest.raises(ProtocolError, match="not open"):
        session.close(ONE)
    for _ in range(limits.REQUESTS_IN_FLIGHT_MAX):
        session.ping()
    with pytest.raises(ProtocolError, match="too many"):
        session.ping()


def test_a_connection_becomes_a_lane_for_what_it_has_open_or_another_lane_has_shown() -> None:
    session, bundle = with_one_open(), BundleId(b"b" * 16)
    request, message = session.join(bundle, ONE)
    assert decode_client(message) == Join(request, bundle, 9)
    assert session.receive(encode(Joined(request, 5))) == Answered(request, Joined(request, 5))
    further, message = session.join(bundle, None)
    assert decode_client(message) == Join(further, bundle, 0)
    for frame in (Carried(1, 2, BODY), Acked(1, 2, 1, True, False)):
        assert session.receive(encode(frame)) == frame
    with pytest.raises(ProtocolError) as refused:
        session.join(bundle, TWO)
    assert refused.value.code is ErrorCode.BAD_HANDLE
