"""Expressions over trace columns: a hash-consed DAG built by ordinary Python operators.

Every node lives in one `Arena`, which makes equal nodes the same object. Node numbers are given in order of
creation, and nothing here depends on object addresses or on hash seeds: the same calls give the same DAG in
every process, which a verifier that builds the AIR itself relies on.
"""

from __future__ import annotations

import enum
import operator
from collections.abc import Sequence
from typing import NoReturn

from ..errors import ProgramError
from .field import P

MAX_DEGREE = 8
MAX_OFFSET = 15

# Kinds of node. The operations have the numbers of docs/protocol.md, section 4.1.
ADD, SUB, MUL = 0, 1, 2
READ, PERIODIC, PUBLIC, CONSTANT = 4, 5, 6, 7


class Origin(enum.IntEnum):
    """Where the values of a column come from; also the order in which a table has its columns."""

    WRITTEN = 0
    """`Program.trace` writes them."""
    AUTOMATIC = 1
    """They follow from the others: limbs of range checks, counts of lookups."""
    PREPROCESSED = 2
    """They are part of the AIR."""


class Expr:
    """A polynomial in trace cells, periodic columns, public values and constants of the field.

    Combine expressions with each other and with ints by ``+``, ``-``, ``*`` and ``**`` (a non-negative int
    exponent). Ints are taken modulo P, so ``-1`` is a constant like any other.

    Attributes:
        degree: 0 for constants and public values, 1 for columns and periodic columns, the larger one for sums,
            the sum for products. At most 8.
    """

    __slots__ = ("_arena", "degree", "kind", "left", "number", "reach", "right", "weight", "x", "y")
    __array_ufunc__ = None  # so that `numpy.int64(3) * x` asks __rmul__ and does not build an object array

    # Operations have `left` and `right`. Leaves have `x` and `y`: column and offset of a READ, index of a
    # PERIODIC, index of a PUBLIC in the arena's table, value of a CONSTANT. `reach` is the largest offset of the
    # reads below the node, -1 if it reads no column; `weight` is the number of registers that it takes as a tree.
    def __init__(
        self,
        arena: Arena,
        kind: int,
        degree: int,
        reach: int,
        x: int = 0,
        y: int = 0,
        left: Expr | None = None,
        right: Expr | None = None,
        weight: int = 0,
    ) -> None:
        self._arena = arena
        self.kind = kind
        self.degree = degree
        self.reach = reach
        self.number = arena.count
        arena.count += 1
        self.x = x
        self.y = y
        self.left = left
        self.right = right
        self.weight = weight

    def __add__(self, other: Expr | int) -> Expr:
        if self.kind >= PUBLIC:
            return self._arena_with(other).add(*self._with(other))
        return self._arena.add(self, self._arena.coerce(other))

    def __radd__(self, other: int) -> Expr:
        return self._arena.add(self, self._arena.coerce(other))

    def __sub__(self, other: Expr | int) -> Expr:
        if self.kind >= PUBLIC:
            return self._arena_with(other).sub(*self._with(other))
        return self._arena.sub(self, self._arena.coerce(other))

    def __rsub__(self, other: int) -> Expr:
        return self._arena.sub(self._arena.coerce(other), self)

    def __mul__(self, other: Expr | int) -> Expr:
        if self.kind >= PUBLIC:
            return self._arena_with(other).mul(*self._with(other))
        return self._arena.mul(self, self._arena.coerce(other))

    def __rmul__(self, other: int) -> Expr:
        return self._arena.mul(self, self._arena.coerce(other))

    def _arena_with(self, other: object) -> Arena:
        """Where a public value or a constant combines with something: all tables share them."""
        return other._arena if isinstance(other, Expr) else self._arena

    def _with(self, other: object) -> tuple[Expr, Expr]:
        arena = self._arena_with(other)
        return arena.coerce(self), arena.coerce(other)

    def __neg__(self) -> Expr:
        return self._arena.sub(self._arena.constant(0), self)

    def __pos__(self) -> Expr:
        return self

    def __pow__(self, exponent: int) -> Expr:
        return self._arena.power(self, exponent)

    def __bool__(self) -> NoReturn:
        raise ProgramError(
            f"{self} has no truth value while the AIR is built: constraints hold on every row, so they cannot "
            "branch; multiply by a selector (a periodic column, or a column constrained to 0 and 1) instead"
        )

    def __str__(self) -> str:
        return self._arena.render(self)

    def __repr__(self) -> str:
        return f"<Expr {self}>"


