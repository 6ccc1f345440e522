"""Membership in a Merkle tree of Poseidon2 digests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import attrs
import numpy as np
from numpy.typing import NDArray

from ..air.builder import AirBuilder
from ..air.field import P, is_element
from ..air.program import Program, private, public, shipped
from ..air.validators import field_elements, integer
from ..errors import ProgramError
from .poseidon2 import DIGEST, WIDTH, compress
from .poseidon2_row import COLUMNS, Permutation, fill

MAX_DEPTH = 40


def _is_digest(value: object) -> bool:
    return type(value) is tuple and len(value) == DIGEST and all(map(is_element, value))


def _siblings(_instance: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    if type(value) is not tuple or not 1 <= len(value) <= MAX_DEPTH or not all(map(_is_digest, value)):
        allowed = f"a tuple of 1 to {MAX_DEPTH} digests, each a tuple of {DIGEST} ints from 0 to {P - 1}"
        raise ProgramError(field=attribute.name, allowed=allowed)


@shipped
class MerkleMembership(Program):
    """A leaf of the Merkle tree with this root is known; neither the leaf nor its place is said.

    **Statement.** With the public `root` and `depth`: there are a leaf, a position of `depth` bits and `depth` siblings
    that give the root, where level i makes ``compress(node, sibling)`` of the node if bit i of the position is 0, and
    ``compress(sibling, node)`` if it is 1. Digests are 8 elements of the field, and ``compress(left, right)`` is the
    first 8 elements of x + Poseidon2(x), where x is left followed by right; see `poseidon2.compress` for why it is not
    the permutation alone.

    The depth is part of the statement because nothing else tells a leaf from an inner node: whoever verifies must
    compare it with the depth of the tree that is meant. The leaf is whatever stands at that depth. So the statement
    says something only where leaves are not known to everybody: where they are digests of secrets, for example.

    **Witness.** `leaf`, `path` (the siblings from the leaf upwards) and `position` are private: no statement, repr or
    error shows them. A proof that is not zero-knowledge tells all the same: whoever has it can compute the trace, which
    is as small as this one.

    **Trace.** One level a row, in 315 columns of degree 3; the rows beyond the depth go on hashing, each time the node
    to the left of zeros.
    """

    id = "merkle-membership"

    root: tuple[int, ...] = public(validator=field_elements(DIGEST))
    leaf: tuple[int, ...] = private(validator=field_elements(DIGEST))
    path: tuple[tuple[int, ...], ...] = private(validator=_siblings)
    position: int = private(validator=integer(0, (1 << MAX_DEPTH) - 1))
    depth: int = attrs.field(
        init=False,
        default=attrs.Factory(lambda self: len(self.path) if type(self.path) is tuple else 0, takes_self=True),
        validator=integer(1, MAX_DEPTH),
    )

    def __attrs_post_init__(self) -> None:
        if self.position >> self.depth:
            raise ProgramError(
                f"the private field 'position' is not below 2**{self.depth}, which the length of the path allows",
                field="position",
                allowed=f"an int from 0 to {(1 << self.depth) - 1}",
            )
        if self._nodes(self.depth)[-1] != self.root:
            raise ProgramError(
                "the private field 'path' does not lead from the leaf at this position to the root",
                field="path",
                allowed="the siblings from the leaf upwards",
            )

    @classmethod
    def in_tree(cls, leaves: Sequence[Sequence[int]], position: int) -> Self:
        """The program for one leaf of a tree that is at hand.

        Args:
            leaves: 2**depth digests, depth from 1 to 40. They are not filled up: whoever completes a tree by known
                leaves lets everybody prove membership with these.
            position: An index of `leaves`.

        Raises:
            ProgramError: Their number is not a power of two, one is no digest, or there is no such position.
        """
        level = [tuple(leaf) for leaf in leaves]
        if len(level) < 2 or len(level) & (len(level) - 1):
            raise ProgramError(field="the number of leaves", value=len(level), allowed="a power of two from 2")
        for i, leaf in enumerate(level):
            if not _is_digest(leaf):
                raise ProgramError(field=f"leaves[{i}]", allowed=f"{DIGEST} ints from 0 to {P - 1}")
        if type(position) is not int or not 0 <= position < len(level):
            raise ProgramError(field="position", allowed=f"an int from 0 to {len(level) - 1}")
        leaf, path, at = level[position], [], position
        while len(level) > 1:
            path.append(level[at ^ 1])
            level = [compress(*level[i : i + 2]) for i in range(0, len(level), 2)]
            at >>= 1
        return cls(root=level[0], leaf=leaf, path=tuple(path), position=position)

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        b.rows(params.depth)
        right = b.column("right")
        node = b.columns("node", DIGEST)
        permutation = Permutation.declare(b)
        digest = b.columns("digest", DIGEST)
        b.assert_zero(right * (right - 1), name="right is boolean")
        for i in range(DIGEST):
            left_child, right_child = permutation.input[i], permutation.input[i + DIGEST]
            b.assert_equal(node[i], left_child + right * (right_child - left_child), name=f"child {i}")
        permutation.constrain(b)
        for i in range(DIGEST):
            b.assert_equal(digest[i], permutation.output[i] + permutation.input[i], name=f"compress {i}")
            b.assert_equal(node[i].next, digest[i], name=f"climb {i}")
            b.boundary(digest[i], params.depth - 1, b.public("root", i), name=f"root {i}")

    def _nodes(self, count: int) -> list[tuple[int, ...]]:
        """The leaf and the `count` nodes above it; beyond the root, what the padding of the trace hashes."""
        nodes = [self.leaf]
        for i in range(count):
            nodes.append(compress(*self._children(i, nodes[-1])))
        return nodes

    def _children(self, level: int, node: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        sibling = self.path[level] if level < self.depth else (0,) * DIGEST
        return (sibling, node) if self.position >> level & 1 else (node, sibling)

    def trace(self, out: NDArray[np.uint32]) -> None:
        height = len(out)
        nodes = self._nodes(height)
        out[:, 0] = [self.position >> level & 1 for level in range(height)]
        out[:, 1 : 1 + DIGEST] = nodes[:-1]
        start = 1 + DIGEST
        children = [self._children(level, node) for level, node in enumerate(nodes[:-1])]
        out[:, start : start + WIDTH] = [left + right for left, right in children]
        fill(out[:, start : start + COLUMNS])
        out[:, start + COLUMNS :] = nodes[1:]
