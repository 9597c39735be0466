"""Frames: every vector, round trips, and nothing but ProtocolError on any bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ringthrough.protocol import limits
from ringthrough.protocol.errors import ErrorCode, ProtocolError
from ringthrough.protocol.frames import (
    Ack,
    Acked,
    Append,
    Appended,
    AppendFlag,
    Carried,
    Carry,
    Close,
    Create,
    FrameType,
    Hello,
    Join,
    Open,
    Ping,
    Record,
    Records,
    Signal,
    Signalled,
    StreamKind,
    decode_client,
    decode_server,
    encode,
    encode_record,
    encode_records,
    records_header,
    signalled_header,
)

FOLDER = Path(__file__).resolve().parents[2] / "vectors" / "frames"
CASES: list[dict[str, Any]] = [
    case for path in sorted(FOLDER.iterdir()) for case in json.loads(path.read_text())["cases"]
]


def plain(value: Any) -> Any:
    """The form the vectors have."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, msgspec.Struct):
        fields = {name: plain(getattr(value, name)) for name in value.__struct_fields__}
        return {"type": type(value).__name__, **fields}
    return int(value) if isinstance(value, int) else value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_vector(case: dict[str, Any]) -> None:
    decode = decode_client if case["from"] == "client" else decode_server
    message = bytes.fromhex(case["hex"])
    if case["expect"] == "ok":
        frame = decode(message)
        assert plain(frame) == case["decoded"]
        if case.get("reencodes", True):
            assert decode(encode(frame)) == frame
        return
    with pytest.raises(ProtocolError) as refused:
        decode(message)
    assert (refused.value.code, refused.value.request) == (case["expect"], case["request"])


def test_half_of_the_vectors_are_refused_and_every_frame_type_is_read() -> None:
    assert sum(case["expect"] != "ok" for case in CASES) >= len(CASES) / 2
    read = {int(case["hex"][:2], 16) for case in CASES if case["expect"] == "ok"}
    assert read == {int(frame_type) for frame_type in FrameType}


REQUESTS = st.integers(0, (1 << 32) - 1)
BODIES = st.sampled_from(limits.PADDED_SIZES_BYTES[:6]).flatmap(lambda n: st.just(bytes(n)))
FRAMES = st.one_of(
    st.builds(Hello, st.integers(0, 9), st.integers(0, 9)),
    st.builds(Create, REQUESTS, st.binary(min_size=16, max_size=16), st.sampled_from(StreamKind), st.just(bytes(32))),
    st.builds(
        Open,
        REQUESTS,
        st.binary(min_size=16, max_size=16),
        st.sampled_from([b"", bytes(32)]),
        st.integers(0, (1 << 63) - 1),
    ),
    st.builds(Close, REQUESTS, REQUESTS),
    st.builds(Ping, REQUESTS),
    st.builds(Append, REQUESTS, REQUESTS, st.lists(BODIES, min_size=1, max_size=64).map(tuple)),
    st.builds(
        Append, REQUESTS, REQUESTS, st.tuples(BODIES), st.integers(0, (1 << 63) - 1), st.just(bytes(range(32)))
    ),
    st.builds(Signal, REQUESTS, BODIES.filter(lambda b: len(b) <= limits.SIGNAL_BYTES_MAX)),
    st.builds(Join, REQUESTS, st.binary(min_size=16, max_size=16), REQUESTS),
    st.builds(Carry, REQUESTS, REQUESTS, BODIES.filter(lambda b: len(b) <= limits.SIGNAL_BYTES_MAX)),
    st.builds(Ack, REQUESTS, REQUESTS, st.integers(0, 3), st.booleans(), st.booleans()),
)


@given(frame=FRAMES)
def test_what_a_client_encodes_the_server_reads(frame: Any) -> None:
    if isinstance(frame, Append) and sum(map(len, frame.records)) > limits.APPEND_BYTES_MAX:
        with pytest.raises(ProtocolError) as refused:
            decode_client(encode(frame))
        assert refused.value.code is ErrorCode.TOO_LARGE
        return
    assert decode_client(encode(frame)) == frame


@given(message=st.binary(max_size=400))
@example(message=b"\x03" + b"\x91" * 5000)
@example(message=b"\x03\x94\x09\xd9\x02\xff\xfe\xc0\xc0")
@example(message=b"\x05" * (limits.MESSAGE_BYTES_MAX + 1))
def test_random_bytes_raise_nothing_but_protocol_error(message: bytes) -> None:
    for decode in (decode_client, decode_server):
        try:
            decode(message)
        except ProtocolError as refused:
            error = refused
        else:
            continue
        assert error.request in range(1 << 32)


@given(frame=FRAMES, data=st.data())
def test_a_damaged_frame_raises_nothing_but_protocol_error(frame: Any, data: st.DataObject) -> None:
    message = bytearray(encode(frame))
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(message)))
    for damaged in (bytes(message), bytes(message[:cut])):
        try:
            decode_client(damaged)
        except ProtocolError:
            continue


def test_only_the_commit_flag_is_known() -> None:
    message = bytearray(encode(Append(3, 7, (bytes(160),))))
    for flags in range(2, 256, 2):
        message[9] = flags
        with pytest.raises(ProtocolError) as refused:
            decode_client(bytes(message))
        assert (refused.value.request, refused.value.handle) == (7, 3)
    assert [int(flag) for flag in AppendFlag] == [1]


def test_an_append_has_a_size_together() -> None:
    fits = Append(1, 1, (bytes(65536),) * 4)
    assert decode_client(encode(fits)) == fits
    with pytest.raises(ProtocolError) as refused:
        decode_client(encode(Append(1, 1, (*fits.records, bytes(160)))))
    assert refused.value.code is ErrorCode.TOO_LARGE
    with pytest.raises(ProtocolError) as refused:
        decode_client(encode(Append(1, 1, (*fits.records, bytes(5120)))))
    assert refused.value.code is ErrorCode.TOO_LARGE


def test_an_answer_to_a_carried_frame_looks_like_an_answer_to_a_message() -> None:
    assert (
        len(encode(Ack(1, 2, 0, False, True)))
        == len(encode(Acked(1, 2, 1, True, False)))
        == len(encode(Appended(1, 2)))
    )
    assert decode_server(encode(Acked(1, 2, 1, True, False))) == Acked(1, 2, 1, True, False)
    assert decode_server(encode(Carried(1, 2, bytes(160)))) == Carried(1, 2, bytes(160))


def test_a_commit_without_a_hash_is_not_encoded() -> None:
    with pytest.raises(ValueError, match="next token"):
        encode(Append(1, 1, (bytes(160),), 0))


def test_the_parts_of_a_fan_out_make_a_frame() -> None:
    some = tuple(Record(i, 5, bytes([i]) * 160) for i in range(1, 4))
    encoded = [encode_record(record) for record in some]
    assert encode(Records(9, some)) == encode_records(9, encoded) == records_header(9, 3) + b"".join(encoded)
    assert signalled_header(9) + bytes(160) == encode(Signalled(9, bytes(160)))
