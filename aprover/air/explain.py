"""`explain`: what the constraints of a program are and what they cost, without proving anything."""

from __future__ import annotations

from typing import Literal

import attrs

from ..errors import shown
from ..statement import Value
from . import bytecode
from .program import Program, describe

__all__ = ["ColumnPart", "ConstraintPart", "Explanation", "explain"]

_MOST_LINES = 24


@attrs.frozen
class ColumnPart:
    """One column of the trace."""

    name: str
    boundaries: int
    """How many of its cells have a value that the statement or the program fixes."""
    offsets: tuple[int, ...]
    """How far below its own row constraints read it, 0 included: each costs an opening."""


@attrs.frozen
class ConstraintPart:
    """One asserted constraint."""

    name: str
    degree: int
    reach: int
    """It reads so many rows below its own, and does not hold on as many last rows."""
    text: str
    """Both sides as expressions; what is nested deeply is left out."""


@attrs.frozen
class Explanation:
    """The AIR of one program with its parameters. Holds nothing of public and private inputs.

    Attributes:
        program: The program's id.
        parameters: Names and values.
        rows: The rows that the program asked for.
        height: The rows of the trace: the next power of two, at least 8.
        columns: In order.
        constraints: The asserted ones, in order.
        boundaries: Cells with a fixed value.
        periodic: The lengths of the periodic columns.
        inputs: Public values that constraints read from public inputs.
        outputs: Public outputs.
        degree: The largest degree of a constraint.
        chunks: Columns of the quotient, each of five elements a row.
        rows_read: How many consecutive rows a constraint may read.
        openings: Values opened out of domain.
        layout: ``"narrow"`` if a leaf of a Merkle tree is eight rows, ``"wide"`` if it is one.
        instructions: What one row of all constraints costs.
        registers: Intermediate values alive at once.
        air_bytes: The length of the encoded constraints.
    """

    program: str
    parameters: tuple[tuple[str, Value], ...]
    rows: int
    height: int
    columns: tuple[ColumnPart, ...] = attrs.field(repr=False)
    constraints: tuple[ConstraintPart, ...] = attrs.field(repr=False)
    boundaries: int
    periodic: tuple[int, ...]
    inputs: int
    outputs: int
    degree: int
    chunks: int
    rows_read: int
    openings: int
    layout: Literal["narrow", "wide"]
    instructions: int
    registers: int
    air_bytes: int

    @property
    def cells(self) -> int:
        """Columns times height."""
        return len(self.columns) * self.height

    def __str__(self) -> str:
        parameters = ", ".join([f"{name}={shown(value)}" for name, value in self.parameters])
        degrees = sorted({part.degree for part in self.constraints})
        counts = [f"{sum(part.degree == d for part in self.constraints)} of degree {d}" for d in degrees]
        lengths = ", ".join(map(str, sorted(set(self.periodic)))) or "none"
        table = {
            "trace": f"{_counted(self.rows, 'row')}, padded to {self.height}; {_counted(len(self.columns), 'column')}",
            "layout": f"{self.layout}, {self.cells} cells",
            "public": f"{_counted(self.inputs, 'value')} from inputs, {self.outputs} from outputs",
            "constraints": f"{len(self.constraints)}" + (f": {', '.join(counts)}" if counts else ""),
            "boundaries": f"{self.boundaries}",
            "periodic": f"{_counted(len(self.periodic), 'column')}, lengths: {lengths}",
            "quotient": f"{_counted(self.chunks, 'chunk')} for degree {self.degree}",
            "openings": f"{self.openings}, up to {_counted(self.rows_read - 1, 'row')} below",
            "cost": f"{_counted(self.instructions, 'instruction')} a row, {_counted(self.registers, 'register')}",
            "encoded": f"{self.air_bytes} bytes",
        }
        lines = [f"{self.program}({parameters})", *[f"  {name:<13} {text}" for name, text in table.items()]]
        lines += _listed("columns", [_column_line(part) for part in self.columns])
        lines += _listed("constraints", [_constraint_line(part) for part in self.constraints])
        return "\n".join(lines)


def explain(program: Program) -> Explanation:
    """Explains the constraints of `program` with its parameters; takes about as long as building them.

    Raises:
        ProgramError: The AIR is wrong; see `AirBuilder.compile`.
    """
    air = program.compiled()
    builder = describe(program)
    fixed = [boundary.column for boundary in builder.boundaries]
    offsets: dict[int, list[int]] = {}
    for column, offset in air.reads:
        offsets.setdefault(column, []).append(offset)
    rows = builder._rows
    assert rows is not None  # or it would not have compiled
    return Explanation(
        program=program.id,
        parameters=tuple(program._parameters().items()),
        rows=rows,
        height=air.height,
        columns=tuple(
            [
                ColumnPart(name, fixed.count(index), tuple(sorted(offsets[index])))
                for index, name in enumerate(air.column_names)
            ]
        ),
        constraints=tuple(
            [
                ConstraintPart(item.name, item.difference.degree, item.difference.reach, f"{item.left} == {item.right}")
                for item in builder.assertions
            ]
        ),
        boundaries=len(builder.boundaries),
        periodic=tuple([len(cycle) for cycle in bytecode.decode(air.data).tables[0].periodics]),
        inputs=sum(slot[0] == "input" for slot in air.public_spec),
        outputs=air.outputs,
        degree=air.degree,
        chunks=air.chunks,
        rows_read=air.rows_read,
        openings=air.openings,
        layout="narrow" if air.narrow else "wide",
        instructions=air.cost,
        registers=air.registers,
        air_bytes=len(air.data),
    )


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _listed(title: str, lines: list[str]) -> list[str]:
    """At most `_MOST_LINES` of them."""
    more = len(lines) - _MOST_LINES
    shortened = lines if more <= 0 else [*lines[:_MOST_LINES], f"... and {more} more"]
    return [f"{title}:", *[f"  {line}" for line in shortened]] if lines else []


def _column_line(part: ColumnPart) -> str:
    below = [offset for offset in part.offsets if offset]
    read = f", read {', '.join(map(str, below))} below" if below else ""
    fixed = f", fixed in {_counted(part.boundaries, 'row')}" if part.boundaries else ""
    return f"{part.name}{read}{fixed}"


def _constraint_line(part: ConstraintPart) -> str:
    own = "" if part.name == part.text else f"{part.name}: "
    text = part.text if len(part.text) <= 80 else part.text[:77] + "..."
    return f"{own}{text}  (degree {part.degree})"
