"""What a frame carries: read and written in one form, and refused in every other."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringthrough.audio import payload
from ringthrough.audio.errors import MalformedPayload
from ringthrough.audio.payload import PACKET_BYTES_MAX, PAYLOAD_BYTES_MAX, Payload, PayloadPacker, Repeat
from ringthrough.audio.report import Carrier, Redundancy, Report
from ringthrough.audio.toc import packet_slots
from ringthrough.e2ee import sframe
from tests.audio import make_payload_vectors as vectors

FILE = json.loads(vectors.PATH.read_text())


def test_file_is_the_one_the_program_writes() -> None:
    assert vectors.PATH.read_text() == vectors.content()
    assert vectors.WISHES.read_text() == vectors.wishes()


def test_a_payload_fills_what_a_voice_frame_has_room_for() -> None:
    assert PAYLOAD_BYTES_MAX == sframe.AUDIO_PAYLOAD_BYTES_MAX
    assert len(payload.encode(Payload(Report(), b"\x59" * PACKET_BYTES_MAX))) == PAYLOAD_BYTES_MAX


@pytest.mark.parametrize("case", FILE["accepted"], ids=lambda case: case["shows"])
def test_good_payload_says_what_it_holds(case: dict[str, object]) -> None:
    data = bytes.fromhex(str(case["bytes"]))
    read = payload.decode(data)
    assert vectors.described(read).items() <= case.items()
    assert payload.encode(read) == data


@pytest.mark.promise("CANNOT-FORGE")
@pytest.mark.parametrize("case", FILE["refused"], ids=lambda case: case["shows"])
def test_malformed_payload_is_refused(case: dict[str, str]) -> None:
    with pytest.raises(MalformedPayload):
        payload.decode(bytes.fromhex(case["bytes"]))


@settings(max_examples=500, deadline=None)
@given(
    data=st.one_of(
        st.binary(max_size=PAYLOAD_BYTES_MAX),
        st.builds(
            lambda head, report, rest: bytes((head,)) + report + rest,
            st.integers(0, 3),
            st.sampled_from([Report().encode(), vectors.REPORT.encode()]),
            st.binary(max_size=60),
        ),
    )
)
def test_any_bytes_are_one_payload_or_malformed(data: bytes) -> None:
    try:
        read = payload.decode(data)
    except MalformedPayload:
        return
    assert payload.encode(read) == data
    assert len(read.repeats) <= payload.REPEATS_MAX
    ends = 0
    for repeat in reversed(read.repeats):
        assert repeat.distance - packet_slots(repeat.packet) >= ends
        ends = repeat.distance


@given(
    lost=st.integers(0, 100),
    target_ms=st.integers(0, 4000),
    carrier=st.sampled_from(Carrier),
    redundancy=st.sampled_from(Redundancy),
    takes_short=st.booleans(),
)
def test_report_round_trip(
    lost: int, target_ms: int, carrier: Carrier, redundancy: Redundancy, takes_short: bool
) -> None:
    report = Report(lost, 100 - lost, target_ms, carrier, redundancy, takes_short)
    read = Report.decode(report.encode())
    assert (read.lost_percent, read.late_percent) == (lost, 100 - lost)
    assert min(target_ms, 2550) <= read.target_ms <= target_ms + 9
    assert (read.carrier, read.redundancy, read.takes_short) == (carrier, redundancy, takes_short)


packets = st.lists(
    st.tuples(
        st.sampled_from([(b"\x48", 1), (b"\x58", 3), (b"\x59", 6)]),
        st.integers(1, PACKET_BYTES_MAX),
        st.integers(0, 300),
        st.sampled_from(Redundancy),
    ),
    max_size=20,
)


@settings(max_examples=200, deadline=None)
@given(sent=packets)
def test_whatever_is_sent_fits_and_is_read_back(sent: list[tuple[tuple[bytes, int], int, int, Redundancy]]) -> None:
    packer, slot = PayloadPacker(), 0
    said: dict[int, bytes] = {}
    for (toc, slots), size, gap, redundancy in sent:
        said[slot] = toc * size
        data = packer.pack(slot, said[slot], redundancy, Report())
        assert len(data) <= PAYLOAD_BYTES_MAX
        read = payload.decode(data)
        assert read.packet == said[slot]
        assert len(read.repeats) <= len(redundancy.distances)
        assert all(said[slot - repeat.distance] == repeat.packet for repeat in read.repeats)
        slot += slots + gap


def test_copies_are_those_asked_for() -> None:
    for redundancy, back in ((Redundancy.D1, [1]), (Redundancy.D12, [2, 1]), (Redundancy.D13, [3, 1])):
        packer = PayloadPacker()
        for slot in range(5):
            data = packer.pack(slot, vectors.SHORT, redundancy, Report())
        assert [repeat.distance for repeat in payload.decode(data).repeats] == back


def test_where_one_copy_fits_the_wanted_one_goes_in() -> None:
    long = b"\x48" * 50
    for redundancy, back in ((Redundancy.D12, 1), (Redundancy.D13, 3)):
        packer = PayloadPacker()
        for slot in range(5):
            data = packer.pack(slot, long, redundancy, Report())
        assert payload.decode(data).repeats == (Repeat(back, long),)
