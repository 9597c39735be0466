"""What a file of this folder gives: rules for the middlebox, and changes that only the host itself can undergo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from lab.middlebox.rules import Rule


@dataclass(frozen=True, slots=True)
class ChangeOfAddress:
    """At `at_s` of the call the host loses its address and gains another."""

    host: str
    at_s: float


@dataclass(frozen=True, slots=True)
class Restriction:
    """What a network does to those who use it. Restrictions add up with `+`."""

    rules: tuple[Rule, ...] = ()
    changes: tuple[ChangeOfAddress, ...] = ()

    def __add__(self, other: Self) -> Restriction:
        return Restriction(self.rules + other.rules, self.changes + other.changes)


NOTHING = Restriction()
