"""The cost model: how many seconds a proof will take, from its shape alone."""

from __future__ import annotations

import attrs

from ..security import Parameters, Shape

__all__ = ["CostModel", "Work"]


@attrs.frozen(cache_hash=True)
class Work:
    """What the cost model needs to know of one proof. Build it by `work_of` and keep it per AIR and parameters.

    Attributes:
        features: Counts of the operations that take the time; see `FEATURES`.
        trace: Who makes the trace: None for C, else the program's id, under which the time of its trace() is learned.
        rows: The height of the trace.
        splittable: Whether several threads can work on it.
    """

    features: tuple[float, ...]
    rows: int
    trace: str | None = None
    splittable: bool = True

    @property
    def native(self) -> bool:
        """Whether the trace is made in C, so that the proof may be made on a loop's thread or in a batch."""
        return self.trace is None


def work_of(shape: Shape, parameters: Parameters, *, instructions: int, trace: str | None = None) -> Work:
    """The features of a STARK proof.

    Args:
        instructions: Of the constraints' bytecode, `CompiledAir.cost`.
        trace: The program's id if its trace() is Python, None if the trace is made in C.
    """
    raise NotImplementedError


class CostModel:
    """Not thread-safe: the core calls it under its own lock."""

    def predict(self, work: Work) -> float:
        """Seconds on one core, the trace included."""
        raise NotImplementedError
