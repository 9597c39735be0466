"""Array-based tree arithmetic (RFC 9420 appendix C) for full binary trees: leaf i is node 2i."""

from __future__ import annotations

from .errors import InvalidTree


def node_width(leaf_count: int) -> int:
    """Nodes of a tree with `leaf_count` leaves."""
    return 0 if leaf_count == 0 else 2 * leaf_count - 1


def level(node: int) -> int:
    """Height of a node above the leaves: the number of trailing one bits."""
    return (node ^ (node + 1)).bit_length() - 1


def root(leaf_count: int) -> int:
    """The root node; `leaf_count` is a power of two."""
    return leaf_count - 1


def left(node: int) -> int:
    """The left child of a parent node."""
    height = level(node)
    if height == 0:
        raise InvalidTree("a leaf has no children")
    return node ^ (1 << (height - 1))


def right(node: int) -> int:
    """The right child of a parent node."""
    height = level(node)
    if height == 0:
        raise InvalidTree("a leaf has no children")
    return node ^ (3 << (height - 1))


def parent(node: int) -> int:
    """The parent of a node, were the tree unbounded; the root's is outside of the tree."""
    height = level(node)
    return (node | (1 << height)) & ~(1 << (height + 1))


def sibling(node: int) -> int:
    """The other child of the node's parent."""
    above = parent(node)
    return right(above) if node < above else left(above)


def direct_path(node: int, leaf_count: int) -> list[int]:
    """Ancestors of a node from its parent up to the root; empty for the root itself."""
    top = root(leaf_count)
    path: list[int] = []
    while node != top:
        node = parent(node)
        path.append(node)
    return path


def copath(node: int, leaf_count: int) -> list[int]:
    """The siblings of the node and of its ancestors, below the root, from the bottom up."""
    top = root(leaf_count)
    path: list[int] = []
    while node != top:
        path.append(sibling(node))
        node = parent(node)
    return path


def is_below(node: int, ancestor: int) -> bool:
    """Whether `node` is `ancestor` or one of its descendants."""
    reach = (1 << level(ancestor)) - 1
    return ancestor - reach <= node <= ancestor + reach


def leaves_below(node: int) -> range:
    """Leaf indices under a node."""
    reach = (1 << level(node)) - 1
    return range((node - reach) // 2, (node + reach) // 2 + 1)


def common_ancestor(leaf_a: int, leaf_b: int) -> int:
    """The lowest node above both leaves (leaf indices, not node indices)."""
    height = (leaf_a ^ leaf_b).bit_length()
    if height == 0:
        return 2 * leaf_a
    return (leaf_a >> height << height) * 2 + (1 << height) - 1
