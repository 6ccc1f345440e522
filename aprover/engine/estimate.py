"""`Estimate`: what a proof would cost, said without doing any of its work."""

from __future__ import annotations

from typing import Literal

import attrs

__all__ = ["Estimate"]


@attrs.frozen
class Estimate:
    """A prediction, by what the engine has learned so far. A user's own public_outputs() is not in it.

    Attributes:
        duration: Seconds on one core, a user's own trace() included.
        placement: Where a lone request would be made now: on the loop's own thread, by one worker, or by several.
        rows: The height of the trace, a power of two.
        columns: The width of the trace.
        proof_bytes: The expected length of the proof.
        memory: Bytes while the proof is made.
    """

    duration: float
    placement: Literal["inline", "offload", "split"]
    rows: int
    columns: int
    proof_bytes: int
    memory: int
