from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringthrough.server.config import Rate
from ringthrough.server.rates import Bucket, Buckets, address_key


def test_a_bucket_gives_its_burst_then_its_rate() -> None:
    bucket = Bucket(Rate(10, 3), now_s=0)
    assert [bucket.take(0) for _ in range(4)] == [0, 0, 0, 100]
    assert bucket.take(0.05) == 50
    assert bucket.take(0.1) == 0
    assert bucket.take(0.1) > 0
    assert [bucket.take(1000) for _ in range(4)] == [0, 0, 0, 100]


def test_more_than_the_burst_passes_from_a_full_bucket_and_is_owed() -> None:
    bucket = Bucket(Rate(10, 3), now_s=0)
    assert bucket.take(0, 13) == 0
    assert bucket.take(1) == 100
    assert bucket.take(1.1) == 0
    assert Bucket(Rate(0, 1), 0).take(0, 1) == 0


@given(asks=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 5)), max_size=60))
def test_in_the_long_run_the_rate_holds(asks: list[tuple[float, int]]) -> None:
    bucket = Bucket(Rate(4, 6), now_s=0)
    now_s = 0.0
    taken = 0
    for pause_s, amount in asks:
        now_s += pause_s
        wait_ms = bucket.take(now_s, amount)
        assert wait_ms >= 0
        taken += amount if wait_ms == 0 else 0
    assert taken <= 6 + now_s * 4 + 1e-6


def test_keys_do_not_share_and_the_longest_unused_goes() -> None:
    buckets = Buckets(Rate(0.001, 1), keys_max=2)
    assert buckets.take("a", 0) == 0
    assert buckets.take("b", 0) == 0
    assert buckets.take("a", 0) > 0
    assert buckets.take("c", 0) == 0  # b goes, a was used later
    assert buckets.take("a", 0) > 0
    assert buckets.take("b", 0) == 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8:1:2::5", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::5", "2001:db8:1:3::5", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        (None, "nonsense", True),
    ],
)
def test_what_counts_as_one_address(one: str | None, other: str, same: bool) -> None:
    assert (address_key(one) == address_key(other)) is same
