"""What a backend is, and how the one who waits for a proof talks to the one who makes it."""

from __future__ import annotations

from typing import Any, Literal, Protocol, cast

import attrs

from ..air import Program
from ..proof import BackendName, Proof
from ..security import Prefer

__all__ = ["Backend", "Control", "Cost", "Prefer", "ProvingCancelled", "field_names"]

Phase = Literal["queued", "trace", "prove"]


class ProvingCancelled(Exception):
    """Raised by a backend that saw the cancel flag. Never leaves the engine: waiters get their loop's own Cancelled."""


class Control:
    """A cancel flag and a progress value, in memory that C polls and writes while Python holds no lock.

    One side sets the flag and reads the progress, on any thread; the other side is the one C call that it is given to.
    """

    __slots__ = ("cancel_flag", "memory_limit", "phase", "progress_value")

    def __init__(self, memory_limit: int | None = None) -> None:
        self.memory_limit = memory_limit
        """Bytes that the proof may take while it is made; None: any number."""
        self.cancel_flag = bytearray(4)
        """An int32; nonzero asks to stop."""
        self.progress_value = bytearray(4)
        """A uint32 that grows from 0 to 1000."""
        self.phase: Phase = "queued"

    def cancel(self) -> None:
        """Asks to stop; C sees it within 10 ms, and a user's own trace() when it returns."""
        self.cancel_flag[0] = 1

    def check(self) -> None:
        """Raises `ProvingCancelled` if asked to stop."""
        if self.cancel_flag[0]:
            raise ProvingCancelled

    @property
    def fraction(self) -> float:
        """How much of the current phase is done, from 0 to 1."""
        return min(1.0, int.from_bytes(self.progress_value, "little") / 1000)


@attrs.frozen
class Cost:
    """What a proof is predicted to cost.

    Attributes:
        duration: Seconds on one core.
        proof_bytes: The expected length of the proof, envelope included.
        memory: Bytes while it is made.
    """

    duration: float
    proof_bytes: int
    memory: int


class Backend(Protocol):
    """Makes and checks the part of a proof that follows the statement. Synchronous, re-entrant, knows no event loop."""

    name: BackendName

    def prove(self, program: Program, *, security: int, prefer: Prefer, control: Control, zk: bool = False) -> Proof:
        """Makes the proof, with `zk` one that hides the private inputs.

        Raises:
            ProgramError: The program, its inputs or its trace are wrong, this backend has no such proofs, or this one
                cannot be made in `control.memory_limit` bytes.
            SecurityError: The program's shape cannot reach `security` proven bits.
            ProveError: Proving failed.
            ProvingCancelled: `control` was cancelled.
        """
        ...

    def verify(self, proof: Proof, *, program: type[Program] | Program | None, min_security: int) -> None:
        """Checks the proof against its own statement.

        Raises:
            VerificationError: With the code of the check that failed.
        """
        ...

    def cost(
        self, program: Program, *, security: int, prefer: Prefer, zk: bool = False, memory_limit: int | None = None
    ) -> Cost:
        """Predicts what `prove` costs, without any of its work.

        Raises:
            ProgramError: The proof cannot be made in `memory_limit` bytes.
        """
        ...


def field_names(cls: type[Program], role: Literal["public", "private"] | None) -> list[str]:
    """The names of a program's fields with this role, in order; None stands for its parameters."""
    fields: tuple[attrs.Attribute[Any], ...] = attrs.fields(cast(Any, cls))
    return [field.name for field in fields if field.metadata.get("aprover") == role]
