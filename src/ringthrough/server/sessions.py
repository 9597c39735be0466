"""Challenges and sessions, in memory only: a restart signs everybody out, and nothing at rest says who was in."""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from ringthrough.protocol import limits

CHALLENGES_MAX = 100_000
SESSIONS_MAX = 200_000


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who a session belongs to."""

    account_id: bytes
    device_id: bytes


class Sessions:
    """`random(n)` gives n secret bytes. Times are monotonic seconds. The oldest goes when there are too many."""

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._challenges: OrderedDict[bytes, tuple[SignedIn, float]] = OrderedDict()
        self._sessions: OrderedDict[bytes, tuple[SignedIn, float]] = OrderedDict()

    def challenge(self, device: SignedIn, now_s: float) -> bytes:
        """A new challenge for this device."""
        challenge = self._random(32)
        self._challenges[challenge] = (device, now_s + limits.CHALLENGE_LIFETIME_S)
        _prune(self._challenges, now_s, CHALLENGES_MAX)
        return challenge

    def redeem(self, challenge: bytes, device: SignedIn, now_s: float) -> bool:
        """Whether the challenge was this device's and fresh. It is used up either way."""
        kept = self._challenges.pop(challenge, None)
        return kept is not None and kept[0] == device and now_s < kept[1]

    def start(self, device: SignedIn, now_s: float) -> str:
        """A bearer for this device. Only its hash is kept."""
        bearer = base64.urlsafe_b64encode(self._random(32)).decode().rstrip("=")
        self._sessions[_key(bearer)] = (device, now_s + limits.SESSION_LIFETIME_S)
        _prune(self._sessions, now_s, SESSIONS_MAX)
        return bearer

    def find(self, bearer: str, now_s: float) -> SignedIn | None:
        """Whose session this is, while it lasts."""
        kept = self._sessions.get(_key(bearer))
        return kept[0] if kept is not None and now_s < kept[1] else None

    def end(self, account_id: bytes, still_listed: frozenset[bytes] = frozenset()) -> None:
        """End the sessions of an account's devices that are not listed any more."""
        gone = [
            key
            for key, (device, _) in self._sessions.items()
            if device.account_id == account_id and device.device_id not in still_listed
        ]
        for key in gone:
            del self._sessions[key]


def _key(bearer: str) -> bytes:
    return hashlib.sha256(bearer.encode("utf-8", "surrogateescape")).digest()


def _prune(kept: OrderedDict[bytes, tuple[SignedIn, float]], now_s: float, count_max: int) -> None:
    """All entries of a table live equally long, so the expired ones are in front."""
    while kept and (len(kept) > count_max or next(iter(kept.values()))[1] <= now_s):
        kept.popitem(last=False)
