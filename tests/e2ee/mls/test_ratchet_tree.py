"""Cached hashes equal fresh ones whatever is done to a tree, and a damaged tree is not joined."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from ringthrough.e2ee.mls import CIPHER_SUITE_DEFAULT, Group, InvalidTree, MlsError, limits, ratchet_tree, tree_math
from ringthrough.e2ee.mls.codec import Reader, decode
from ringthrough.e2ee.mls.leaf_node import LeafNode
from ringthrough.e2ee.mls.ratchet_tree import ParentNode, RatchetTree
from ringthrough.e2ee.mls.tree_validation import validate_joined_tree, validate_structure

from .people import Person, accept, together


def leaf(number: int) -> LeafNode:
    return Person(f"leaf {number}").bundle.package.leaf_node


def fresh(tree: RatchetTree) -> RatchetTree:
    """The same tree with nothing cached."""
    return RatchetTree(tree.cs, tree.leaves.copy(), tree.parents.copy())


def read(data: bytes) -> RatchetTree:
    def reading(reader: Reader) -> RatchetTree:
        return RatchetTree.read(reader, CIPHER_SUITE_DEFAULT)

    return decode(data, reading)


@pytest.mark.parametrize("seed", range(4))
def test_cached_hashes_are_the_true_ones(seed: int) -> None:
    rng = random.Random(seed)
    tree = RatchetTree.of_one(CIPHER_SUITE_DEFAULT, leaf(0))
    for step in range(1, 60):
        occupied = [index for index, _ in tree.occupied()]
        match rng.randrange(4):
            case 0 if len(occupied) > 1:
                tree.remove_leaf(rng.choice(occupied))
                tree.truncate()
            case 1:
                tree.update_leaf(rng.choice(occupied), leaf(1000 * seed + step))
            case 2 if tree.parents:
                node = 2 * rng.randrange(len(tree.parents)) + 1
                tree.set_parent(node, ParentNode(rng.randbytes(32)))
            case _:
                blanks = [index for index, found in enumerate(tree.leaves) if found is None]
                assert tree.add_leaf(leaf(1000 * seed + step)) == (blanks[0] if blanks else len(tree.leaves) // 2)
        assert tree.tree_hash() == fresh(tree).tree_hash()
        assert tree.encode() == fresh(tree).encode()
        if rng.random() < 0.3:
            before = tree.tree_hash()
            copy = tree.clone()
            copy.add_leaf(leaf(-step))
            assert tree.tree_hash() == before != copy.tree_hash()


def test_a_tree_grows_and_shrinks_by_halves() -> None:
    tree = RatchetTree.of_one(CIPHER_SUITE_DEFAULT, leaf(0))
    for number in range(1, 5):
        tree.add_leaf(leaf(number))
    assert (tree.leaf_count, tree.width) == (8, 15)
    tree.remove_leaf(4)
    tree.truncate()
    assert (tree.leaf_count, tree.width) == (4, 7)
    for number in (1, 2, 3):
        tree.remove_leaf(number)
    tree.truncate()
    assert (tree.leaf_count, tree.width) == (1, 1)


def test_a_tree_has_a_largest_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratchet_tree, "GROUP_LEAVES_MAX", 4)
    tree = RatchetTree.of_one(CIPHER_SUITE_DEFAULT, leaf(0))
    for number in range(1, 4):
        tree.add_leaf(leaf(number))
    with pytest.raises(MlsError):
        tree.add_leaf(leaf(4))
    assert limits.GROUP_LEAVES_MAX >= 1000


@pytest.mark.parametrize("encoded", ["00", "0100", "020000", "0101", "0103", "020001", "03010200"])
def test_malformed_trees_are_refused(encoded: str) -> None:
    with pytest.raises(MlsError):
        read(bytes.fromhex(encoded))


# --- a tree that was tampered with --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def group() -> Group:
    """Five members, of whom two have committed and one was added afterwards: parents and unmerged leaves."""
    people = [Person(f"member {number}") for number in range(5)]
    together(*people)
    for committer in (people[3], people[0]):
        staged = committer.commit(add=(Person(f"late {committer.name!r}"),) if committer is people[0] else ())
        committer.group.merge_staged()
        for person in people:
            if person is not committer:
                person.take(staged.commit)
    late = Person("very late")
    people[0].group.commit(
        add=[late.bundle.key_package], random=late.random, check=accept, now_s=None, force_path=False
    )
    people[0].group.merge_staged()
    return people[0].group


def tampered(group: Group, change: Callable[[RatchetTree], None]) -> RatchetTree:
    tree = read(group.ratchet_tree())
    change(tree)
    return fresh(tree)


def set_parent(**fields: object) -> Callable[[RatchetTree], None]:
    def change(tree: RatchetTree) -> None:
        place = next(place for place, parent in enumerate(tree.parents) if parent is not None)
        parent = tree.parents[place]
        assert parent is not None
        tree.parents[place] = replace(parent, **fields)  # type: ignore[arg-type]

    return change


def same_keys(tree: RatchetTree) -> None:
    """Two leaves with one signature key."""
    tree.leaves[1] = replace(tree.leaf(1), signature_key=tree.leaf(0).signature_key)


def same_encryption_key(tree: RatchetTree) -> None:
    tree.leaves[1] = replace(tree.leaf(1), encryption_key=tree.leaf(0).encryption_key)


def without_unmerged(tree: RatchetTree) -> None:
    """The newest member is said to know all keys above it."""
    found = [place for place, parent in enumerate(tree.parents) if parent is not None and parent.unmerged_leaves]
    assert found
    parent = tree.parents[found[0]]
    assert parent is not None
    tree.parents[found[0]] = replace(parent, unmerged_leaves=())


def skips_a_level(tree: RatchetTree) -> None:
    """The root lists a leaf as unmerged that the node between them does not."""
    lower = next(2 * place + 1 for place, parent in enumerate(tree.parents) if parent is not None)
    top = tree.leaf_count - 1
    root, leaf_below = tree.parents[top >> 1], tree_math.leaves_below(lower)[-1]
    assert root is not None
    assert tree_math.is_below(lower, top)
    assert lower != top
    tree.parents[top >> 1] = replace(root, unmerged_leaves=(leaf_below,))


def test_an_unmerged_leaf_is_listed_all_the_way_up(group: Group) -> None:
    with pytest.raises(InvalidTree, match="between"):
        validate_structure(tampered(group, skips_a_level))


def test_an_honest_tree_is_valid(group: Group) -> None:
    tree = tampered(group, lambda tree: None)
    assert tree.tree_hash() == group.tree_hash
    assert any(parent is not None and parent.unmerged_leaves for parent in tree.parents)
    validate_joined_tree(tree, group.group_id, (), accept)


@pytest.mark.promise("CANNOT-FORGE")
@pytest.mark.parametrize(
    "change",
    [
        set_parent(encryption_key=bytes(32)),
        set_parent(parent_hash=bytes(32)),
        set_parent(unmerged_leaves=(7,)),
        set_parent(unmerged_leaves=(1, 0)),
        set_parent(unmerged_leaves=(0, 0)),
        same_keys,
        same_encryption_key,
        without_unmerged,
    ],
    ids=["key", "parent hash", "blank unmerged", "unsorted", "twice", "signature keys", "encryption keys", "merged"],
)
def test_a_tampered_tree_is_refused(group: Group, change: Callable[[RatchetTree], None]) -> None:
    with pytest.raises(InvalidTree, match="same" if change in (same_keys, same_encryption_key) else "."):
        validate_structure(tampered(group, change))


@pytest.mark.promise("CANNOT-FORGE")
def test_a_leaf_signed_for_another_group_is_refused(group: Group) -> None:
    with pytest.raises(MlsError):
        validate_joined_tree(read(group.ratchet_tree()), b"another group", (), accept)
