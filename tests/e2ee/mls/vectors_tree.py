"""Official vectors for tree arithmetic, tree operations, tree validation and TreeKEM."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from ringthrough.e2ee.mls import tree_math
from ringthrough.e2ee.mls.codec import Reader, decode
from ringthrough.e2ee.mls.commits import UpdatePath
from ringthrough.e2ee.mls.errors import InvalidCommit
from ringthrough.e2ee.mls.group_context import GroupContext
from ringthrough.e2ee.mls.proposals import AddProposal, RemoveProposal, UpdateProposal, read_proposal
from ringthrough.e2ee.mls.ratchet_tree import RatchetTree
from ringthrough.e2ee.mls.suites import CipherSuite, suite
from ringthrough.e2ee.mls.tree_validation import validate_joined_tree, validate_structure
from ringthrough.e2ee.mls.treekem import (
    encrypt_path,
    keys_above,
    merge_public_path,
    node_key_pair,
    open_path,
    set_new_path,
)

Case = Mapping[str, Any]
hexed = bytes.fromhex


def _tree(cs: CipherSuite, encoded: str) -> RatchetTree:
    def read(reader: Reader) -> RatchetTree:
        return RatchetTree.read(reader, cs)

    tree = decode(hexed(encoded), read)
    assert RatchetTree(cs, tree.leaves, tree.parents).encode() == hexed(encoded)
    return tree


def tree_math_case(case: Case) -> None:
    leaves = case["n_leaves"]
    width = tree_math.node_width(leaves)
    top = tree_math.root(leaves)
    assert width == case["n_nodes"]
    assert top == case["root"]
    for node in range(width):
        if node & 1:
            assert tree_math.left(node) == case["left"][node]
            assert tree_math.right(node) == case["right"][node]
        else:
            assert case["left"][node] is None
            assert case["right"][node] is None
        parent = case["parent"][node]
        assert tree_math.direct_path(node, leaves)[:1] == ([] if parent is None else [parent])
        sibling = case["sibling"][node]
        assert tree_math.copath(node, leaves)[:1] == ([] if sibling is None else [sibling])


def tree_operations_case(case: Case) -> None:
    cs = suite(case["cipher_suite"])
    tree = _tree(cs, case["tree_before"])
    assert tree.tree_hash() == hexed(case["tree_hash_before"])
    match decode(hexed(case["proposal"]), read_proposal):
        case AddProposal(package):
            tree.add_leaf(package.leaf_node)
        case UpdateProposal(leaf):
            tree.update_leaf(case["proposal_sender"], leaf)
        case RemoveProposal(leaf_index):
            tree.remove_leaf(leaf_index)
            tree.truncate()
        case other:
            raise AssertionError(f"unexpected proposal {other}")
    assert tree.encode() == hexed(case["tree_after"])
    assert tree.tree_hash() == hexed(case["tree_hash_after"])


def tree_validation_case(case: Case) -> None:
    cs = suite(case["cipher_suite"])
    tree = _tree(cs, case["tree"])
    for node, resolution in enumerate(case["resolutions"]):
        assert tree.resolution(node) == resolution
        assert tree.node_hash(node) == hexed(case["tree_hashes"][node])
    validate_joined_tree(tree, hexed(case["group_id"]), (), lambda identity, key, use: None)


def treekem_case(case: Case) -> None:
    cs = suite(case["cipher_suite"])
    tree = _tree(cs, case["ratchet_tree"])
    validate_structure(tree)
    private: dict[int, dict[int, bytes]] = {}
    signature_keys: dict[int, bytes] = {}
    for leaf in case["leaves_private"]:
        index = leaf["index"]
        keys = {2 * index: hexed(leaf["encryption_priv"])}
        for entry in leaf["path_secrets"]:
            pair = node_key_pair(cs, hexed(entry["path_secret"]))
            node = tree.node(entry["node"])
            assert node is not None
            assert pair.public == node.encryption_key
            keys[entry["node"]] = pair.private
        private[index] = keys
        signature_keys[index] = hexed(leaf["signature_priv"])
    for entry in case["update_paths"]:
        _received_path(case, cs, tree, private, entry)
        _own_path(case, cs, tree, private, signature_keys, entry["sender"])


def _context(case: Case, cs: CipherSuite, tree: RatchetTree) -> bytes:
    transcript = hexed(case["confirmed_transcript_hash"])
    return GroupContext(cs.id, hexed(case["group_id"]), case["epoch"], tree.tree_hash(), transcript).encoded


def _received_path(
    case: Case, cs: CipherSuite, before: RatchetTree, private: dict[int, dict[int, bytes]], entry: Case
) -> None:
    path = decode(hexed(entry["update_path"]), UpdatePath.read)
    assert path.encode() == hexed(entry["update_path"])
    sender = entry["sender"]
    tree = before.clone()
    path.leaf_node.verify_signature(cs, hexed(case["group_id"]), sender)
    merge_public_path(tree, sender, path)
    assert tree.tree_hash() == hexed(entry["tree_hash_after"])
    context = _context(case, cs, tree)
    for index, keys in private.items():
        if index == sender:
            continue
        found, commit_secret = open_path(tree, sender, path, index, keys, context, ())
        assert commit_secret == hexed(entry["commit_secret"])
        common = tree_math.common_ancestor(sender, index)
        expected, _ = keys_above(tree, common, hexed(entry["path_secrets"][index]), InvalidCommit)
        assert found == expected


def _own_path(
    case: Case,
    cs: CipherSuite,
    before: RatchetTree,
    private: dict[int, dict[int, bytes]],
    signature_keys: dict[int, bytes],
    sender: int,
) -> None:
    """The sending half: a path of our own is opened by everybody else."""
    tree = before.clone()
    group_id = hexed(case["group_id"])
    made = set_new_path(tree, sender, tree.leaf(sender), group_id, signature_keys[sender], secrets.token_bytes)
    context = _context(case, cs, tree)
    path = encrypt_path(tree, sender, made, context, (), secrets.token_bytes)
    other = before.clone()
    merge_public_path(other, sender, path)
    assert other.tree_hash() == tree.tree_hash()
    for index, keys in private.items():
        if index != sender:
            _, commit_secret = open_path(other, sender, path, index, keys, context, ())
            assert commit_secret == made.commit_secret
