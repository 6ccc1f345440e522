"""Section 8: the parts of a proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .field import DEGREE, F, elements, word_bytes
from .layout import DIGEST_BYTES, ELEMENT_BYTES, Layout, Phase, Tree
from .merkle import multiproof_holds, multiproof_length
from .quotient import TableOpenings
from .reader import Reader, canonical, canonical_elements, require

PARAMETERS_BYTES = 8


class Messages:
    """The parts of a proof up to the nonce, in order."""

    def __init__(self, reader: Reader, layout: Layout) -> None:
        self.layout = layout
        self.caps: dict[Phase, dict[int, bytes]] = {}
        self._take_caps(reader, Phase.TRACE)
        self._take_caps(reader, Phase.LOOKUP)
        self.sums_bytes = reader.take(ELEMENT_BYTES * layout.sums)
        self.sums = canonical_elements(self.sums_bytes)
        self._take_caps(reader, Phase.QUOTIENT)
        self.openings_bytes = reader.take(ELEMENT_BYTES * layout.openings)
        self.openings = canonical_elements(self.openings_bytes)
        self.layer_caps = {t: reader.take(tree.cap_bytes) for t, tree in layout.layers.items()}
        self.final_bytes = reader.take(ELEMENT_BYTES << layout.domains[-1].log_k)
        self.final = canonical_elements(self.final_bytes)
        self.nonce_bytes = reader.take(8)

    def _take_caps(self, reader: Reader, phase: Phase) -> None:
        self.caps[phase] = {t: reader.take(tree.cap_bytes) for t, tree in self.layout.trees[phase].items()}

    def caps_bytes(self, phase: Phase) -> bytes:
        return b"".join(self.caps[phase].values())

    def table_openings(self) -> list[TableOpenings]:
        """The openings of each table."""
        found, values = [], iter(self.openings)
        for place in self.layout.places:
            table = place.table
            reads = [next(values) for _ in table.reads]
            lookups = [next(values) for _ in range(table.lookup_columns)]
            next_sum = next(values) if table.interactions else F.of(0)
            found.append(TableOpenings(reads, lookups, next_sum, [next(values) for _ in range(place.chunks)]))
        return found

    def table_sums(self) -> list[F]:
        """sigma of each table; zero for those without interactions."""
        sums = iter(self.sums)
        return [next(sums) if table.interactions else F.of(0) for table in self.layout.air.tables]


class Opening:
    """The opened leaves of a tree, by index, and its multi-proof."""

    def __init__(self, reader: Reader, tree: Tree, indices: Sequence[int]) -> None:
        self.tree = tree
        data = reader.take(len(indices) * tree.leaf_bytes)
        self.leaves: dict[int, tuple[int, ...]] = {}
        self.salts: dict[int, bytes] = {}
        for n, index in enumerate(indices):
            leaf = data[n * tree.leaf_bytes : (n + 1) * tree.leaf_bytes]
            self.leaves[index] = canonical(leaf[: 4 * tree.leaf_values])
            self.salts[index] = leaf[4 * tree.leaf_values :]
        self.digests = _digests(reader.take(DIGEST_BYTES * multiproof_length(indices, tree.levels)))

    def check(self, cap: bytes, code: str) -> None:
        leaves = {index: word_bytes(leaf) + self.salts[index] for index, leaf in self.leaves.items()}
        require(multiproof_holds(_digests(cap), self.tree.levels, leaves, self.digests), code)

    def row(self, index: int, m: int = 0) -> tuple[int, ...]:
        """The value of each column at a leaf's point `m`."""
        return self.leaves[index][m :: self.tree.arity]

    def elements(self, index: int) -> list[F]:
        """The elements of F, one for each point of the leaf, whose coefficients are its five columns."""
        return [F(self.row(index, m)) for m in range(self.tree.arity)]


Openings = Mapping[Phase, Mapping[int, Opening]]
"""Of the trees of each phase, by level."""


def lookup_and_chunk_elements(row: Sequence[int], first: int, count: int) -> list[F]:
    """`count` elements of F in a row of a lookup or quotient matrix, from column `first` on."""
    return elements(row[first : first + DEGREE * count])


def _digests(data: bytes) -> list[bytes]:
    return [data[i : i + DIGEST_BYTES] for i in range(0, len(data), DIGEST_BYTES)]
