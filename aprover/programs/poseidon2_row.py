"""One Poseidon2 permutation in one row of a trace: columns, constraints and their values.

298 columns of degree 3: the input, and for each S-box x^7 the cube of its input. The state after an external round has
columns too, and so has the output of an internal round's only S-box.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ..air.builder import Column, Expr, TableBuilder
from ..air.field import P
from .poseidon2 import (
    EXTERNAL_CONSTANTS,
    HALF_EXTERNAL_ROUNDS,
    INTERNAL_CONSTANTS,
    WIDTH,
    external_layer,
    internal_layer,
)

__all__ = ["COLUMNS", "Permutation", "fill"]

COLUMNS = WIDTH + 2 * HALF_EXTERNAL_ROUNDS * 2 * WIDTH + 2 * len(INTERNAL_CONSTANTS)


class _External(NamedTuple):
    """The columns of an external round: the cube of each S-box's input, and the state after the round."""

    cubes: list[Column]
    state: list[Column]


class _Internal(NamedTuple):
    """The columns of an internal round: the cube of the S-box's input, and its output."""

    cube: Column
    output: Column


class Permutation(NamedTuple):
    """The columns in their order: the input, then round after round. `fill` and the trace generators in C agree."""

    input: list[Column]
    first: list[_External]
    internal: list[_Internal]
    last: list[_External]

    @property
    def output(self) -> list[Column]:
        """The 16 columns of the permuted state."""
        return self.last[-1].state

    @classmethod
    def declare(cls, b: TableBuilder) -> Self:
        """Adds the columns, named ``input[0]`` and so on: once in a table."""

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

    def constrain(self, b: TableBuilder) -> None:
        """On every row, `output` is the permutation of `input`, and no other cell is free."""
        inputs: list[Expr] = [*self.input]
        state = external_layer(inputs)
        rounds = iter(enumerate(EXTERNAL_CONSTANTS))
        for part in self.first:
            state = _external_round(b, next(rounds), part, state)
        for r, (constant, box) in enumerate(zip(INTERNAL_CONSTANTS, self.internal, strict=True)):
            shifted = state[0] + constant
            b.assert_equal(box.cube, shifted**3, name=f"internal cube {r}")
            b.assert_equal(box.output, box.cube * box.cube * shifted, name=f"internal output {r}")
            mixed: list[Expr] = [box.output, *state[1:]]
            state = internal_layer(mixed)
        for part in self.last:
            state = _external_round(b, next(rounds), part, state)


def fill(out: NDArray[np.uint32]) -> None:
    """Computes all columns of a permutation from its input, on all rows at once.

    Args:
        out: Shape (rows, `COLUMNS`), with the input in the first 16 columns.
    """
    # Rows of these arrays are elements of the state: fewer and longer numpy calls. Sums of up to 35 elements and one
    # product stay below 2^64.
    state = np.array(external_layer([*out[:, :WIDTH].T.astype(np.uint64)]))
    filled = WIDTH

    def write(values: NDArray[np.uint64]) -> None:
        nonlocal filled
        out[:, filled : filled + len(values)] = values.T
        filled += len(values)

    def external_round(r: int, state: NDArray[np.uint64]) -> NDArray[np.uint64]:
        cubes, outputs = _box(state, np.array(EXTERNAL_CONSTANTS[r], dtype=np.uint64)[:, np.newaxis])
        after: NDArray[np.uint64] = np.array(external_layer([*outputs])) % P
        write(cubes)
        write(after)
        return after

    for r in range(HALF_EXTERNAL_ROUNDS):
        state = external_round(r, state)
    for constant in INTERNAL_CONSTANTS:
        cube, state[:1] = _box(state[:1], np.uint64(constant))
        write(cube)
        write(state[:1])
        state = np.array(internal_layer([*state])) % P
    for r in range(HALF_EXTERNAL_ROUNDS, 2 * HALF_EXTERNAL_ROUNDS):
        state = external_round(r, state)


def _external_round(
    b: TableBuilder, numbered: tuple[int, tuple[int, ...]], part: _External, state: list[Expr]
) -> list[Expr]:
    r, constants = numbered
    shifted = [value + constant for value, constant in zip(state, constants, strict=True)]
    for i, value in enumerate(shifted):
        b.assert_equal(part.cubes[i], value**3, name=f"cube {r}.{i}")
    after = external_layer([cube * cube * value for cube, value in zip(part.cubes, shifted, strict=True)])
    for i, value in enumerate(after):
        b.assert_equal(part.state[i], value, name=f"state {r}.{i}")
    return list(part.state)


def _box(
    value: NDArray[np.uint64], constant: NDArray[np.uint64] | np.uint64
) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """The cube and the seventh power of ``value + constant``."""
    base = (value + constant) % P
    cube = base * base % P * base % P
    return cube, cube * cube % P * base % P
