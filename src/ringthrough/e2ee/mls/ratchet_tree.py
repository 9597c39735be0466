"""The ratchet tree (RFC 9420 sections 4, 7.1, 7.7, 7.8 and 12.4.3.3): nodes, resolution, tree and parent hashes.

Node hashes are cached; changing a node forgets the hashes on its direct path only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from . import tree_math
from .codec import Reader, opaque, u32, u32_vector, vector
from .credentials import Member
from .errors import DecodeError, InvalidTree, LimitExceeded
from .leaf_node import LeafNode
from .limits import GROUP_LEAVES_MAX, PUBLIC_KEY_BYTES_MAX
from .structure import Structure, remember
from .suites import CipherSuite

_LEAF = 1
_PARENT = 2

T = TypeVar("T")


@dataclass(frozen=True)
class ParentNode(Structure):
    """Section 7.1: `unmerged_leaves` are leaf indices below that do not know the node's private key."""

    encryption_key: bytes
    parent_hash: bytes = b""
    unmerged_leaves: tuple[int, ...] = ()

    def _encode(self) -> bytes:
        return opaque(self.encryption_key) + opaque(self.parent_hash) + u32_vector(self.unmerged_leaves)

    @staticmethod
    def read(reader: Reader) -> ParentNode:
        start = reader.position
        node = ParentNode(
            reader.opaque(PUBLIC_KEY_BYTES_MAX),
            reader.opaque(PUBLIC_KEY_BYTES_MAX),
            reader.u32_vector(GROUP_LEAVES_MAX),
        )
        return remember(node, reader, start)


