"""Whether the buses balance, and if not, which tuples do not (docs/protocol.md, section 4.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .failures import Failure
from .field import P
from .tuples import groups, hashes

__all__ = ["Put", "unbalanced"]

_MOST_ROWS = 4


class Put(NamedTuple):
    """What one interaction puts on a bus."""

    name: str
    table: str
    sign: int
    """0 plus, 1 minus."""
    rows: NDArray[np.int64]
    """Those where the multiplicity is not 0."""
    multiplicities: NDArray[np.uint32]
    tuples: NDArray[np.uint32]
    """Shape (width, rows)."""


def unbalanced(bus: str, puts: Sequence[Put]) -> Failure | None:
    """The failure of a bus, if some tuple's multiplicities do not add up to zero modulo P."""
    total = 0
    for put in puts:
        weights = put.multiplicities.astype(np.uint64) * hashes(put.tuples, 1)
        part = int(np.add.reduce(weights, dtype=np.uint64))
        total += part if put.sign == 0 else -part
    # Multiplicities that add up to zero as integers give zero; that others do has a chance of about 2^-64.
    return _first_unbalanced(bus, puts) if total % 2**64 else None


def _first_unbalanced(bus: str, puts: Sequence[Put]) -> Failure | None:
    tuples = np.concatenate([put.tuples for put in puts], axis=1)
    rows = np.concatenate([put.rows for put in puts])
    owners = np.repeat(np.arange(len(puts)), [len(put.rows) for put in puts])
    group, first = groups(tuples)
    sides = np.zeros((2, len(first)), dtype=np.int64)
    for number, put in enumerate(puts):
        # There are less than P tuples on a bus, so the sums of multiplicities stay below 2^62.
        np.add.at(sides[put.sign], group[owners == number], put.multiplicities.astype(np.int64))
    sides %= P
    wrong = np.flatnonzero(sides[0] != sides[1])
    if not len(wrong):
        return None
    members = np.flatnonzero(np.isin(group, wrong))
    chosen = int(members[np.argmin(rows[members])])
    counts = int(sides[0, group[chosen]]), int(sides[1, group[chosen]])
    alike = group == group[chosen]
    places: tuple[list[str], list[str]] = ([], [])
    for number, put in enumerate(puts):
        own = rows[alike & (owners == number)].tolist()
        if own:
            table = "" if put.table == "main" else f" of table {put.table!r}"
            shown = ", ".join(map(str, own[:_MOST_ROWS])) + (", ..." if len(own) > _MOST_ROWS else "")
            places[put.sign].append(f"{put.name!r}{table}, row{'s' if len(own) > 1 else ''} {shown}")
    values = tuple(tuples[:, chosen].tolist())
    sent, received = (
        f"{verb} {'once' if count == 1 else f'{count} times'}" + (f" ({'; '.join(where)})" if where else "")
        for verb, count, where in zip(("sent", "received"), counts, places, strict=True)
    )
    others = f"; {len(wrong)} tuples are" if len(wrong) > 1 else ""
    return Failure(
        bus,
        puts[owners[chosen]].table,
        int(rows[chosen]),
        len(wrong),
        counts,
        f"bus {bus!r} is out of balance: {values[0] if len(values) == 1 else values} is {sent} and {received}{others}",
        bus,
    )
