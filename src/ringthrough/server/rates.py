"""Token buckets. In memory only: nothing here is ever stored or logged."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Hashable

from .config import Rate

KEYS_MAX = 100_000


class Bucket:
    """One token bucket. `now_s` is any monotonic clock."""

    __slots__ = ("_at_s", "_tokens", "rate")

    def __init__(self, rate: Rate, now_s: float) -> None:
        self.rate = rate
        self._tokens = rate.burst
        self._at_s = now_s

    def take(self, now_s: float, amount: float = 1) -> int:
        """Take `amount` and return 0, or take nothing and return the milliseconds after which it may be there."""
        rate = self.rate
        tokens = min(rate.burst, self._tokens + (now_s - self._at_s) * rate.per_s)
        self._at_s = now_s
        # More than the burst at once could never pass; it passes from a full bucket and leaves a debt.
        if tokens >= min(amount, rate.burst):
            self._tokens = tokens - amount
            return 0
        self._tokens = tokens
        return max(1, math.ceil((min(amount, rate.burst) - tokens) / rate.per_s * 1000)) if rate.per_s else 60_000


class Buckets:
    """A bucket for each key (an address, an account); the longest unused goes first when there are too many."""

    def __init__(self, rate: Rate, keys_max: int = KEYS_MAX) -> None:
        self._rate = rate
        self._keys_max = keys_max
        self._buckets: OrderedDict[Hashable, Bucket] = OrderedDict()

    def take(self, key: Hashable, now_s: float, amount: float = 1) -> int:
        """As `Bucket.take`."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(self._rate, now_s)
            if len(self._buckets) > self._keys_max:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket.take(now_s, amount)


def address_key(address: str | None) -> bytes:
    """What stands for a network address: an IPv4 address, or the /64 of an IPv6 one (people get whole /64s)."""
    try:
        parsed = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return b""
    if isinstance(parsed, ipaddress.IPv6Address):
        return parsed.ipv4_mapped.packed if parsed.ipv4_mapped else parsed.packed[:8]
    return parsed.packed
