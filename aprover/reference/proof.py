"""Sections 5, 6 and 8: the parameters, the trees, and the parts of a proof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .air import Air
from .domains import ARITY, Domain, folds
from .field import DEGREE, F, word_bytes
from .merkle import multiproof_holds, multiproof_length
from .reader import Reader, canonical, canonical_elements, require

ELEMENT_BYTES = 4 * DEGREE
DIGEST_BYTES = 32
PARAMETERS_BYTES = 8


@dataclass(frozen=True)
class ReferenceParameters:
    """Section 5, as they were checked."""

    log_blowup: int
    grinding_bits: int
    cap_log: int
    independent: bool
    queries: int

    @classmethod
    def from_bytes(cls, data: bytes, air: Air) -> ReferenceParameters:
        """Reads the eight bytes; PARAMETERS unless all is within section 5 for this AIR."""
        log_blowup, grinding_bits, cap_log, batching = data[:4]
        queries = int.from_bytes(data[4:], "little")
        log_n = air.header.log_height + log_blowup
        require(1 <= log_blowup <= 6 and log_n <= 27, "PARAMETERS")
        require(grinding_bits <= 32 and cap_log <= 8 and batching <= 1, "PARAMETERS")
        require(1 <= queries <= 4096 and queries <= 2 ** (log_n - 3 if air.narrow else log_n), "PARAMETERS")
        return cls(log_blowup, grinding_bits, cap_log, batching == 1, queries)


@dataclass(frozen=True)
class Tree:
    """The size of a tree: 2^depth leaves, and a cap of 2^cap_log nodes."""

    depth: int
    cap_log: int
    leaf_bytes: int

    @property
    def cap_bytes(self) -> int:
        return DIGEST_BYTES << self.cap_log

    @property
    def levels(self) -> int:
        """How many levels there are below the cap."""
        return self.depth - self.cap_log


class Shape:
    """Whatever the AIR and the parameters say of a proof before it is read."""

    def __init__(self, air: Air, parameters: ReferenceParameters) -> None:
        self.air, self.parameters = air, parameters
        self.folds = folds(air.header.log_height)
        self.domains = [Domain(air.header.log_height, parameters.log_blowup, t) for t in range(self.folds + 1)]
        self.committed = range(1 if air.narrow else 0, self.folds)  # the committed FRI layers
        self.log_index_domain = self.domains[0].log_octets if air.narrow else self.domains[0].log_n_t
        points = ARITY if air.narrow else 1
        self.trace = self._tree(self.log_index_domain, points * 4 * air.header.columns)
        self.quotient = self._tree(self.log_index_domain, points * ELEMENT_BYTES * air.chunks)
        leaf_bytes = ARITY * ELEMENT_BYTES
        self.layers = {t: self._tree(self.domains[t].log_octets, leaf_bytes) for t in self.committed}

    def _tree(self, depth: int, leaf_bytes: int) -> Tree:
        return Tree(depth, min(self.parameters.cap_log, depth), leaf_bytes)


class Messages:
    """The parts of a proof up to the nonce, in order (section 8)."""

    def __init__(self, reader: Reader, shape: Shape) -> None:
        self.trace_cap = reader.take(shape.trace.cap_bytes)
        self.quotient_cap = reader.take(shape.quotient.cap_bytes)
        self.openings_bytes = reader.take(ELEMENT_BYTES * shape.air.openings)
        self.openings = canonical_elements(self.openings_bytes)
        self.layer_caps = {t: reader.take(tree.cap_bytes) for t, tree in shape.layers.items()}
        self.final_bytes = reader.take(ELEMENT_BYTES << shape.domains[-1].log_k_t)
        self.final = canonical_elements(self.final_bytes)
        self.nonce_bytes = reader.take(8)


class Opening:
    """The opened leaves of a tree, by index, and its multi-proof."""

    def __init__(self, reader: Reader, tree: Tree, indices: Sequence[int]) -> None:
        self.tree = tree
        values = canonical(reader.take(len(indices) * tree.leaf_bytes))
        width = tree.leaf_bytes // 4
        self.leaves = {index: values[n * width : (n + 1) * width] for n, index in enumerate(indices)}
        self.digests = _digests(reader.take(DIGEST_BYTES * multiproof_length(indices, tree.levels)))

    def check(self, cap: bytes, code: str) -> None:
        leaves = {index: word_bytes(leaf) for index, leaf in self.leaves.items()}
        require(multiproof_holds(_digests(cap), self.tree.levels, leaves, self.digests), code)

    def octet(self, index: int, column: int) -> tuple[int, ...]:
        """An octet leaf's eight values of one column."""
        return self.leaves[index][ARITY * column : ARITY * (column + 1)]

    def octet_elements(self, index: int, first_column: int = 0) -> list[F]:
        """The eight elements of F whose coefficients are five columns of an octet leaf."""
        columns = [self.octet(index, first_column + i) for i in range(DEGREE)]
        return [F(coefficients) for coefficients in zip(*columns, strict=True)]


def _digests(data: bytes) -> list[bytes]:
    return [data[i : i + DIGEST_BYTES] for i in range(0, len(data), DIGEST_BYTES)]
