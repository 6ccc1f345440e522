"""A chain of Poseidon2 permutations: a wide trace."""

from __future__ import annotations

from typing import Any

import attrs
import numpy as np
from numpy.typing import NDArray

from ..air.builder import AirBuilder
from ..air.program import Program, public, shipped
from ..air.validators import field_elements, integer
from .poseidon2 import WIDTH, advance, permute
from .poseidon2_row import Permutation, fill

GENERATOR = 2
"""The number of the C trace generator; its arguments are the seed."""


@shipped
class Poseidon2Chain(Program):
    """The Poseidon2 permutation of BabyBear, width 16, applied n times to `seed`; proves the last state.

    Public statement: "n permutations of `seed` give the public outputs", for public seed and n. Nothing is private.

    One permutation a row, in 298 columns: each S-box x^7 takes the cube of its input from a column, so that no
    constraint has a degree above 3. The rows after row n - 1 continue the chain.
    """

    id = "poseidon2-chain"

    seed: tuple[int, ...] = public(validator=field_elements(WIDTH))
    n: int = attrs.field(validator=integer(1, 2**20))

    @classmethod
    def air(cls, b: AirBuilder, params: Any) -> None:
        b.rows(params.n)
        permutation = Permutation.declare(b)
        permutation.constrain(b)
        for i, (before, after) in enumerate(zip(permutation.input, permutation.output, strict=True)):
            b.assert_equal(before.next, after, name=f"chain {i}")
            b.boundary(before, 0, b.public("seed", i), name=f"seed {i}")
            b.boundary(after, params.n - 1, b.output(i), name=f"output {i}")

    def trace(self, out: NDArray[np.uint32]) -> None:
        row: list[int] = list(self.seed)
        for inputs in out[:, :WIDTH]:
            inputs[:] = row
            row = permute(row)
        fill(out)

    def public_outputs(self) -> tuple[int, ...]:
        return advance(self.seed, self.n)

    def native_trace(self) -> tuple[int, tuple[int, ...]]:
        return GENERATOR, self.seed
