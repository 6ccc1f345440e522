"""`explain`: what the constraints of a program are and what they cost, without proving anything."""

from __future__ import annotations

import attrs

from ..errors import shown
from ..statement import Value
from .buses import Interaction
from .compiled import CompiledTable
from .program import Program, describe
from .table import TableBuilder

__all__ = ["ColumnPart", "ConstraintPart", "Explanation", "InteractionPart", "TablePart", "explain"]

_MOST_LINES = 24
_MOST_TEXT = 80


@attrs.frozen
class ColumnPart:
    """One column of a table."""

    name: str
    origin: str
    """``"written"`` by the program's `trace`, ``"automatic"`` (the builder fills it) or ``"preprocessed"``."""
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
class InteractionPart:
    """What a table puts on a bus in every row, or on some rows."""

    name: str
    bus: str
    verb: str
    """``"sends"``, ``"receives"`` or ``"provides"``."""
    text: str
    """The tuple, and when."""


@attrs.frozen
class TablePart:
    """One table.

    Attributes:
        name: The first one's is ``"main"``.
        rows: As many as the program asked for.
        height: The next power of two, at least 8.
        columns: In order.
        constraints: The asserted ones, in order.
        interactions: What it puts on buses.
        boundaries: Cells with a fixed value.
        periodic: The lengths of the periodic columns.
        degree: The largest degree of a constraint, those of lookups included.
        lookup_columns: Each of five elements a row.
        rows_read: How many consecutive rows a constraint may read.
        instructions: What one row of all constraints costs.
        registers: Intermediate values alive at once.
    """

    name: str
    rows: int
    height: int
    columns: tuple[ColumnPart, ...] = attrs.field(repr=False)
    constraints: tuple[ConstraintPart, ...] = attrs.field(repr=False)
    interactions: tuple[InteractionPart, ...] = attrs.field(repr=False)
    boundaries: int
    periodic: tuple[int, ...]
    degree: int
    lookup_columns: int
    rows_read: int
    instructions: int
    registers: int

    @property
    def cells(self) -> int:
        """Columns that a proof commits to, times height; preprocessed and lookup columns are left out."""
        return sum(part.origin != "preprocessed" for part in self.columns) * self.height

    def lines(self) -> list[str]:
        """What `Explanation` prints of it."""
        degrees = sorted({part.degree for part in self.constraints})
        counts = [f"{sum(part.degree == d for part in self.constraints)} of degree {d}" for d in degrees]
        lengths = ", ".join(map(str, sorted(set(self.periodic)))) or "none"
        made = [
            _counted(sum(part.origin == origin for part in self.columns), noun)
            for origin, noun in (("written", "column"), ("automatic", "automatic one"), ("preprocessed", "fixed one"))
            if origin == "written" or any(part.origin == origin for part in self.columns)
        ]
        facts = {
            "rows": f"{self.rows}, padded to {self.height}",
            "columns": f"{', '.join(made)}; {self.cells} cells",
            "constraints": f"{len(self.constraints)}" + (f": {', '.join(counts)}" if counts else ""),
            "boundaries": f"{self.boundaries}",
            "periodic": f"{_counted(len(self.periodic), 'column')}, lengths: {lengths}",
            "degree": f"{self.degree}",
            "cost": f"{_counted(self.instructions, 'instruction')} a row, {_counted(self.registers, 'register')}",
        }
        if self.interactions:
            tuples = _counted(len(self.interactions), "tuple")
            facts["buses"] = f"{tuples} a row, in {_counted(self.lookup_columns, 'lookup column')}"
        return [
            f"table {self.name!r}:",
            *[f"  {name:<13} {text}" for name, text in facts.items()],
            *_listed("columns", [_column_line(part) for part in self.columns]),
            *_listed("constraints", [_constraint_line(part) for part in self.constraints]),
            *_listed("on buses", [_interaction_line(part) for part in self.interactions]),
        ]


