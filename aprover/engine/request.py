"""One request for a proof: checked at the door, run on a worker."""

from __future__ import annotations

import attrs

from ..air import Program
from ..air.check import check
from ..backends import Control, Prefer, ProvingCancelled, backend_named, check_prefer, check_security
from ..errors import AproverError, ProgramError, ProveError
from ..proof import BackendName, Proof

__all__ = ["Request", "check_program", "check_settings"]


def check_settings(*, security: object, backend: str, prefer: object, check: object = False) -> None:
    """Raises ProgramError for a setting that is not what it may be."""
    check_security(security)
    if type(check) is not bool:
        raise ProgramError(field="check", value=check, allowed="True or False")
    backend_named(backend)
    check_prefer(prefer)


def check_program(program: object) -> None:
    """Raises ProgramError if this is no program."""
    if not isinstance(program, Program):
        raise ProgramError(field="program", value=program, allowed="an instance of a Program")


@attrs.frozen
class Request:
    """A program and how it is to be proved. Calling it makes the proof, on this thread.

    Raises:
        ProgramError: When it is built, for a wrong argument.
    """

    program: Program
    security: int
    backend: BackendName
    prefer: Prefer
    check: bool

    def __attrs_post_init__(self) -> None:
        check_program(self.program)
        check_settings(security=self.security, backend=self.backend, prefer=self.prefer, check=self.check)

    def __call__(self, control: Control) -> Proof:
        control.check()
        try:
            if self.check:
                control.phase = "trace"
                check(self.program)
                control.check()
            return backend_named(self.backend).prove(
                self.program, security=self.security, prefer=self.prefer, control=control
            )
        except (AproverError, ProvingCancelled):
            raise
        except Exception as error:
            # A user's air(), trace() or public_outputs() may raise anything; so may a lack of memory.
            raise ProveError(f"proving {type(self.program).__qualname__} raised {type(error).__name__}") from error
