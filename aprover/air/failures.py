"""What is wrong with a trace."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from ..errors import ConstraintError

__all__ = ["MOST_SHOWN", "Failure", "error_of"]

MOST_SHOWN = 9
"""Failures in one error."""


@attrs.frozen
class Failure:
    """One constraint, boundary, lookup or bus that a trace breaks."""

    name: str
    """The constraint's, lookup's or bus's."""
    table: str
    row: int
    """The first row where it fails."""
    rows: int
    """In how many rows; of a bus, how many tuples are out of balance."""
    values: tuple[int, int]
    """The two values that should have been equal, in that row; of a bus, how often its tuple is on each side."""
    text: str
    """A sentence with the values that are read there."""
    bus: str | None = None
    """Of a lookup that finds nothing, or of a bus out of balance."""

    def without_values(self) -> ConstraintError:
        """An error that tells no value of the trace, as private inputs may follow from it."""
        where = "" if self.table == "main" else f" of table {self.table!r}"
        return ConstraintError(
            f"{self.name!r}{where} fails at row {self.row}; aprover.check(program) shows the values",
            name=self.name,
            row=self.row,
            values=(1, 0),
        )


def error_of(failures: Sequence[Failure]) -> ConstraintError:
    """The failure of the lowest row, with others that fail in a line each."""
    ordered = sorted(failures, key=lambda failure: failure.row)  # stable
    first = ordered[0]
    lines = [first.text, *[f"also: {failure.text}" for failure in ordered[1:MOST_SHOWN]]]
    if len(ordered) > MOST_SHOWN:
        lines.append("and more")
    return ConstraintError("\n".join(lines), name=first.name, row=first.row, values=first.values)
