"""`prove` and its kin: what users call, on the engine that is open in this context, else on the default engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, overload

from ..aggregate import AggregateProof
from ..air import Program
from ..backends import Prefer
from ..proof import BackendName, Proof
from ..statement import Statement
from .asking import Progress
from .batch import AsCompleted
from .estimate import Estimate
from .opening import current_engine
from .request import OwnPrograms

__all__ = [
    "estimate",
    "prove",
    "prove_as_completed",
    "prove_batch",
    "prove_batch_sync",
    "prove_sync",
    "verify_batch",
    "verify_batch_sync",
]


async def prove(
    program: Program,
    *,
    security: int = 100,
    backend: BackendName = "stark",
    prefer: Prefer = "time",
    zk: bool = False,
    check: bool = False,
    priority: int = 0,
    deadline: float | None = None,
    cache: bool = True,
    memory_limit: int | None = None,
    progress: Progress | None = None,
) -> Proof:
    """Proves that `program` was carried out correctly. Works under trio and under asyncio.

    The engine makes each proof once, however many ask for it at the same time; keeps it for those who ask later; and
    decides where it is made: on this loop's own thread if that is quicker than to wake another, and never for longer
    than about half a millisecond a pass of the loop; on a worker thread, together with others; or on several. A
    user's own air() and trace() always run on a worker, in an empty context: air() once for each set of parameters.
    (The first proof of any shape is made by a worker, which finds out what such proofs cost.)

    Cancellation: always a cancellation point; a schedule point too, unless the proof is there at once, and then at
    least every half millisecond. A call that is cancelled is over at once. The proof goes on as long as anybody else
    waits for it. If nobody does, it is dropped if it was queued; if it runs, C stops within 10 milliseconds, while a
    user's own trace() cannot be stopped and keeps its worker until it returns.

    Args:
        program: What to prove.
        security: Proven bits, from 1 to 128.
        backend: ``"stark"``, or ``"trace"`` for a commitment that is checked by doing the work again.
        prefer: ``"time"`` for a proof that is quick to make and no larger than usual (`aprover.security.usual_bytes`),
            ``"size"`` for the smallest, ``"fastest"`` for the one that is quickest to make at any size.
        zk: Hide the private inputs: the proof shows nothing beyond its statement, the heights of its tables and the
            time that it took. It takes longer, a tiny trace several times as long, and no two are alike; one that is
            in the cache or under way is shared only with requests for the same program with the same private inputs.
        check: First look for a broken constraint on every row and name it; doubles the work on the trace and more.
            Without it, a wrong trace still never becomes a proof, but the error does not say where.
        priority: Requests with a larger one go first.
        deadline: On this loop's own clock (`trio.current_time`, the loop's `time`); work that has not begun by then
            is not begun. Under trio, the deadlines of the cancel scopes around the call count as well.
        cache: False neither takes a proof that was made before, nor keeps this one. It still shares with those who
            ask at the same time.
        memory_limit: Bytes that the proof may take while it is made, apart from its own and those of committed
            preprocessed columns; None for the engine's own limit (`open_engine`), which is none by default. A long
            trace is then proved in less memory, down to a third, by computing twice what there is no room to keep. The
            proof is the same byte for byte, so one that is in the cache serves whatever the limit; one that is under
            way serves only requests with the same limit. `estimate` says what a proof takes.
        progress: Called on this loop, at most ten times a second, as long as the proof is waited for, with the phase
            (``"queued"``, ``"trace"`` or ``"prove"``) and how much of it is done; what it raises ends the wait.

    Raises:
        ProgramError: The program, its inputs or an argument is wrong, or the proof cannot be made in `memory_limit`
            bytes, which is found out before the work. With ``check=True`` also its subclass `ConstraintError`.
        SecurityError: The program's shape cannot reach `security` bits; `reachable` says how many it can.
        ProveError: Proving failed; `__cause__` says why.
        DeadlineExceeded: `deadline` passed first.
        EngineOverloaded: As many proofs are pending as the engine takes, and it was opened with
            ``on_overload="raise"``.
        EngineClosed: The engine that is open in this context was closed, or opened before this process was forked.
    """
    return await current_engine().prove(
        program,
        security=security,
        backend=backend,
        prefer=prefer,
        zk=zk,
        check=check,
        priority=priority,
        deadline=deadline,
        cache=cache,
        memory_limit=memory_limit,
        progress=progress,
    )


def prove_sync(
    program: Program,
    *,
    security: int = 100,
    backend: BackendName = "stark",
    prefer: Prefer = "time",
    zk: bool = False,
    check: bool = False,
    priority: int = 0,
    deadline: float | None = None,
    cache: bool = True,
    memory_limit: int | None = None,
    progress: Progress | None = None,
) -> Proof:
    """Like `prove`, for scripts and plain threads: blocks this thread. `deadline` is on `time.monotonic`.

    Cancellation: KeyboardInterrupt ends the wait, and the work as the cancellation of `prove` does.

    Raises:
        RuntimeError: On a thread that runs an event loop, or inside a program's own trace().
        Otherwise as `prove`.
    """
    return current_engine().prove_sync(
        program,
        security=security,
        backend=backend,
        prefer=prefer,
        zk=zk,
        check=check,
        priority=priority,
        deadline=deadline,
        cache=cache,
        memory_limit=memory_limit,
        progress=progress,
    )


def estimate(
    program: Program,
    *,
    security: int = 100,
    backend: BackendName = "stark",
    prefer: Prefer = "time",
    zk: bool = False,
    memory_limit: int | None = None,
) -> Estimate:
    """Predicts what `prove` with the same arguments costs. Synchronous and quick; never runs the computation.

    Raises:
        ProgramError: An argument or the program is wrong.
        SecurityError: The program's shape cannot reach `security` bits; `reachable` says how many it can.
    """
    return current_engine().estimate(
        program, security=security, backend=backend, prefer=prefer, zk=zk, memory_limit=memory_limit
    )


@overload
async def prove_batch(
    programs: Iterable[Program],
    *,
    aggregate: Literal[True],
    security: int = ...,
    backend: BackendName = ...,
    prefer: Prefer = ...,
    zk: bool = ...,
    check: bool = ...,
    priority: int = ...,
    deadline: float | None = ...,
    cache: bool = ...,
    memory_limit: int | None = ...,
    return_exceptions: Literal[False] = ...,
) -> AggregateProof: ...


@overload
async def prove_batch(
    programs: Iterable[Program],
    *,
    aggregate: Literal[False] = ...,
    security: int = ...,
    backend: BackendName = ...,
    prefer: Prefer = ...,
    zk: bool = ...,
    check: bool = ...,
    priority: int = ...,
    deadline: float | None = ...,
    cache: bool = ...,
    memory_limit: int | None = ...,
    return_exceptions: Literal[False] = ...,
) -> list[Proof]: ...


@overload
async def prove_batch(
    programs: Iterable[Program],
    *,
    aggregate: Literal[False] = ...,
    security: int = ...,
    backend: BackendName = ...,
    prefer: Prefer = ...,
    zk: bool = ...,
    check: bool = ...,
    priority: int = ...,
    deadline: float | None = ...,
    cache: bool = ...,
    memory_limit: int | None = ...,
    return_exceptions: bool,
) -> list[Proof | Exception]: ...


@overload
async def prove_batch(
    programs: Iterable[Program],
    *,
    aggregate: bool,
    security: int = ...,
    backend: BackendName = ...,
    prefer: Prefer = ...,
    zk: bool = ...,
    check: bool = ...,
    priority: int = ...,
    deadline: float | None = ...,
    cache: bool = ...,
    memory_limit: int | None = ...,
    return_exceptions: bool = ...,
) -> Sequence[Proof | Exception] | AggregateProof: ...


async def prove_batch(
    programs: Iterable[Program],
    *,
    aggregate: bool = False,
    security: int = 100,
    backend: BackendName = "stark",
    prefer: Prefer = "time",
    zk: bool = False,
    check: bool = False,
    priority: int = 0,
    deadline: float | None = None,
    cache: bool = True,
    memory_limit: int | None = None,
    return_exceptions: bool = False,
) -> Sequence[Proof | Exception] | AggregateProof:
    """Proves each of `programs`, and returns the proofs in their order. Works under trio and under asyncio.

    A bounded number of requests is under way at a time, so a batch of any size takes bounded memory beyond its
    results, and never fails for its own size. One failure does not stop the others.

    Cancellation: always a checkpoint. If cancelled, all requests under way are left as in `prove`, no further one is
    begun, and finished proofs are dropped.

    With ``aggregate=True`` all statements share one proof, which takes a few microseconds and some hundred bytes a
    statement where many small ones are alike, and cannot be split: whoever holds it sees all the statements. The
    programs may differ, in up to 64 classes and parameters; each has one table, without buses and preprocessed columns.

    Args:
        programs: Consumed as the batch goes on, on this loop; at once for an aggregate.
        aggregate: One `AggregateProof`, which is one request of the engine, and is kept and shared as such.
        return_exceptions: Put the exception of a failed request into its place, instead of raising at the end.
        security, backend, prefer, zk, check, priority, deadline, cache, memory_limit: As for `prove`,
            for each.

    Raises:
        BatchError: At least one request failed; an exception group of the failures, whose `results` has the proofs and
            exceptions of all requests in order. For an aggregate, instead, what `prove` raises.
        ProgramError: An argument is wrong; of an aggregate, a program that cannot be part of one.
    """
    engine = current_engine()
    return await engine.prove_batch(
        programs,
        aggregate=aggregate,
        security=security,
        backend=backend,
        prefer=prefer,
        zk=zk,
        check=check,
        priority=priority,
        deadline=deadline,
        cache=cache,
        memory_limit=memory_limit,
        return_exceptions=return_exceptions,
    )


@overload
def prove_batch_sync(
    programs: Iterable[Program],
    *,
    aggregate: Literal[True],
    security: int = ...,
    backend: BackendName = ...,
    prefer: Prefer = ...,
    zk: bool = ...,
    check: bool = ...,
    priority: int = ...,
    deadline: float | None = ...,
    cache: bool = ...,
    memory_limit: int | None = ...,
    return_exceptions: Literal[False] = ...,
) -> AggregateProof: ...


@overload
def prove_batch_sync(
    programs: Iterable[Program],
    *,
    aggregate: Literal[False] = ...,
    security: int = ...,
    backend: BackendName = ...,
    prefer: Prefer = ...,
    zk: bool = ...,
    check: bool = ...,
    priority: int = ...,
    deadline: float | None = ...,
    cache: bool = ...,
    memory_limit: int | None = ...,
    return_exceptions: Literal[False] = ...,
) -> list[Proof]: ...


@overload
def prove_batch_sync(
    programs: Iterable[Program],
    *,
    aggregate: Literal[False] = ...,
    security: int = ...,
    backend: BackendName = ...,
    prefer: Prefer = ...,
    zk: bool = ...,
    check: bool = ...,
    priority: int = ...,
    deadline: float | None = ...,
    cache: bool = ...,
    memory_limit: int | None = ...,
    return_exceptions: bool,
) -> list[Proof | Exception]: ...


@overload
def prove_batch_sync(
    programs: Iterable[Program],
    *,
    aggregate: bool,
    security: int = ...,
    backend: BackendName = ...,
    prefer: Prefer = ...,
    zk: bool = ...,
    check: bool = ...,
    priority: int = ...,
    deadline: float | None = ...,
    cache: bool = ...,
    memory_limit: int | None = ...,
    return_exceptions: bool = ...,
) -> Sequence[Proof | Exception] | AggregateProof: ...


def prove_batch_sync(
    programs: Iterable[Program],
    *,
    aggregate: bool = False,
    security: int = 100,
    backend: BackendName = "stark",
    prefer: Prefer = "time",
    zk: bool = False,
    check: bool = False,
    priority: int = 0,
    deadline: float | None = None,
    cache: bool = True,
    memory_limit: int | None = None,
    return_exceptions: bool = False,
) -> Sequence[Proof | Exception] | AggregateProof:
    """Like `prove_batch`, for scripts: blocks this thread.

    Cancellation: KeyboardInterrupt ends the wait, and all work as the cancellation of `prove_batch` does.

    Raises:
        RuntimeError: On a thread that runs an event loop, or inside a program's own trace().
        Otherwise as `prove_batch`.
    """
    return current_engine().prove_batch_sync(
        programs,
        aggregate=aggregate,
        security=security,
        backend=backend,
        prefer=prefer,
        zk=zk,
        check=check,
        priority=priority,
        deadline=deadline,
        cache=cache,
        memory_limit=memory_limit,
        return_exceptions=return_exceptions,
    )


def prove_as_completed(
    programs: Iterable[Program],
    *,
    security: int = 100,
    backend: BackendName = "stark",
    prefer: Prefer = "time",
    zk: bool = False,
    check: bool = False,
    priority: int = 0,
    deadline: float | None = None,
    cache: bool = True,
    memory_limit: int | None = None,
) -> AbstractAsyncContextManager[AsCompleted[Proof]]:
    """Proves each of `programs`, and gives each proof or failure as soon as it is there::

        async with aprover.prove_as_completed(programs) as done:
            async for item in done:
                proofs[item.index] = item.unwrap()

    A bounded number of requests is under way at a time; further ones are begun as items are taken.

    Cancellation: each step of the iteration is a cancellation point, and loses nothing if it is cancelled. However the
    block is left, requests under way are left as in `prove`, and no further one is begun.

    Args:
        programs: Consumed as the iteration goes on, on this loop.
        security, backend, prefer, zk, check, priority, deadline, cache, memory_limit: As for `prove`,
            for each.

    Raises:
        As `prove`: from `unwrap`, for each request; for wrong arguments, on entering.
    """
    return current_engine().prove_as_completed(
        programs,
        security=security,
        backend=backend,
        prefer=prefer,
        zk=zk,
        check=check,
        priority=priority,
        deadline=deadline,
        cache=cache,
        memory_limit=memory_limit,
    )


@overload
async def verify_batch(
    proofs: Iterable[Proof | bytes],
    *,
    min_security: int = ...,
    program: OwnPrograms = ...,
    return_exceptions: Literal[False] = ...,
) -> list[Statement]: ...


@overload
async def verify_batch(
    proofs: Iterable[Proof | bytes],
    *,
    min_security: int = ...,
    program: OwnPrograms = ...,
    return_exceptions: bool,
) -> list[Statement | Exception]: ...


@overload
async def verify_batch(
    proofs: Iterable[AggregateProof],
    *,
    min_security: int = ...,
    program: OwnPrograms = ...,
    return_exceptions: Literal[False] = ...,
) -> list[tuple[Statement, ...]]: ...


@overload
async def verify_batch(
    proofs: Iterable[Proof | AggregateProof | bytes],
    *,
    min_security: int = ...,
    program: OwnPrograms = ...,
    return_exceptions: bool = ...,
) -> Sequence[Statement | tuple[Statement, ...] | Exception]: ...


async def verify_batch(
    proofs: Iterable[Proof | AggregateProof | bytes],
    *,
    min_security: int = 100,
    program: OwnPrograms = None,
    return_exceptions: bool = False,
) -> Sequence[Statement | tuple[Statement, ...] | Exception]:
    """Checks many proofs on the workers, as `aprover.verify` does each, and returns their statements in order: in the
    place of an aggregate a tuple of all its statements.

    The caller must compare the statements with those that it meant. Works under trio and under asyncio.

    Cancellation: always a checkpoint. If cancelled, no further verification is begun; those under way, which take
    milliseconds (``trace`` commitments longer), keep their workers until they are done.

    Args:
        proofs: Consumed as the batch goes on, on this loop; a bounded number is under way at a time.
        min_security, program: As for `aprover.verify`, for all of them.
        return_exceptions: Put the exception of a rejected proof into its place, instead of raising at the end.

    Raises:
        BatchError: At least one was rejected; an exception group of the rejections, whose `results` has the statements
            and exceptions of all in order.
        ProgramError: An argument is wrong.
    """
    engine = current_engine()
    return await engine.verify_batch(
        proofs, min_security=min_security, program=program, return_exceptions=return_exceptions
    )


@overload
def verify_batch_sync(
    proofs: Iterable[Proof | bytes],
    *,
    min_security: int = ...,
    program: OwnPrograms = ...,
    return_exceptions: Literal[False] = ...,
) -> list[Statement]: ...


@overload
def verify_batch_sync(
    proofs: Iterable[Proof | bytes],
    *,
    min_security: int = ...,
    program: OwnPrograms = ...,
    return_exceptions: bool,
) -> list[Statement | Exception]: ...


@overload
def verify_batch_sync(
    proofs: Iterable[AggregateProof],
    *,
    min_security: int = ...,
    program: OwnPrograms = ...,
    return_exceptions: Literal[False] = ...,
) -> list[tuple[Statement, ...]]: ...


@overload
def verify_batch_sync(
    proofs: Iterable[Proof | AggregateProof | bytes],
    *,
    min_security: int = ...,
    program: OwnPrograms = ...,
    return_exceptions: bool = ...,
) -> Sequence[Statement | tuple[Statement, ...] | Exception]: ...


def verify_batch_sync(
    proofs: Iterable[Proof | AggregateProof | bytes],
    *,
    min_security: int = 100,
    program: OwnPrograms = None,
    return_exceptions: bool = False,
) -> Sequence[Statement | tuple[Statement, ...] | Exception]:
    """Like `verify_batch`, for scripts: blocks this thread.

    Cancellation: KeyboardInterrupt ends the wait and begins no further verification.

    Raises:
        RuntimeError: On a thread that runs an event loop, or inside a program's own trace().
        Otherwise as `verify_batch`.
    """
    return current_engine().verify_batch_sync(
        proofs, min_security=min_security, program=program, return_exceptions=return_exceptions
    )
