"""Section 7, step 1: the caps of the preprocessed columns, which the verifier computes from the AIR."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from .air import decode
from .domains import Domain
from .field import P, inverse, w, word_bytes
from .layout import Layout, Phase, ReferenceParameters
from .merkle import cap_of


def transform(coefficients: Sequence[int], root: int) -> list[int]:
    """The values at root^0, root^1, .. of a polynomial; the order of `root` is the number of its coefficients."""
    size = len(coefficients)
    if size == 1:
        return list(coefficients)
    even, odd = (transform(coefficients[i::2], root * root % P) for i in (0, 1))
    low, high, power = [], [], 1
    for a, b in zip(even, odd, strict=True):
        low.append((a + power * b) % P)
        high.append((a - power * b) % P)
        power = power * root % P
    return low + high


def interpolate(values: Sequence[int]) -> list[int]:
    """The coefficients, lowest first, of the polynomial with these values on the roots of unity of this order."""
    size = len(values)
    scale = inverse(size)
    return [value * scale % P for value in transform(values, inverse(w(size.bit_length() - 1)))]


def extend(column: Sequence[int], domain: Domain) -> list[int]:
    """The values on a level's domain of the polynomial that takes a table's column on the table's own domain."""
    coefficients = interpolate(column) + [0] * ((1 << domain.log_k) - len(column))
    values = []
    for j in range(1 << domain.log_blowup):
        shift, power = domain.point(j << domain.log_k), 1
        shifted = []
        for coefficient in coefficients:
            shifted.append(coefficient * power % P)
            power = power * shift % P
        values += transform(shifted, w(domain.log_k))
    return values


@lru_cache(maxsize=64)
def preprocessed_caps(air: bytes, parameters: ReferenceParameters) -> dict[int, bytes]:
    """The cap of each level with preprocessed columns, for the encoding of an AIR and fitting parameters."""
    layout = Layout(decode(air), parameters)
    caps = {}
    for level, tree in layout.trees[Phase.PREPROCESSED].items():
        domain = layout.domains[level]
        tables = [layout.air.tables[i] for i in layout.tables_at(level)]
        columns = [extend(column, domain) for table in tables for column in table.preprocessed]
        if tree.arity == 1:
            leaves = [word_bytes(row) for row in zip(*columns, strict=True)]
        else:
            cosets = [domain.coset_positions(coset) for coset in range(1 << domain.log_cosets)]
            leaves = [word_bytes([column[i] for column in columns for i in positions]) for positions in cosets]
        caps[level] = b"".join(cap_of(leaves, tree.cap_log))
    return caps