@attrs.frozen
class Explanation:
    """The AIR of one program with its parameters. Holds nothing of public and private inputs.

    Attributes:
        program: The program's id.
        parameters: Names and values.
        tables: In order.
        buses: Name and width of each; fixed tables have one each.
        inputs: Public values that constraints read from public inputs.
        outputs: Public outputs.
        air_bytes: The length of the encoded constraints, preprocessed columns included.
    """

    program: str
    parameters: tuple[tuple[str, Value], ...]
    tables: tuple[TablePart, ...]
    buses: tuple[tuple[str, int], ...]
    inputs: int
    outputs: int
    air_bytes: int

    @property
    def cells(self) -> int:
        """Of all tables."""
        return sum(table.cells for table in self.tables)

    def __str__(self) -> str:
        parameters = ", ".join([f"{name}={shown(value)}" for name, value in self.parameters])
        lines = [
            f"{self.program}({parameters})",
            f"  {'public':<13} {_counted(self.inputs, 'value')} from inputs, {self.outputs} from outputs",
            f"  {'encoded':<13} {self.air_bytes} bytes",
        ]
        if self.buses:
            lines.append(f"  {'buses':<13} {', '.join([f'{name} (width {width})' for name, width in self.buses])}")
        return "\n".join([*lines, *[line for table in self.tables for line in table.lines()]])


def explain(program: Program) -> Explanation:
    """Explains the constraints of `program` with its parameters; takes about as long as building them.

    Raises:
        ProgramError: The AIR is wrong; see `AirBuilder.compile`.
    """
    air = program.compiled()
    builder = describe(program)
    return Explanation(
        program=program.id,
        parameters=tuple(program._parameters().items()),
        tables=tuple([_table(table, own) for table, own in zip(air.tables, builder.tables, strict=True)]),
        buses=air.buses,
        inputs=sum(slot[0] == "input" for slot in air.public_spec),
        outputs=air.outputs,
        air_bytes=len(air.data),
    )


def _table(table: CompiledTable, described: TableBuilder) -> TablePart:
    order = described.order()
    fixed = [boundary.column for boundary in described.boundaries]
    offsets: dict[int, list[int]] = {}
    for column, offset in table.reads:
        offsets.setdefault(column, []).append(offset)
    return TablePart(
        name=table.name,
        rows=described.rows_wanted,
        height=table.height,
        columns=tuple(
            [
                ColumnPart(
                    name,
                    "written" if i < table.written else "automatic" if i < table.columns else "preprocessed",
                    fixed.count(order[i]),
                    tuple(sorted(offsets[i])),
                )
                for i, name in enumerate(table.column_names)
            ]
        ),
        constraints=tuple(
            [
                ConstraintPart(item.name, item.difference.degree, item.difference.reach, item.text())
                for item in described.assertions
            ]
        ),
        interactions=tuple([_interaction(item) for item in described.interactions]),
        boundaries=len(described.boundaries),
        periodic=tuple([len(cycle) for cycle in described.periodics]),
        degree=table.degree,
        lookup_columns=table.lookup_columns,
        rows_read=table.rows_read,
        instructions=table.cost,
        registers=table.registers,
    )


def _interaction(item: Interaction) -> InteractionPart:
    verb = "provides" if item.counts is not None else ("sends", "receives")[item.sign]
    when = "" if str(item.when) == "1" else f" when {item.when}"
    return InteractionPart(item.name, item.bus.name, verb, f"({', '.join(map(str, item.values))}){when}")


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _listed(title: str, lines: list[str]) -> list[str]:
    """At most `_MOST_LINES` of them."""
    more = len(lines) - _MOST_LINES
    shortened = lines if more <= 0 else [*lines[:_MOST_LINES], f"... and {more} more"]
    return [f"  {title}:", *[f"    {line}" for line in shortened]] if lines else []


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT - 3] + "..."


def _column_line(part: ColumnPart) -> str:
    origin = "" if part.origin == "written" else f", {part.origin}"
    below = [offset for offset in part.offsets if offset]
    read = f", read {', '.join(map(str, below))} below" if below else ""
    fixed = f", fixed in {_counted(part.boundaries, 'row')}" if part.boundaries else ""
    return f"{part.name}{origin}{read}{fixed}"


def _constraint_line(part: ConstraintPart) -> str:
    own = "" if part.name == part.text else f"{part.name}: "
    return f"{own}{_shortened(part.text)}  (degree {part.degree})"


def _interaction_line(part: InteractionPart) -> str:
    return f"{part.name}: {part.verb} {_shortened(part.text)} on {part.bus}"