class RatchetTree:
    """A full binary tree: `leaves[i]` is node 2i, `parents[i]` is node 2i + 1; None is a blank node."""

    __slots__ = ("_encoded", "_full_below", "_hashes", "cs", "leaves", "parents")

    def __init__(
        self,
        cs: CipherSuite,
        leaves: list[LeafNode | None],
        parents: list[ParentNode | None],
        hashes: list[bytes | None] | None = None,
    ) -> None:
        self.cs = cs
        self.leaves = leaves
        self.parents = parents
        self._hashes: list[bytes | None] = hashes if hashes is not None else [None] * self.width
        self._encoded: bytes | None = None
        # No leaf with a smaller index is blank; keeps adding many members linear.
        self._full_below = 0

    @staticmethod
    def of_one(cs: CipherSuite, leaf: LeafNode) -> RatchetTree:
        """The tree of a group with one member."""
        return RatchetTree(cs, [leaf], [])

    def clone(self) -> RatchetTree:
        """A tree that can be changed without changing this one; nodes are immutable and shared."""
        tree = RatchetTree(self.cs, self.leaves.copy(), self.parents.copy(), self._hashes.copy())
        tree._encoded = self._encoded
        tree._full_below = self._full_below
        return tree

    @property
    def leaf_count(self) -> int:
        """Leaves of the tree, blank ones included: a power of two."""
        return len(self.leaves)

    @property
    def width(self) -> int:
        """Nodes of the tree."""
        return tree_math.node_width(len(self.leaves))

    def leaf(self, index: int) -> LeafNode:
        """The leaf node at a leaf index, or `InvalidTree` if there is none."""
        leaf = self.leaves[index] if 0 <= index < len(self.leaves) else None
        if leaf is None:
            raise InvalidTree(f"leaf {index} is blank or outside of the tree")
        return leaf

    def node(self, node: int) -> LeafNode | ParentNode | None:
        """The node at a node index."""
        return self.parents[node >> 1] if node & 1 else self.leaves[node >> 1]

    def occupied(self) -> Iterator[tuple[int, LeafNode]]:
        """Leaves that are not blank, with their leaf indices."""
        return ((index, leaf) for index, leaf in enumerate(self.leaves) if leaf is not None)

    def member(self, index: int) -> Member:
        """The member at a leaf index, or `InvalidTree`."""
        leaf = self.leaf(index)
        return Member(index, leaf.identity, leaf.signature_key)

    def members(self) -> list[Member]:
        """All members, by leaf index."""
        return [Member(index, leaf.identity, leaf.signature_key) for index, leaf in self.occupied()]

    def direct_path(self, leaf_index: int) -> list[int]:
        """Node indices from the leaf's parent to the root."""
        return tree_math.direct_path(2 * leaf_index, len(self.leaves))

    def filtered_direct_path(self, leaf_index: int) -> list[tuple[int, int]]:
        """(node, copath child) up the direct path, without nodes whose copath child resolves to nothing."""
        steps: list[tuple[int, int]] = []
        below = 2 * leaf_index
        for node in self.direct_path(leaf_index):
            copath_child = tree_math.sibling(below)
            if self._resolves(copath_child):
                steps.append((node, copath_child))
            below = node
        return steps

    def _resolves(self, node: int) -> bool:
        if node & 1 == 0:
            return self.leaves[node >> 1] is not None
        below = tree_math.leaves_below(node)
        return any(leaf is not None for leaf in self.leaves[below.start : below.stop])

    def resolution(self, node: int) -> list[int]:
        """Node indices that together cover all members below `node` (section 4.1.1)."""
        found: list[int] = []
        pending = [node]
        while pending:
            current = pending.pop()
            if current & 1 == 0:
                if self.leaves[current >> 1] is not None:
                    found.append(current)
                continue
            parent = self.parents[current >> 1]
            if parent is not None:
                found.append(current)
                found.extend(2 * leaf for leaf in parent.unmerged_leaves)
                continue
            pending.append(tree_math.right(current))
            pending.append(tree_math.left(current))
        return found

    # --- changes ---------------------------------------------------------------------------------------------

    def _touch(self, node: int) -> None:
        """Forgets every hash that covers `node`."""
        self._encoded = None
        self._hashes[node] = None
        for above in tree_math.direct_path(node, len(self.leaves)):
            self._hashes[above] = None

    def set_leaf(self, index: int, leaf: LeafNode | None) -> None:
        """Replaces a leaf and nothing else."""
        self.leaves[index] = leaf
        if leaf is None:
            self._full_below = min(self._full_below, index)
        self._touch(2 * index)

    def set_parent(self, node: int, parent: ParentNode | None) -> None:
        """Replaces a parent node and nothing else."""
        self.parents[node >> 1] = parent
        self._touch(node)

    def blank_direct_path(self, leaf_index: int) -> None:
        """Blanks every parent above a leaf."""
        for node in self.direct_path(leaf_index):
            self.parents[node >> 1] = None
        self._touch(2 * leaf_index)

    def update_leaf(self, index: int, leaf: LeafNode) -> None:
        """Applies an Update (section 12.1.2)."""
        self.leaf(index)
        self.leaves[index] = leaf
        self.blank_direct_path(index)

    def remove_leaf(self, index: int) -> None:
        """Applies a Remove (section 12.1.3), except for `truncate`."""
        self.leaf(index)
        self.leaves[index] = None
        self._full_below = min(self._full_below, index)
        self.blank_direct_path(index)

    def truncate(self) -> None:
        """Halves the tree while its right half holds nobody (section 7.7)."""
        count = len(self.leaves)
        while count > 1 and not any(leaf is not None for leaf in self.leaves[count // 2 : count]):
            count //= 2
        if count != len(self.leaves):
            self._full_below = min(self._full_below, count)
            del self.leaves[count:]
            del self.parents[count - 1 :]
            del self._hashes[self.width :]
            self._encoded = None

    def add_leaf(self, leaf: LeafNode) -> int:
        """Applies an Add (section 12.1.1) at the leftmost blank leaf; gives its leaf index."""
        index = self.leftmost_blank()
        self.leaves[index] = leaf
        for node in self.direct_path(index):
            parent = self.parents[node >> 1]
            if parent is not None:
                unmerged = tuple(sorted((*parent.unmerged_leaves, index)))
                self.parents[node >> 1] = replace(parent, unmerged_leaves=unmerged)
        self._touch(2 * index)
        return index

    def leftmost_blank(self) -> int:
        """The leaf index the next member takes, after extending the tree if it is full."""
        for index in range(self._full_below, len(self.leaves)):
            if self.leaves[index] is None:
                self._full_below = index
                return index
        index = self._full_below = len(self.leaves)
        if index * 2 > GROUP_LEAVES_MAX:
            raise LimitExceeded(f"a group has at most {GROUP_LEAVES_MAX} members")
        self.leaves.extend([None] * index)
        self.parents.extend([None] * index)
        self._hashes.extend([None] * (2 * index))
        self._encoded = None
        return index

    # --- hashes ----------------------------------------------------------------------------------------------

    def tree_hash(self) -> bytes:
        """The tree hash of the whole tree (section 7.8)."""
        return self.node_hash(tree_math.root(len(self.leaves)))

    def node_hash(self, node: int) -> bytes:
        """The tree hash of the subtree under a node."""
        known = self._hashes[node]
        if known is None:
            if node & 1 == 0:
                known = self._leaf_hash(node >> 1, self.leaves[node >> 1])
            else:
                half = (node ^ (node + 1)) + 1 >> 2
                below = self.node_hash(node - half), self.node_hash(node + half)
                known = self._parent_node_hash(self.parents[node >> 1], *below)
            self._hashes[node] = known
        return known

    def _leaf_hash(self, index: int, leaf: LeafNode | None) -> bytes:
        """Hash of LeafNodeHashInput."""
        body = b"\x00" if leaf is None else b"\x01" + leaf.encoded
        return self.cs.hash(b"\x01" + u32(index) + body)

    def _parent_node_hash(self, parent: ParentNode | None, left: bytes, right: bytes) -> bytes:
        """Hash of ParentNodeHashInput."""
        body = b"\x02\x00" if parent is None else b"\x02\x01" + parent.encoded
        return self.cs.hash(body + opaque(left) + opaque(right))

    def node_hash_without(self, node: int, excluded: Collection[int]) -> bytes:
        """The tree hash of a subtree with some leaves blanked and taken out of `unmerged_leaves`."""
        below = tree_math.leaves_below(node)
        here = [leaf for leaf in excluded if leaf in below]
        if not here:
            return self.node_hash(node)
        if node & 1 == 0:
            return self._leaf_hash(node >> 1, None)
        parent = self.parents[node >> 1]
        if parent is not None:
            kept = tuple(leaf for leaf in parent.unmerged_leaves if leaf not in here)
            parent = replace(parent, unmerged_leaves=kept)
        left = self.node_hash_without(tree_math.left(node), here)
        right = self.node_hash_without(tree_math.right(node), here)
        return self._parent_node_hash(parent, left, right)

    def parent_hash(self, node: int, copath_child: int) -> bytes:
        """The parent hash that a node below `node`, away from `copath_child`, must hold (section 7.9)."""
        parent = self.parents[node >> 1]
        if parent is None:
            raise InvalidTree("a blank node has no parent hash")
        sibling_hash = self.node_hash_without(copath_child, parent.unmerged_leaves)
        return self.cs.hash(opaque(parent.encryption_key) + opaque(parent.parent_hash) + opaque(sibling_hash))

    # --- the ratchet_tree extension ---------------------------------------------------------------------------

    def encode(self) -> bytes:
        """`optional<Node> ratchet_tree<V>` without blank nodes at its end (section 12.4.3.3)."""
        if self._encoded is None:
            nodes: list[bytes] = []
            for index, leaf in enumerate(self.leaves):
                if index:
                    parent = self.parents[index - 1]
                    nodes.append(b"\x00" if parent is None else b"\x01\x02" + parent.encoded)
                nodes.append(b"\x00" if leaf is None else b"\x01\x01" + leaf.encoded)
            while nodes and nodes[-1] == b"\x00":
                nodes.pop()
            self._encoded = vector(nodes)
        return self._encoded

    @staticmethod
    def read(reader: Reader, cs: CipherSuite) -> RatchetTree:
        """The reverse of `encode`."""
        start = reader.position
        nodes = reader.vector(lambda inner: inner.optional(_read_node), 2 * GROUP_LEAVES_MAX - 1)
        if not nodes or nodes[-1] is None:
            raise DecodeError("a ratchet tree is empty or ends with a blank node")
        leaves: list[LeafNode | None] = [_expect(node, LeafNode) for node in nodes[0::2]]
        parents: list[ParentNode | None] = [_expect(node, ParentNode) for node in nodes[1::2]]
        count = 1 << (len(leaves) - 1).bit_length()
        leaves.extend([None] * (count - len(leaves)))
        parents.extend([None] * (count - 1 - len(parents)))
        tree = RatchetTree(cs, leaves, parents)
        if len(nodes) > 2 * len(parents) + 1:
            raise DecodeError("a ratchet tree ends with a parent node")
        tree._encoded = reader.data[start : reader.position]
        return tree


def _read_node(reader: Reader) -> LeafNode | ParentNode:
    kind = reader.u8()
    if kind == _LEAF:
        return LeafNode.read(reader)
    if kind == _PARENT:
        return ParentNode.read(reader)
    raise DecodeError(f"node type {kind} does not exist")


def _expect(node: LeafNode | ParentNode | None, type: type[T]) -> T | None:
    if node is None or isinstance(node, type):
        return node
    raise DecodeError("a leaf node stands at the place of a parent node, or the reverse")
