"""From a program to the values of its tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import ProgramError
from .compiled import CompiledAir, CompiledTable
from .field import P
from .filling import Table
from .program import Program

__all__ = ["check_canonical", "complete", "fill", "new_tables", "written"]


def new_tables(air: CompiledAir) -> list[Table]:
    """Zeros: of each table an array of shape (columns, rows)."""
    return [np.zeros((table.columns, table.height), dtype=np.uint32) for table in air.tables]


def written(air: CompiledAir, tables: Sequence[Table]) -> NDArray[np.uint32] | Mapping[str, NDArray[np.uint32]]:
    """What `Program.trace` gets: views of shape (rows, columns) of the columns that it writes."""
    views = {
        table.name: array[: table.written].T for table, array in zip(air.tables, tables, strict=True) if table.written
    }
    return views if len(views) != 1 else next(iter(views.values()))


def fill(program: Program, air: CompiledAir, tables: Sequence[Table], entropy: bytes | None = None) -> None:
    """Runs the program's `trace`, and fills the columns that follow from it.

    Args:
        program: Whose trace.
        air: Its AIR, for zero knowledge or not.
        tables: Zeroed, of each table an array of shape (columns, rows).
        entropy: As for `Filling.complete`.

    Raises:
        ConstraintError: A value is out of its range, or a lookup finds nothing. It tells no value of the trace.
        ProgramError: A cell is not below P.
        Exception: What `trace` raises.
    """
    program.trace(written(air, tables))
    complete(program, air, tables, entropy)


def complete(program: Program, air: CompiledAir, tables: Sequence[Table], entropy: bytes | None = None) -> None:
    """Fills the columns that follow from those that are written. Arguments and errors as for `fill`."""
    if air.filling.is_empty:
        return
    failures = air.filling.complete(tables, air.publics(program.statement()), entropy)
    if failures:
        for table, array in zip(air.tables, tables, strict=True):
            check_canonical(table, array)
        raise min(failures, key=lambda failure: failure.row).without_values()


def check_canonical(table: CompiledTable, columns: Table) -> None:
    """Refuses a table with a cell that is not below P.

    Raises:
        ProgramError: It names the first such cell of the first such column.
    """
    where = "trace column" if table.name == "main" else f"table {table.name!r}, column"
    for name, cells in zip(table.column_names, columns, strict=False):  # the names of preprocessed columns are left
        if cells.max() >= P:
            row = int(np.argmax(cells >= P))
            raise ProgramError(
                field=f"{where} {name!r}, row {row}", value=int(cells[row]), allowed=f"values from 0 to {P - 1}"
            )
