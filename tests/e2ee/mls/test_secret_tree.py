"""One key for each message, in any order within the window, and none twice."""

from __future__ import annotations

import pytest

from ringthrough.e2ee.mls import CIPHER_SUITE_DEFAULT, GenerationTooFar, Replayed
from ringthrough.e2ee.mls.secret_tree import FoundKey, RatchetKind, SecretTree, Window

WINDOW = Window(skipped_generations_max=10, forward_ratchet_max=50)
KIND = RatchetKind.APPLICATION


def tree() -> SecretTree:
    return SecretTree.of(CIPHER_SUITE_DEFAULT, 8, b"\x07" * 32)


def take(receiver: SecretTree, generation: int, leaf: int = 3) -> FoundKey:
    found = receiver.find_key(leaf, KIND, generation, WINDOW)
    receiver.consume(found, WINDOW)
    return found


def test_receivers_in_any_order_find_the_sender_keys() -> None:
    sender, receiver = tree(), tree()
    sent = [sender.take_next(3, KIND) for _ in range(8)]
    for generation in (5, 0, 7, 6, 1, 4, 3, 2):
        found = take(receiver, generation)
        assert (generation, found.key, found.nonce) == sent[generation]


def test_looking_a_key_up_changes_nothing() -> None:
    receiver = tree()
    nodes, ratchets = dict(receiver.nodes), dict(receiver.ratchets)
    first = receiver.find_key(3, KIND, 4, WINDOW)
    assert (receiver.nodes, receiver.ratchets) == (nodes, ratchets)
    assert receiver.find_key(3, KIND, 4, WINDOW) == first


@pytest.mark.promise("CANNOT-FORGE")
@pytest.mark.parametrize("generation", [0, 3, 5])
def test_a_key_is_given_once(generation: int) -> None:
    receiver = tree()
    take(receiver, 5)
    if generation != 5:
        take(receiver, generation)
    with pytest.raises(Replayed):
        receiver.find_key(3, KIND, generation, WINDOW)


def test_keys_older_than_the_window_are_gone() -> None:
    receiver = tree()
    take(receiver, 20)
    take(receiver, 10)
    with pytest.raises(Replayed):
        receiver.find_key(3, KIND, 9, WINDOW)
    take(receiver, 31)
    assert len(receiver.ratchets[3, KIND].skipped) == WINDOW.skipped_generations_max
    assert min(receiver.ratchets[3, KIND].skipped) == 21


def test_a_generation_too_far_ahead_is_refused_before_it_costs_anything() -> None:
    receiver = tree()
    take(receiver, WINDOW.forward_ratchet_max)
    with pytest.raises(GenerationTooFar):
        receiver.find_key(3, KIND, 2 * WINDOW.forward_ratchet_max + 2, WINDOW)
    with pytest.raises(GenerationTooFar):
        receiver.find_key(3, KIND, 0xFFFFFFFF, WINDOW)


@pytest.mark.promise("CANNOT-SNOOP-AFTER")
def test_what_was_used_cannot_be_derived_again() -> None:
    """Forward secrecy inside an epoch: neither the root nor the leaf's first secret stays behind."""
    receiver, root = tree(), b"\x07" * 32
    found = take(receiver, 0)
    kept = [*receiver.nodes.values(), *(ratchet.secret for ratchet in receiver.ratchets.values())]
    assert root not in kept
    assert found.key not in kept
    for node in receiver.nodes:
        assert node not in (6, 5, 3, 7), "a secret above leaf 3 is still there"


def test_no_leaf_shares_keys_with_another() -> None:
    receiver = tree()
    keys = {take(receiver, generation, leaf).key for leaf in range(8) for generation in range(3)}
    assert len(keys) == 24
    other = tree().find_key(3, RatchetKind.HANDSHAKE, 0, WINDOW)
    assert other.key not in keys


def test_forgotten_leaves_neither_send_nor_receive() -> None:
    receiver = tree()
    receiver.forget(3)
    with pytest.raises(Replayed):
        receiver.find_key(3, KIND, 0, WINDOW)
    with pytest.raises(Replayed):
        receiver.take_next(3, KIND)
    assert take(receiver, 0, leaf=2).key == tree().find_key(2, KIND, 0, WINDOW).key
