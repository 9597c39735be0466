"""The secret tree and its ratchets (RFC 9420 section 9): one key for each message, gone once used.

Receiving is in two steps so that a forged message changes nothing: `find_key` computes, `consume` deletes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from . import tree_math
from .errors import GenerationTooFar, Replayed
from .suites import CipherSuite


class RatchetKind(IntEnum):
    HANDSHAKE = 0
    APPLICATION = 1


@dataclass(frozen=True)
class Window:
    """How far out of order messages of one sender may come."""

    skipped_generations_max: int
    forward_ratchet_max: int


MessageKey = tuple[bytes, bytes]
"""(key, nonce) of one generation."""


@dataclass
class Ratchet:
    """One sender's chain: `secret` belongs to `generation`, the next one; `skipped` holds older unused keys."""

    secret: bytes = field(repr=False)
    generation: int = 0
    skipped: dict[int, MessageKey] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Split:
    """The way from a kept node secret down to one leaf's fresh ratchets, computed but not applied."""

    start: int
    nodes: Mapping[int, bytes] = field(repr=False)
    ratchets: Mapping[RatchetKind, Ratchet] = field(repr=False)


@dataclass(frozen=True)
class FoundKey:
    """A key that was computed but not used up: hand it to `consume` once the message proved genuine."""

    leaf: int
    kind: RatchetKind
    generation: int
    key: bytes = field(repr=False)
    nonce: bytes = field(repr=False)
    split: Split | None = field(repr=False)
    next_secret: bytes | None = field(repr=False)
    skipped: Mapping[int, MessageKey] = field(repr=False)


class SecretTree:
    """The secrets of one epoch. `nodes` are secrets not yet split, by node index."""

    __slots__ = ("cs", "leaf_count", "nodes", "ratchets")

    def __init__(
        self,
        cs: CipherSuite,
        leaf_count: int,
        nodes: dict[int, bytes],
        ratchets: dict[tuple[int, RatchetKind], Ratchet],
    ) -> None:
        self.cs = cs
        self.leaf_count = leaf_count
        self.nodes = nodes
        self.ratchets = ratchets

    @staticmethod
    def of(cs: CipherSuite, leaf_count: int, encryption_secret: bytes) -> SecretTree:
        """The tree of a fresh epoch."""
        return SecretTree(cs, leaf_count, {tree_math.root(leaf_count): encryption_secret}, {})

    def _split_towards(self, leaf: int) -> Split:
        """Derives a leaf's ratchets and the node secrets beside the way (section 9, figure 26)."""
        cs = self.cs
        path = [2 * leaf, *tree_math.direct_path(2 * leaf, self.leaf_count)]
        step = next((step for step, node in enumerate(path) if node in self.nodes), None)
        if step is None:
            raise Replayed("the keys of this sender are deleted")
        start, nodes = path[step], {}
        secret = self.nodes[start]
        for node, below in zip(path[step:0:-1], path[step - 1 :: -1], strict=False):
            left_first = below < node
            beside = cs.expand_with_label(secret, "tree", b"right" if left_first else b"left", cs.hash_bytes)
            nodes[tree_math.sibling(below)] = beside
            secret = cs.expand_with_label(secret, "tree", b"left" if left_first else b"right", cs.hash_bytes)
        ratchets = {
            RatchetKind.HANDSHAKE: Ratchet(cs.derive_secret(secret, "handshake")),
            RatchetKind.APPLICATION: Ratchet(cs.derive_secret(secret, "application")),
        }
        return Split(start, nodes, ratchets)

    def _apply(self, leaf: int, split: Split) -> None:
        del self.nodes[split.start]
        self.nodes.update(split.nodes)
        for kind, ratchet in split.ratchets.items():
            self.ratchets[leaf, kind] = ratchet

    def _message_key(self, secret: bytes, generation: int) -> MessageKey:
        cs = self.cs
        key = cs.derive_tree_secret(secret, "key", generation, cs.aead.key_bytes)
        return key, cs.derive_tree_secret(secret, "nonce", generation, cs.aead.nonce_bytes)

    def _advance(self, secret: bytes, generation: int) -> bytes:
        return self.cs.derive_tree_secret(secret, "secret", generation, self.cs.hash_bytes)

    def take_next(self, leaf: int, kind: RatchetKind) -> tuple[int, bytes, bytes]:
        """For sending: (generation, key, nonce), used up at once."""
        if (leaf, kind) not in self.ratchets:
            self._apply(leaf, self._split_towards(leaf))
        ratchet = self.ratchets[leaf, kind]
        generation = ratchet.generation
        key, nonce = self._message_key(ratchet.secret, generation)
        ratchet.secret = self._advance(ratchet.secret, generation)
        ratchet.generation = generation + 1
        return generation, key, nonce

    def find_key(self, leaf: int, kind: RatchetKind, generation: int, window: Window) -> FoundKey:
        """For receiving: the key of a generation, or `Replayed` or `GenerationTooFar`."""
        split = None if (leaf, kind) in self.ratchets else self._split_towards(leaf)
        ratchet = self.ratchets[leaf, kind] if split is None else split.ratchets[kind]
        if generation < ratchet.generation:
            kept = ratchet.skipped.get(generation)
            if kept is None:
                raise Replayed(f"generation {generation} of this sender was used already, or is too old")
            return FoundKey(leaf, kind, generation, kept[0], kept[1], None, None, {})
        if generation - ratchet.generation > window.forward_ratchet_max:
            raise GenerationTooFar(f"generation {generation} is too far ahead of {ratchet.generation}")
        secret = ratchet.secret
        skipped: dict[int, MessageKey] = {}
        for passed in range(ratchet.generation, generation):
            if generation - passed <= window.skipped_generations_max:
                skipped[passed] = self._message_key(secret, passed)
            secret = self._advance(secret, passed)
        key, nonce = self._message_key(secret, generation)
        after = self._advance(secret, generation)
        return FoundKey(leaf, kind, generation, key, nonce, split, after, skipped)

    def consume(self, found: FoundKey, window: Window) -> None:
        """Deletes a key and moves the ratchet past it."""
        if found.split is not None:
            self._apply(found.leaf, found.split)
        ratchet = self.ratchets[found.leaf, found.kind]
        if found.next_secret is None:
            del ratchet.skipped[found.generation]
            return
        ratchet.secret = found.next_secret
        ratchet.generation = found.generation + 1
        ratchet.skipped.update(found.skipped)
        while len(ratchet.skipped) > window.skipped_generations_max:
            del ratchet.skipped[next(iter(ratchet.skipped))]

    def forget(self, leaf: int) -> None:
        """Deletes one leaf's keys: nobody sends in a past epoch."""
        if leaf >= self.leaf_count:
            return
        if (leaf, RatchetKind.APPLICATION) not in self.ratchets:
            self._apply(leaf, self._split_towards(leaf))
        self.ratchets.pop((leaf, RatchetKind.HANDSHAKE), None)
        self.ratchets.pop((leaf, RatchetKind.APPLICATION), None)
