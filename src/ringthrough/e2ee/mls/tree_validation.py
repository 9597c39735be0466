"""What a ratchet tree must satisfy before one joins it (RFC 9420 sections 7.3, 7.9.2 and 12.4.3.1)."""

from __future__ import annotations

from . import tree_math
from .credentials import CredentialCheck, CredentialUse
from .errors import InvalidTree
from .extensions import Extensions
from .leaf_node import LeafNode
from .ratchet_tree import ParentNode, RatchetTree


def validate_joined_tree(tree: RatchetTree, group_id: bytes, extensions: Extensions, check: CredentialCheck) -> None:
    """Every check on a tree received from others, the tree hash excepted.

    Lifetimes are not looked at: the members who added a leaf did, and a member who has not committed since
    then must not keep others out.
    """
    validate_structure(tree)
    for index, leaf in tree.occupied():
        leaf.check_capabilities(tree.cs, extensions)
        leaf.verify_signature(tree.cs, group_id, index)
        check(leaf.identity, leaf.signature_key, CredentialUse.JOIN)


def validate_structure(tree: RatchetTree) -> None:
    """Unmerged leaves, unique keys and parent hashes."""
    for position, parent in enumerate(tree.parents):
        if parent is not None:
            _check_unmerged_leaves(tree, 2 * position + 1, parent)
    check_unique_keys(tree)
    check_parent_hashes(tree)


def check_unique_keys(tree: RatchetTree) -> None:
    """No two nodes share an encryption key and no two leaves a signature key (section 7.3)."""
    leaves = [leaf for leaf in tree.leaves if leaf is not None]
    if len({leaf.signature_key for leaf in leaves}) != len(leaves):
        raise InvalidTree("two leaves have the same signature key")
    encryption_keys = [leaf.encryption_key for leaf in leaves]
    encryption_keys.extend(parent.encryption_key for parent in tree.parents if parent is not None)
    if len(set(encryption_keys)) != len(encryption_keys):
        raise InvalidTree("two nodes have the same encryption key")


def _check_unmerged_leaves(tree: RatchetTree, node: int, parent: ParentNode) -> None:
    below = tree_math.leaves_below(node)
    previous = -1
    for leaf in parent.unmerged_leaves:
        if leaf <= previous:
            raise InvalidTree("unmerged leaves are not in ascending order")
        previous = leaf
        if leaf not in below or tree.leaves[leaf] is None:
            raise InvalidTree("an unmerged leaf is blank or not below its node")
        between = tree_math.parent(2 * leaf)
        while between != node:
            lower = tree.parents[between >> 1]
            if lower is not None and leaf not in lower.unmerged_leaves:
                raise InvalidTree("a node between an unmerged leaf and its node does not list the leaf")
            between = tree_math.parent(between)


def check_parent_hashes(tree: RatchetTree) -> None:
    """Each parent node is vouched for by exactly the path that set it (section 7.9.2)."""
    for position, parent in enumerate(tree.parents):
        if parent is None:
            continue
        node = 2 * position + 1
        left, right = tree_math.left(node), tree_math.right(node)
        if not (
            _is_vouched_from(tree, node, parent, left, right) or _is_vouched_from(tree, node, parent, right, left)
        ):
            raise InvalidTree(f"the parent hash of node {node} is vouched for by nobody below it")


def _is_vouched_from(tree: RatchetTree, node: int, parent: ParentNode, child: int, other: int) -> bool:
    """Whether one node D of `child`'s resolution holds the hash, all others there being unmerged."""
    below = tree_math.leaves_below(child)
    unmerged = {2 * leaf for leaf in parent.unmerged_leaves if leaf in below}
    voucher = [entry for entry in tree.resolution(child) if entry not in unmerged]
    if len(voucher) != 1:
        return False
    found: LeafNode | ParentNode | None = tree.node(voucher[0])
    return found is not None and found.parent_hash == tree.parent_hash(node, other)
