"""A chain of Poseidon2 permutations: a wide trace."""

from __future__ import annotations

from typing import Any, NamedTuple

import attrs
import numpy as np
from numpy.typing import NDArray

from ..air.builder import AirBuilder, Column, Expr
from ..air.field import P
from ..air.program import Program, public, shipped
from ..air.validators import field_elements, integer
from .poseidon2 import (
    EXTERNAL_CONSTANTS,
    HALF_EXTERNAL_ROUNDS,
    INTERNAL_CONSTANTS,
    WIDTH,
    advance,
    external_layer,
    internal_layer,
    permute,
)

GENERATOR = 2
"""The number of the C trace generator; its arguments are the seed."""


class _External(NamedTuple):
    """The columns of an external round: the cube of each S-box's input, and the state after the round."""

    cubes: list[Column]
    state: list[Column]


class _Internal(NamedTuple):
    """The columns of an internal round: the cube of the S-box's input, and its output."""

    cube: Column
    output: Column


class _Layout(NamedTuple):
    """The columns in their order: the input, then round after round. The C trace generator has the same order."""

    input: list[Column]
    first: list[_External]
    internal: list[_Internal]
    last: list[_External]

    @classmethod
    def declare(cls, b: AirBuilder) -> _Layout:
        def external(r: int) -> _External:
            return _External(b.columns(f"cube{r}", WIDTH), b.columns(f"state{r}", WIDTH))

        half = HALF_EXTERNAL_ROUNDS
        return cls(
            b.columns("input", WIDTH),
            [external(r) for r in range(half)],
            [
                _Internal(b.column(f"internal_cube{r}"), b.column(f"internal_output{r}"))
                for r in range(len(INTERNAL_CONSTANTS))
            ],
            [external(r) for r in range(half, 2 * half)],
        )


@shipped
class Poseidon2Chain(Program):
    """The Poseidon2 permutation of BabyBear, width 16, applied n times to `seed`; proves the last state.

    One permutation a row, in 298 columns: each S-box x^7 takes the cube of its input from a column, so that no
    constraint has a degree above 3. The rows after row n - 1 continue the chain.
    """

    id = "poseidon2-chain"

    seed: tuple[int, ...] = public(validator=field_elements(WIDTH))
    n: int = attrs.field(validator=integer(1, 2**20))

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        b.rows(params.n)
        columns = _Layout.declare(b)
        inputs: list[Expr] = [*columns.input]
        state = external_layer(inputs)
        rounds = iter(enumerate(EXTERNAL_CONSTANTS))
        for part in columns.first:
            state = _external_round(b, next(rounds), part, state)
        for r, (constant, box) in enumerate(zip(INTERNAL_CONSTANTS, columns.internal, strict=True)):
            shifted = state[0] + constant
            b.assert_equal(box.cube, shifted**3, name=f"internal cube {r}")
            b.assert_equal(box.output, box.cube * box.cube * shifted, name=f"internal output {r}")
            mixed: list[Expr] = [box.output, *state[1:]]
            state = internal_layer(mixed)
        for part in columns.last:
            state = _external_round(b, next(rounds), part, state)
        output = columns.last[-1].state
        for i in range(WIDTH):
            b.assert_equal(columns.input[i].next, output[i], name=f"chain {i}")
            b.boundary(columns.input[i], 0, b.public("seed", i), name=f"seed {i}")
            b.boundary(output[i], params.n - 1, b.output(i), name=f"output {i}")

    def trace(self, out: NDArray[np.uint32]) -> None:
        row: list[int] = list(self.seed)
        for inputs in out[:, :WIDTH]:
            inputs[:] = row
            row = permute(row)
        # The rest is done for all rows at once. Sums of up to 35 elements and one product stay below 2^64.
        filled = WIDTH
        state = external_layer([out[:, i].astype(np.uint64) for i in range(WIDTH)])

        def write(values: list[NDArray[np.uint64]]) -> None:
            nonlocal filled
            for value in values:
                out[:, filled] = value
                filled += 1

        def external_round(r: int, state: list[NDArray[np.uint64]]) -> list[NDArray[np.uint64]]:
            boxes = [_box(value, constant) for value, constant in zip(state, EXTERNAL_CONSTANTS[r], strict=True)]
            after = [value % P for value in external_layer([output for _, output in boxes])]
            write([cube for cube, _ in boxes])
            write(after)
            return after

        for r in range(HALF_EXTERNAL_ROUNDS):
            state = external_round(r, state)
        for constant in INTERNAL_CONSTANTS:
            cube, output = _box(state[0], constant)
            write([cube, output])
            state = [value % P for value in internal_layer([output, *state[1:]])]
        for r in range(HALF_EXTERNAL_ROUNDS, 2 * HALF_EXTERNAL_ROUNDS):
            state = external_round(r, state)

    def public_outputs(self) -> tuple[int, ...]:
        return advance(self.seed, self.n)

    def native_trace(self) -> tuple[int, tuple[int, ...]]:
        return GENERATOR, self.seed


def _external_round(
    b: AirBuilder, numbered: tuple[int, tuple[int, ...]], part: _External, state: list[Expr]
) -> list[Expr]:
    r, constants = numbered
    shifted = [value + constant for value, constant in zip(state, constants, strict=True)]
    for i, value in enumerate(shifted):
        b.assert_equal(part.cubes[i], value**3, name=f"cube {r}.{i}")
    after = external_layer([cube * cube * value for cube, value in zip(part.cubes, shifted, strict=True)])
    for i, value in enumerate(after):
        b.assert_equal(part.state[i], value, name=f"state {r}.{i}")
    return list(part.state)


def _box(value: NDArray[np.uint64], constant: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The cube and the seventh power of ``value + constant``."""
    base = (value + constant) % P
    cube = base * base % P * base % P
    return cube, cube * cube % P * base % P
