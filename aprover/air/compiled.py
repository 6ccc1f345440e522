"""An AIR that was built: its bytecode, and what follows from it (docs/protocol.md, section 4.2)."""

from __future__ import annotations

import attrs

from ..errors import VerificationCode, VerificationError, shown
from ..statement import Statement
from .field import P, is_element

PublicSlot = tuple[str, str, int | None] | tuple[str, int]
"""``("input", field, index or None)`` or ``("output", index)``."""


@attrs.frozen(eq=False)
class CompiledAir:
    """The constraints of a program with its parameters, ready for the prover and the verifiers.

    Attributes:
        data: The encoding of docs/protocol.md, section 4.1.
        log_height: log2 of the number of rows k.
        columns: The number of columns W.
        reads: (column, offset) of each trace opening, in order.
        constraint_names: A name for each of the C constraints: the asserted ones, then one for each column that
            has boundaries.
        degree: The largest degree of an asserted expression, at least 1.
        chunks: The number c of quotient chunks.
        cost: The number of instructions.
        registers: The number of registers.
        public_spec: What each public value is, in the order in which the transcript absorbs them.
        column_names: In the order of the columns.
        boundary_names: In the order of their encoding: by column and row.
    """

    data: bytes = attrs.field(repr=lambda data: f"<{len(data)} bytes>")
    log_height: int
    columns: int
    reads: tuple[tuple[int, int], ...] = attrs.field(repr=False)
    constraint_names: tuple[str, ...] = attrs.field(repr=False)
    degree: int
    chunks: int
    cost: int
    registers: int
    public_spec: tuple[PublicSlot, ...] = attrs.field(repr=False)
    column_names: tuple[str, ...] = attrs.field(repr=False)
    boundary_names: tuple[str, ...] = attrs.field(repr=False)
    # Public fields in the order of Statement.public_inputs, with None for an int or the length of a tuple.
    _inputs: tuple[tuple[str, int | None], ...] = attrs.field(repr=False)
    outputs: int

    @property
    def height(self) -> int:
        """The number of rows k, a power of two, at least 8."""
        return 1 << self.log_height

    @property
    def rows_read(self) -> int:
        """How many consecutive rows a constraint may read: 1 + the largest offset."""
        return 1 + max(offset for _, offset in self.reads)

    @property
    def constraints(self) -> int:
        """The number C of constraints."""
        return len(self.constraint_names)

    @property
    def openings(self) -> int:
        """The number N of out-of-domain values: reads and chunks."""
        return len(self.reads) + self.chunks

    @property
    def narrow(self) -> bool:
        """Whether the trees have octet leaves."""
        return self.columns + 5 * self.chunks <= 32

    def publics(self, statement: Statement) -> list[int]:
        """The public values of `statement` in the order of `public_spec`.

        Raises:
            VerificationError: Code ``STATEMENT``; a value is missing, is too many, or is not an int in ``[0, P)``.
                A value too many counts because no constraint would bind it.
        """
        values: list[int] = []
        if len(statement.public_inputs) != len(self._inputs):
            raise _unfit(f"{len(statement.public_inputs)} public inputs, but the program has {len(self._inputs)}")
        for (name, length), given in zip(self._inputs, statement.public_inputs, strict=True):
            if length is None:
                values.append(_element(name, given))
            elif type(given) is not tuple or len(given) != length:
                raise _unfit(f"public input {name} = {shown(given)} is not a tuple of {length} ints")
            else:
                values += [_element(f"{name}[{i}]", value) for i, value in enumerate(given)]
        if len(statement.public_outputs) != self.outputs:
            raise _unfit(f"{len(statement.public_outputs)} public outputs, but the program has {self.outputs}")
        values += [_element(f"public output {i}", value) for i, value in enumerate(statement.public_outputs)]
        return values


def _element(name: str, value: object) -> int:
    if not is_element(value):
        raise _unfit(f"{name} = {shown(value)} is not an int from 0 to {P - 1}")
    return value


def _unfit(message: str) -> VerificationError:
    return VerificationError(VerificationCode.STATEMENT, message)
