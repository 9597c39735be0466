"""TreeKEM (RFC 9420 sections 7.4 to 7.6): making an UpdatePath and taking one in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from . import tree_math
from .commits import HpkeCiphertext, UpdatePath, UpdatePathNode
from .errors import InvalidCommit
from .hpke import decrypt_with_label, encrypt_with_label, hpke_generate
from .kem import HpkeKeyPair
from .leaf_node import LeafNode, LeafNodeSource
from .ratchet_tree import ParentNode, RatchetTree
from .signatures import Random
from .suites import CipherSuite


def node_key_pair(cs: CipherSuite, path_secret: bytes) -> HpkeKeyPair:
    """The key pair of the node a path secret belongs to."""
    return cs.kem.derive_key_pair(cs.derive_secret(path_secret, "node"))


@dataclass(frozen=True)
class NewPath:
    """What a committer knows after setting its path: `path_secrets` by node index."""

    leaf: LeafNode
    leaf_private: bytes = field(repr=False)
    path_secrets: Mapping[int, bytes] = field(repr=False)
    private_keys: Mapping[int, bytes] = field(repr=False)
    commit_secret: bytes = field(repr=False)


def set_new_path(
    tree: RatchetTree,
    leaf_index: int,
    template: LeafNode,
    group_id: bytes,
    signature_private: bytes,
    random: Random,
) -> NewPath:
    """Gives the leaf and its filtered direct path fresh keys in `tree` (section 7.5, sender's part)."""
    cs = tree.cs
    leaf_keys = hpke_generate(cs, random)
    path_secrets: dict[int, bytes] = {}
    private_keys: dict[int, bytes] = {}
    public_keys: list[bytes] = []
    secret = random(cs.hash_bytes)
    for node, _ in tree.filtered_direct_path(leaf_index):
        keys = node_key_pair(cs, secret)
        path_secrets[node] = secret
        private_keys[node] = keys.private
        public_keys.append(keys.public)
        secret = cs.derive_secret(secret, "path")
    parent_hash = _set_public_keys(tree, leaf_index, public_keys)
    leaf = replace(
        template,
        encryption_key=leaf_keys.public,
        source=LeafNodeSource.COMMIT,
        lifetime=None,
        parent_hash=parent_hash,
        signature=b"",
    ).signed(cs, signature_private, group_id, leaf_index)
    tree.set_leaf(leaf_index, leaf)
    return NewPath(leaf, leaf_keys.private, path_secrets, private_keys, secret)


def _set_public_keys(tree: RatchetTree, leaf_index: int, public_keys: list[bytes]) -> bytes:
    """Sets the filtered direct path and its parent hashes; gives the leaf's parent hash."""
    steps = tree.filtered_direct_path(leaf_index)
    tree.blank_direct_path(leaf_index)
    parent_hash = b""
    for (node, copath_child), public in zip(reversed(steps), reversed(public_keys), strict=True):
        tree.set_parent(node, ParentNode(public, parent_hash))
        parent_hash = tree.parent_hash(node, copath_child)
    return parent_hash


def encrypt_path(
    tree: RatchetTree,
    leaf_index: int,
    path: NewPath,
    context: bytes,
    new_leaves: Collection[int],
    random: Random,
) -> UpdatePath:
    """Seals each path secret to those below the copath child; `context` is the provisional GroupContext."""
    cs = tree.cs
    nodes: list[UpdatePathNode] = []
    for node, copath_child in tree.filtered_direct_path(leaf_index):
        secret = path.path_secrets[node]
        sealed = tuple(
            HpkeCiphertext(*encrypt_with_label(cs, public, "UpdatePathNode", context, secret, random))
            for public in _receivers(tree, copath_child, new_leaves).values()
        )
        parent = tree.node(node)
        if parent is None:
            raise InvalidCommit("a node of the path is blank")
        nodes.append(UpdatePathNode(parent.encryption_key, sealed))
    return UpdatePath(path.leaf, tuple(nodes))


def _receivers(tree: RatchetTree, copath_child: int, new_leaves: Collection[int]) -> dict[int, bytes]:
    """Public keys by node index: the resolution without the leaves this very commit adds."""
    receivers: dict[int, bytes] = {}
    for index in tree.resolution(copath_child):
        if index & 1 == 0 and index >> 1 in new_leaves:
            continue
        node = tree.node(index)
        if node is not None:
            receivers[index] = node.encryption_key
    return receivers


def merge_public_path(tree: RatchetTree, leaf_index: int, path: UpdatePath) -> None:
    """Sets a received path in `tree` and checks the leaf's parent hash (section 7.5, receiver's part)."""
    steps = tree.filtered_direct_path(leaf_index)
    if len(steps) != len(path.nodes):
        raise InvalidCommit("the path has not one entry for each node of the filtered direct path")
    parent_hash = _set_public_keys(tree, leaf_index, [node.encryption_key for node in path.nodes])
    if path.leaf_node.parent_hash != parent_hash:
        raise InvalidCommit("the parent hash of the committer's leaf is wrong")
    tree.set_leaf(leaf_index, path.leaf_node)


def open_path(
    tree: RatchetTree,
    sender_leaf: int,
    path: UpdatePath,
    own_leaf: int,
    private_keys: Mapping[int, bytes],
    context: bytes,
    new_leaves: Collection[int],
) -> tuple[dict[int, bytes], bytes]:
    """Decrypts the path secret meant for us; gives (private keys by node index, commit secret).

    `tree` holds the path already. `private_keys` are ours from before, by node index.
    """
    steps = tree.filtered_direct_path(sender_leaf)
    common = tree_math.common_ancestor(sender_leaf, own_leaf)
    position = next((place for place, (node, _) in enumerate(steps) if node == common), None)
    if position is None or len(steps) != len(path.nodes):
        raise InvalidCommit("the path does not reach this member")
    receivers = list(_receivers(tree, steps[position][1], new_leaves))
    sealed = path.nodes[position].encrypted_path_secret
    if len(sealed) != len(receivers):
        raise InvalidCommit("a node of the path has not one ciphertext for each receiver")
    place = next((place for place, receiver in enumerate(receivers) if receiver in private_keys), None)
    if place is None:
        raise InvalidCommit("the path holds no ciphertext for this member")
    private, ciphertext = private_keys[receivers[place]], sealed[place]
    secret = decrypt_with_label(
        tree.cs, private, "UpdatePathNode", context, ciphertext.kem_output, ciphertext.ciphertext
    )
    return keys_above(tree, common, secret, InvalidCommit)


def keys_above(
    tree: RatchetTree, node: int, path_secret: bytes, wrong: Callable[[str], Exception]
) -> tuple[dict[int, bytes], bytes]:
    """Private keys from `node` to the root, each checked against the tree, and the commit secret."""
    cs = tree.cs
    top = tree_math.root(tree.leaf_count)
    found: dict[int, bytes] = {}
    while True:
        public = tree.node(node)
        # Blank nodes were filtered out of the path, so they took no secret.
        if public is not None:
            keys = node_key_pair(cs, path_secret)
            if keys.public != public.encryption_key:
                raise wrong("a path secret does not yield the public key in the tree")
            found[node] = keys.private
            path_secret = cs.derive_secret(path_secret, "path")
        if node == top:
            return found, path_secret
        node = tree_math.parent(node)
