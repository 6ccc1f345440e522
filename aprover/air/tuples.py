"""Finding and counting tuples of field elements, in numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["TupleIndex", "groups", "hashes"]

MAX_DIRECT = 2**22
"""Entries of a table that is indexed by the tuple itself."""

Tuples = NDArray[np.uint32]
"""Shape (width, count)."""


class TupleIndex:
    """Where given tuples stand; of equal ones the first."""

    def __init__(self, tuples: Tuples) -> None:
        self.tuples = tuples
        self.size = tuples.shape[1]
        """How many tuples."""
        self._limits = [int(values.max(initial=0)) + 1 for values in tuples]
        size = 1
        for limit in self._limits:
            size *= limit
        self._direct: NDArray[np.int64] | None = None
        if size <= MAX_DIRECT:
            self._direct = np.full(size, -1, dtype=np.int64)
            self._direct[self._keys(tuples)[::-1]] = np.arange(self.size - 1, -1, -1)
            return
        self._seed = 0
        while True:
            keys = hashes(tuples, self._seed)
            order = np.argsort(keys, kind="stable")
            self._sorted, self._rows = keys[order], order
            again = np.flatnonzero(self._sorted[1:] == self._sorted[:-1])
            if (tuples[:, order[again]] == tuples[:, order[again + 1]]).all():
                return
            self._seed += 1  # two tuples with one hash

    def find(self, tuples: Tuples) -> NDArray[np.int64]:
        """The position of each, or -1."""
        found: NDArray[np.int64] = np.full(tuples.shape[1], -1, dtype=np.int64)
        if self._direct is not None:
            inside = np.ones(tuples.shape[1], dtype=np.bool_)
            for values, limit in zip(tuples, self._limits, strict=True):
                inside &= values < limit
            if inside.all():
                found[:] = self._direct[self._keys(tuples)]
                return found
            found[inside] = self._direct[self._keys(tuples[:, inside])]
            return found
        keys = hashes(tuples, self._seed)
        places = np.minimum(np.searchsorted(self._sorted, keys), len(self._sorted) - 1)
        rows = self._rows[places]
        equal = (self.tuples[:, rows] == tuples).all(axis=0)
        found[:] = np.where(equal, rows, -1)
        return found

    def _keys(self, tuples: Tuples) -> NDArray[np.int64]:
        keys: NDArray[np.int64] = tuples[0].astype(np.int64)
        for values, limit in zip(tuples[1:], self._limits[1:], strict=True):
            keys = keys * limit + values
        return keys


def groups(tuples: Tuples) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which tuples are equal: for each the number of its group, and for each group the position of one member."""
    seed = 0
    while True:
        _, first, group = np.unique(hashes(tuples, seed), return_index=True, return_inverse=True)
        if (tuples[:, first[group]] == tuples).all():
            return group, first
        seed += 1  # two tuples with one hash


def hashes(tuples: Tuples, seed: int) -> NDArray[np.uint64]:
    """64 bits each; one value alone is its own hash, and two values side by side are."""
    first: NDArray[np.uint64] = tuples[0].astype(np.uint64)
    if len(tuples) == 1 and seed == 0:
        return first
    if len(tuples) == 2 and seed == 0:
        pair: NDArray[np.uint64] = first << np.uint64(32) | tuples[1]
        return pair
    mixed = np.full(tuples.shape[1], seed, dtype=np.uint64)
    for values in tuples:
        # The multipliers are those of the splitmix64 generator.
        mixed = (mixed ^ values) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ mixed >> np.uint64(29)) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(32)
    return mixed