class Column(Expr):
    """One column of the trace, and its value at the constraint's own row."""

    __slots__ = ()

    @property
    def name(self) -> str:
        return self._arena.column_names[self.x]

    @property
    def next(self) -> Expr:
        """The column one row below; a constraint that reads it holds on all rows but the last."""
        return self._arena.read(self.x, 1)

    def at(self, offset: int) -> Expr:
        """The column `offset` rows below, 0 to 15; constraints that read it do not hold on the last `offset` rows."""
        return self._arena.read(self.x, offset)


class Arena:
    """The nodes of one table, each once.

    Args:
        table: The table's name.
        public_names: How messages name the public values; shared by all tables of an AIR.
    """

    def __init__(self, table: str, public_names: Sequence[str]) -> None:
        self.table = table
        self.public_names = public_names
        self.count = 0
        self.column_names: list[str] = []
        self.column_origins: list[Origin] = []
        self.periodic_names: list[str] = []
        self._nodes: dict[tuple[int, int, int], Expr] = {}

    # Leaves

    def column(self, name: str, origin: Origin = Origin.WRITTEN) -> Column:
        index = len(self.column_names)
        self.column_names.append(name)
        self.column_origins.append(origin)
        column = Column(self, READ, 1, 0, index)
        self._nodes[READ, index, 0] = column
        return column

    def read(self, column: int, offset: int) -> Expr:
        node = self._nodes.get((READ, column, offset))
        if node is None:
            if type(offset) is not int or not 0 <= offset <= MAX_OFFSET:
                raise ProgramError(
                    field=f"{self.column_names[column]}.at(offset)",
                    value=offset,
                    allowed=f"0 to {MAX_OFFSET} rows below; for rows above, write the constraint from the higher row",
                )
            node = self._nodes[READ, column, offset] = Expr(self, READ, 1, offset, column, offset)
        return node

    def leaf(self, kind: int, index: int) -> Expr:
        node = self._nodes.get((kind, index, 0))
        if node is None:
            node = self._nodes[kind, index, 0] = Expr(self, kind, 1 if kind == PERIODIC else 0, -1, index)
        return node

    def constant(self, value: int) -> Expr:
        return self.leaf(CONSTANT, value % P)

    def coerce(self, value: object) -> Expr:
        if isinstance(value, Expr):
            if value._arena is not self:
                if value.kind == CONSTANT or (value.kind == PUBLIC and value._arena.public_names is self.public_names):
                    return self.leaf(value.kind, value.x)
                if value._arena.public_names is self.public_names:
                    raise ProgramError(
                        f"{value} belongs to table {value._arena.table!r}, not to {self.table!r}: an expression is "
                        "about one table; tie tables together by a bus"
                    )
                raise ProgramError(f"{value} belongs to another AirBuilder")
            return value
        if type(value) is int:
            return self.constant(value)
        if isinstance(value, bool):
            # `x == y` on expressions gives a bool; nobody means the number 0 or 1 by it.
            raise ProgramError(f"{value} is not an expression; write b.assert_equal(x, y), not x == y")
        try:
            return self.constant(operator.index(value))  # type: ignore[arg-type] # anything may be given
        except TypeError:
            raise ProgramError(
                f"{value!r} is not an expression: use columns, periodic columns, public values and ints"
            ) from None

    # Operations

    def _node(self, kind: int, left: Expr, right: Expr, degree: int) -> Expr:
        key = (kind, left.number, right.number)
        node = self._nodes.get(key)
        if node is None:
            # Sethi and Ullman's labels.
            weight = left.weight + 1 if left.weight == right.weight else max(left.weight, right.weight)
            reach = left.reach if left.reach > right.reach else right.reach
            node = Expr(self, kind, degree, reach, left=left, right=right, weight=weight)
            self._nodes[key] = node
        return node

    def add(self, left: Expr, right: Expr) -> Expr:
        if left.kind == CONSTANT:
            left, right = right, left
        if right.kind == CONSTANT:
            if right.x == 0:
                return left
            if left.kind == CONSTANT:
                return self.constant(left.x + right.x)
            if left.kind == ADD and left.right is not None and left.right.kind == CONSTANT:
                assert left.left is not None
                return self.add(left.left, self.constant(left.right.x + right.x))
            return self._node(ADD, left, right, left.degree)
        negated = _negated(right)
        if negated is not None:
            return self.sub(left, negated)
        negated = _negated(left)
        if negated is not None:
            return self.sub(right, negated)
        if left.number > right.number:
            left, right = right, left
        return self._node(ADD, left, right, max(left.degree, right.degree))

    def sub(self, left: Expr, right: Expr) -> Expr:
        if left is right:
            return self.constant(0)
        if right.kind == CONSTANT:
            return self.add(left, self.constant(-right.x))
        negated = _negated(right)
        if negated is not None:
            return self.add(left, negated)
        return self._node(SUB, left, right, max(left.degree, right.degree))

    def mul(self, left: Expr, right: Expr) -> Expr:
        if left.kind == CONSTANT:
            left, right = right, left
        if right.kind == CONSTANT:
            if right.x == 0:
                return right
            if right.x == 1:
                return left
            if left.kind == CONSTANT:
                return self.constant(left.x * right.x)
            if right.x == P - 1:
                return self.sub(self.constant(0), left)
            if left.kind == MUL and left.right is not None and left.right.kind == CONSTANT:
                assert left.left is not None
                return self.mul(left.left, self.constant(left.right.x * right.x))
            return self._node(MUL, left, right, left.degree)
        degree = left.degree + right.degree
        if degree > MAX_DEGREE:
            self._too_high(f"({self.render(left)}) * ({self.render(right)})", degree, left, right)
        if left.number > right.number:
            left, right = right, left
        return self._node(MUL, left, right, degree)

    def power(self, base: Expr, exponent: int) -> Expr:
        if type(exponent) is not int or exponent < 0:
            raise ProgramError(field=f"the exponent of ({base})", value=exponent, allowed="an int >= 0")
        if exponent == 0:
            return self.constant(1)
        if base.kind == CONSTANT:
            return self.constant(pow(base.x, exponent, P))
        if base.degree * exponent > MAX_DEGREE:
            self._too_high(f"({self.render(base)}) ** {exponent}", base.degree * exponent, base, base)
        result = base
        for bit in bin(exponent)[3:]:
            result = self.mul(result, result)
            if bit == "1":
                result = self.mul(result, base)
        return result

    def _too_high(self, text: str, degree: int, left: Expr, right: Expr) -> NoReturn:
        part = left if left.degree >= right.degree else right
        advice = f"put ({self.render(part)})" if part.degree > 1 else "put a part of the product, such as a square,"
        raise ProgramError(
            f"{text} has degree {degree}, and the largest degree is {MAX_DEGREE}. Split it: {advice} into a column of "
            "its own, say part = b.column('part'), with b.assert_equal(part, ...); as a factor, part has degree 1"
        )

    # Text, for messages only

    def render(self, node: Expr, depth: int = 6) -> str:
        """The expression as Python would write it; what is nested deeper than `depth` becomes ``...``."""
        return self._render(node, depth)[0]

    def _render(self, node: Expr, depth: int) -> tuple[str, int]:
        kind = node.kind
        if kind == READ:
            name = self.column_names[node.x]
            return (name if node.y == 0 else f"{name}.next" if node.y == 1 else f"{name}.at({node.y})"), 3
        if kind == PERIODIC:
            return self.periodic_names[node.x], 3
        if kind == PUBLIC:
            return self.public_names[node.x], 3
        if kind == CONSTANT:
            return str(node.x if node.x <= P // 2 else node.x - P), 3
        if depth == 0:
            return "...", 3
        assert node.left is not None
        assert node.right is not None
        if kind == SUB and node.left.kind == CONSTANT and node.left.x == 0:
            text, binding = self._render(node.right, depth - 1)
            return f"-{text}" if binding == 3 else f"-({text})", 2
        own = 2 if kind == MUL else 1
        left, left_binding = self._render(node.left, depth - 1)
        right, right_binding = self._render(node.right, depth - 1)
        if left_binding < own:
            left = f"({left})"
        if right_binding < own or (kind == SUB and right_binding == own):
            right = f"({right})"
        return f"{left} {'+-*'[kind]} {right}", own


def _negated(node: Expr) -> Expr | None:
    """What `node` is the negation of, if it is one."""
    if node.kind == SUB and node.left is not None and node.left.kind == CONSTANT and node.left.x == 0:
        return node.right
    return None
