"""Verifying many proofs at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, overload

from ..air import Program
from ..backends import Control, check_security
from ..proof import Proof
from ..statement import Statement
from ..verifier import verify
from .batch import gather, gather_sync, settle

__all__ = ["verify_batch", "verify_batch_sync"]


def _maker(
    min_security: int, program: type[Program] | Program | None
) -> Callable[[Proof | bytes], Callable[[Control], Statement]]:
    check_security(min_security, "min_security")
    return lambda proof: lambda _control: verify(proof, min_security=min_security, program=program)


@overload
async def verify_batch(
    proofs: Iterable[Proof | bytes],
    *,
    min_security: int = ...,
    program: type[Program] | Program | None = ...,
    return_exceptions: Literal[False] = ...,
) -> list[Statement]: ...


@overload
async def verify_batch(
    proofs: Iterable[Proof | bytes],
    *,
    min_security: int = ...,
    program: type[Program] | Program | None = ...,
    return_exceptions: Literal[True],
) -> list[Statement | Exception]: ...


async def verify_batch(
    proofs: Iterable[Proof | bytes],
    *,
    min_security: int = 100,
    program: type[Program] | Program | None = None,
    return_exceptions: bool = False,
) -> Sequence[Statement | Exception]:
    """Checks many proofs on the workers, as `aprover.verify` does each, and returns their statements in order.

    The caller must compare the statements with those that it meant. Works under trio and under asyncio.

    Cancellation: always a checkpoint. If cancelled, no further verification is begun, and those under way, which take
    milliseconds (``trace`` commitments longer), are waited for.

    Args:
        proofs: Consumed as the batch goes on, on this loop; at most twice as many as there are workers are under way.
        min_security, program: As for `aprover.verify`, for all of them.
        return_exceptions: Put the exception of a rejected proof into its place, instead of raising at the end.

    Raises:
        BatchError: At least one was rejected; an exception group of the rejections, whose `results` has the statements
            and exceptions of all in order.
        ProgramError: An argument is wrong.
    """
    return settle(await gather(proofs, _maker(min_security, program)), return_exceptions)


@overload
def verify_batch_sync(
    proofs: Iterable[Proof | bytes],
    *,
    min_security: int = ...,
    program: type[Program] | Program | None = ...,
    return_exceptions: Literal[False] = ...,
) -> list[Statement]: ...


@overload
def verify_batch_sync(
    proofs: Iterable[Proof | bytes],
    *,
    min_security: int = ...,
    program: type[Program] | Program | None = ...,
    return_exceptions: Literal[True],
) -> list[Statement | Exception]: ...


def verify_batch_sync(
    proofs: Iterable[Proof | bytes],
    *,
    min_security: int = 100,
    program: type[Program] | Program | None = None,
    return_exceptions: bool = False,
) -> Sequence[Statement | Exception]:
    """Like `verify_batch`, for scripts: blocks this thread.

    Cancellation: KeyboardInterrupt waits for the verifications under way, begins no further one, and goes on.

    Raises:
        RuntimeError: On a thread that runs an event loop, or inside a program's own trace().
        Otherwise as `verify_batch`.
    """
    return settle(gather_sync(proofs, _maker(min_security, program)), return_exceptions)
