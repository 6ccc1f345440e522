"""Buses: tuples that tables send and receive, and tables for lookups (docs/protocol.md, section 4.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import attrs

from ..errors import ProgramError
from . import bytecode
from .expr import CONSTANT, PUBLIC, Column, Expr
from .field import P

if TYPE_CHECKING:
    from .table import TableBuilder, Whole

__all__ = ["Bus", "FixedTable", "Interaction", "check_buses"]

PLUS, MINUS = 0, 1


class Interaction(NamedTuple):
    """What one table puts on a bus in every row."""

    name: str
    bus: Bus
    sign: int
    multiplicity: Expr
    values: tuple[Expr, ...]
    counts: Column | None
    """The column of counts that the builder fills, if the table provides its tuples any number of times."""
    when: Expr


class Bus:
    """Tuples of one width that tables put there, on two sides that must agree. Made by `AirBuilder.bus`.

    One side sends. The other side either receives, and then every tuple is received exactly as often as it is sent; or
    it provides tuples to be looked up, and then every tuple sent is one of those provided, however often. A bus has one
    kind of other side.

    Every table may take part, several times too, on both sides too. What a row puts on the bus reads that row and the
    rows below it; in the last rows of the height the rows below are the first ones.
    """

    def __init__(self, whole: Whole, name: str, width: int) -> None:
        self.name = name
        self.width = width
        self._whole = whole

    @classmethod
    def make(cls, whole: Whole, name: str, width: int) -> Bus:
        """For `AirBuilder.bus`, and for what the builder makes of buses."""
        if not isinstance(name, str) or not name:
            raise ProgramError(field="name of a bus", value=name, allowed="a non-empty str")
        if type(width) is not int or not 1 <= width <= bytecode.MAX_BUS_WIDTH:
            raise ProgramError(
                field=f"the width of bus {name!r}", value=width, allowed=f"1 to {bytecode.MAX_BUS_WIDTH}"
            )
        if any(bus.name == name for bus in whole.buses):
            raise ProgramError(f"there is a bus {name!r} already")
        bus = cls(whole, name, width)
        whole.buses.append(bus)
        return bus

    def __repr__(self) -> str:
        return f"<Bus {self.name!r}, width {self.width}>"

    def send(
        self,
        values: Expr | Sequence[Expr | int],
        *,
        when: Expr | int = 1,
        table: TableBuilder | None = None,
        name: str | None = None,
    ) -> None:
        """Every row, or every row where `when` is 1, sends the tuple of `values`.

        Args:
            values: As many as the bus is wide; one alone needs no tuple. All of one table.
            when: 0 or 1. It reads its own row only, and is constrained to be boolean unless its values are known.
            table: Whose rows send; needed only where neither `values` nor `when` say so.
            name: Appears in messages and is unique in the table.
        """
        self._put("send", PLUS, values, when, table, name)

    def receive(
        self,
        values: Expr | Sequence[Expr | int],
        *,
        when: Expr | int = 1,
        table: TableBuilder | None = None,
        name: str | None = None,
    ) -> None:
        """Every row, or every row where `when` is 1, receives the tuple of `values`. Arguments as for `send`."""
        self._put("receive", MINUS, values, when, table, name)

    def provide(
        self,
        values: Expr | Sequence[Expr | int],
        *,
        when: Expr | int = 1,
        table: TableBuilder | None = None,
        name: str | None = None,
    ) -> None:
        """Every row, or every row where `when` is 1, offers the tuple of `values` to be looked up any number of times.

        The builder adds a column that counts the lookups, and fills it. Arguments as for `send`.
        """
        self._put("provide", MINUS, values, when, table, name)

    def look_up(
        self, values: Expr | Sequence[Expr | int], *, when: Expr | int, table: TableBuilder, name: str | None
    ) -> None:
        """For `TableBuilder.lookup`; on the bus, it is a `send`."""
        self._put("look up", PLUS, values, when, table, name)

    def _put(
        self,
        verb: str,
        sign: int,
        values: Expr | Sequence[Expr | int],
        when: Expr | int,
        table: TableBuilder | None,
        name: str | None,
    ) -> None:
        given = [values] if isinstance(values, Expr) else list(values)
        what = f"bus {self.name!r}: {verb}"
        if len(given) != self.width:
            raise ProgramError(f"{what}: {len(given)} values, but the bus has width {self.width}")
        table = self._table_of([*given, when], table, what)
        selector = table.coerce(when)
        table.constrain_boolean(selector, what)
        if name is None:
            before = sum(item.bus is self and item.sign == sign for item in table.interactions)
            name = f"{verb} {self.name}" + (f" {before + 1}" if before else "")
        count = table.automatic([f"{name} count".replace(" ", "_")])[0] if verb == "provide" else None
        multiplicity = selector if count is None else selector * count
        table.interact(
            Interaction(name, self, sign, multiplicity, tuple([table.coerce(v) for v in given]), count, selector)
        )

    def _table_of(self, values: Sequence[object], table: TableBuilder | None, what: str) -> TableBuilder:
        if table is not None:
            return table
        for value in values:
            if isinstance(value, Expr) and value.kind < PUBLIC:
                for each in self._whole.tables:
                    if each.owns(value):
                        return each
                raise ProgramError(f"{what}: {value} belongs to another AirBuilder")
        raise ProgramError(
            f"{what}: only constants and public values, which do not say whose rows they are; give table="
        )


@attrs.frozen(eq=False)
class FixedTable:
    """Tuples that are part of the AIR, to be looked up. Made by `AirBuilder.fixed_table`."""

    name: str
    bus: Bus = attrs.field(repr=False)

    @property
    def width(self) -> int:
        """Columns."""
        return self.bus.width


def check_buses(whole: Whole) -> None:
    """Refuses buses that cannot balance whatever the trace, and those that would prove nothing.

    Raises:
        ProgramError: A bus has one side only, or receives and provides; a tuple that is sent on every row has a
            constant that no tuple of the other side has; the numbers of tuples are known and differ; or there are so
            many that counts could wrap round modulo P.
    """
    for bus in whole.buses:
        used = [(table, item) for table in whole.tables for item in table.interactions if item.bus is bus]
        sides = [[(table, item) for table, item in used if item.sign == sign] for sign in (PLUS, MINUS)]
        for side, missing in zip(sides, ("sends to", "receives from or provides for"), strict=True):
            if not side:
                raise ProgramError(f"nothing {missing} bus {bus.name!r}, so it cannot balance")
        provided = [item.counts is not None for _, item in sides[1]]
        if any(provided) and not all(provided):
            raise ProgramError(
                f"bus {bus.name!r} both receives and provides tuples: one that is provided could stand for one that is "
                "received. Use two buses"
            )
        if sum(1 << table.log_height for table, _ in used) >= P:
            raise ProgramError(f"bus {bus.name!r} has {P} tuples or more, so that their counts could wrap round")
        if not any(provided):
            _check_totals(bus, sides)
        for mine, others in (sides, sides[::-1]) if not any(provided) else (sides,):
            _check_constants(bus, mine, others)


_Side = list[tuple["TableBuilder", Interaction]]


def _check_totals(bus: Bus, sides: list[_Side]) -> None:
    if any(item.when.kind != CONSTANT for side in sides for _, item in side):
        return
    sent, received = (sum(item.when.x << table.log_height for table, item in side) for side in sides)
    if sent != received:
        raise ProgramError(
            f"bus {bus.name!r} cannot balance: {sent} tuples are sent and {received} are received; say on which rows "
            "by when="
        )


def _check_constants(bus: Bus, mine: _Side, others: _Side) -> None:
    for position in range(bus.width):
        known = {item.values[position].x if item.values[position].kind == CONSTANT else None for _, item in others}
        if None in known:
            continue
        for table, item in mine:
            value = item.values[position]
            always = item.when.kind == CONSTANT and item.when.x == 1
            if always and value.kind == CONSTANT and value.x not in known:
                raise ProgramError(
                    f"bus {bus.name!r} cannot balance: {item.name!r} of table {table.name!r} puts the constant "
                    f"{value.x} at place {position} on every row, and the other side never has it there"
                )
