"""`prove` and its kin."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, overload

from ..air import Program
from ..backends import Control, Prefer
from ..proof import BackendName, Proof
from .batch import gather, gather_sync, settle
from .request import Request, check_settings
from .workers import run, run_sync

__all__ = ["Progress", "prove", "prove_batch", "prove_batch_sync", "prove_sync"]

Progress = Callable[[str, float], object]
"""Called with the phase (``"queued"``, ``"trace"`` or ``"prove"``) and how much of it is done, from 0 to 1."""


def _reporter(control: Control, progress: Progress | None) -> Callable[[], object] | None:
    return None if progress is None else lambda: progress(control.phase, control.fraction)


async def prove(
    program: Program,
    *,
    security: int = 100,
    backend: BackendName = "stark",
    prefer: Prefer = "time",
    check: bool = False,
    progress: Progress | None = None,
) -> Proof:
    """Proves that `program` was carried out correctly. Works under trio and under asyncio.

    The work runs on a worker thread; there are as many as usable cores, and further requests queue. A user's own
    trace() and public_outputs() run there too, in an empty context.

    Cancellation: always a checkpoint. If cancelled while queued, the request is dropped at once. If cancelled while
    running, the C prover stops within 10 milliseconds; a user's own trace() cannot be stopped and is waited for.
    `Cancelled` is raised when the worker is free again, so nothing outlives the call.

    Args:
        program: What to prove.
        security: Proven bits, from 1 to 128.
        backend: ``"stark"``, or ``"trace"`` for a commitment that is checked by doing the work again.
        prefer: Whether the parameters are to make the proof quick to make, or small.
        check: First look for a broken constraint on every row and name it; doubles the work on the trace and more.
            Without it, a wrong trace still never becomes a proof, but the error does not say where.
        progress: Called on this loop, at most ten times a second; what it raises cancels the request and goes on.

    Raises:
        ProgramError: The program, its inputs or an argument is wrong. With ``check=True`` also its subclass
            `ConstraintError`.
        SecurityError: The program's shape cannot reach `security` bits; `reachable` says how many it can.
        ProveError: Proving failed; `__cause__` says why.
    """
    control = Control()
    request = Request(program, security, backend, prefer, check)
    return await run(request, control, _reporter(control, progress))


def prove_sync(
    program: Program,
    *,
    security: int = 100,
    backend: BackendName = "stark",
    prefer: Prefer = "time",
    check: bool = False,
) -> Proof:
    """Like `prove`, for scripts: blocks this thread.

    Cancellation: KeyboardInterrupt stops the work, as cancellation does in `prove`, before it goes on.

    Raises:
        RuntimeError: On a thread that runs an event loop, or inside a program's own trace().
        Otherwise as `prove`.
    """
    return run_sync(Request(program, security, backend, prefer, check), Control())


@overload
async def prove_batch(
    programs: Iterable[Program],
    *,
    security: int = ...,
    backend: BackendName = ...,
    prefer: Prefer = ...,
    check: bool = ...,
    return_exceptions: Literal[False] = ...,
) -> list[Proof]: ...


@overload
async def prove_batch(
    programs: Iterable[Program],
    *,
    security: int = ...,
    backend: BackendName = ...,
    prefer: Prefer = ...,
    check: bool = ...,
    return_exceptions: Literal[True],
) -> list[Proof | Exception]: ...


async def prove_batch(
    programs: Iterable[Program],
    *,
    security: int = 100,
    backend: BackendName = "stark",
    prefer: Prefer = "time",
    check: bool = False,
    return_exceptions: bool = False,
) -> Sequence[Proof | Exception]:
    """Proves each of `programs`, and returns the proofs in their order. Works under trio and under asyncio.

    At most twice as many requests as there are workers are under way at a time, so a batch of any size takes bounded
    memory beyond its results. One failure does not stop the others.

    Cancellation: always a checkpoint. If cancelled, all requests under way are stopped as in `prove`, no further one is
    begun, and finished proofs are dropped.

    Args:
        programs: Consumed as the batch goes on, on this loop.
        return_exceptions: Put the exception of a failed request into its place, instead of raising at the end.
        security, backend, prefer, check: As for `prove`.

    Raises:
        BatchError: At least one request failed; an exception group of the failures, whose `results` has the proofs and
            exceptions of all requests in order.
    """

    check_settings(security=security, backend=backend, prefer=prefer, check=check)  # once, rather than as N failures

    def request(program: Program) -> Request:
        return Request(program, security, backend, prefer, check)

    return settle(await gather(programs, request), return_exceptions)


@overload
def prove_batch_sync(
    programs: Iterable[Program],
    *,
    security: int = ...,
    backend: BackendName = ...,
    prefer: Prefer = ...,
    check: bool = ...,
    return_exceptions: Literal[False] = ...,
) -> list[Proof]: ...


@overload
def prove_batch_sync(
    programs: Iterable[Program],
    *,
    security: int = ...,
    backend: BackendName = ...,
    prefer: Prefer = ...,
    check: bool = ...,
    return_exceptions: Literal[True],
) -> list[Proof | Exception]: ...


def prove_batch_sync(
    programs: Iterable[Program],
    *,
    security: int = 100,
    backend: BackendName = "stark",
    prefer: Prefer = "time",
    check: bool = False,
    return_exceptions: bool = False,
) -> Sequence[Proof | Exception]:
    """Like `prove_batch`, for scripts: blocks this thread.

    Cancellation: KeyboardInterrupt stops all work, as cancellation does in `prove_batch`, before it goes on.

    Raises:
        RuntimeError: On a thread that runs an event loop, or inside a program's own trace().
        Otherwise as `prove_batch`.
    """

    check_settings(security=security, backend=backend, prefer=prefer, check=check)  # once, rather than as N failures

    def request(program: Program) -> Request:
        return Request(program, security, backend, prefer, check)

    return settle(gather_sync(programs, request), return_exceptions)
