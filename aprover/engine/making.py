"""How flights become proofs: prepare each, then one C call for all of them. Synchronous; on a worker or on a loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from ..backends import PreparedProof, ProvingCancelled, Team, prove_prepared
from ..errors import AproverError
from ..proof import Proof
from .core import Core
from .flights import Flight
from .messages import Batch, Effects
from .request import Request, VerifyRequest

__all__ = ["make_batch", "make_inline"]

Perform = Callable[[Effects], object]
Result = Proof | BaseException

LANES = 16
"""The most threads that may make one proof together."""


def _as_failure(flight: Flight, error: BaseException) -> BaseException:
    """What goes into the flight for an exception that its work raised."""
    if isinstance(error, AproverError | ProvingCancelled):
        return error
    request = cast("Request | VerifyRequest", flight.request)
    return request.failure(error)


def make_inline(flight: Flight) -> tuple[Result, float, float]:
    """Makes one proof on this thread.

    Returns:
        The result, the seconds that it took, and those of them that the thread was at work.

    Raises:
        BaseException: One that is no Exception, such as KeyboardInterrupt.
    """
    wall, busy = time.perf_counter(), time.thread_time()
    result: Result
    try:
        request = cast("Request | VerifyRequest", flight.request)
        if isinstance(request, Request) and request.batched:
            (result,) = prove_prepared([request.prepare(flight.control)])
        else:
            result = cast(Proof, request.make(flight.control))
    except Exception as error:  # noqa: BLE001 - it is the flight's result
        result = error
    if isinstance(result, Exception):
        result = _as_failure(flight, result)
    return result, time.perf_counter() - wall, time.thread_time() - busy


def make_batch(core: Core, batch: Batch, perform: Perform, *, lanes: int = 1) -> None:
    """Makes the batch's proofs on this thread and finishes it, whatever happens.

    Args:
        perform: Performs the core's effects.
        lanes: How many threads may work on a split proof, this one included.

    Raises:
        BaseException: On a loop's own thread only, one that is no Exception, such as KeyboardInterrupt; the flights
            are then queued again. On a worker it is the flight's own: a trace() may raise SystemExit.
    """
    results: list[Result | None] = [None] * len(batch.flights)
    seconds = 0.0
    begun = time.perf_counter()
    try:
        seconds = _make(core, batch, perform, results, lanes)
    except BaseException as error:
        if batch.inline and not isinstance(error, Exception):
            _fill(results, [ProvingCancelled() for _ in results])
            raise
        _fill(results, [_as_failure(flight, error) for flight in batch.flights])
    finally:
        perform(core.finish(batch, cast("list[Result]", results), seconds=seconds, wall=time.perf_counter() - begun))


def _fill(results: list[Result | None], others: Sequence[Result]) -> None:
    for i, other in enumerate(others):
        if results[i] is None:
            results[i] = other


def _make(core: Core, batch: Batch, perform: Perform, results: list[Result | None], lanes: int) -> float:
    """Fills in the results; gives the seconds of the C call."""
    requests = [cast("Request | VerifyRequest", flight.request) for flight in batch.flights]
    if not all(request.batched for request in requests):
        return _make_plainly(core, batch, perform, requests, results)
    traced_seconds = 0.0

    def traced(seconds: float) -> None:
        nonlocal traced_seconds
        traced_seconds = seconds
        perform(core.traced(batch, seconds))

    prepared: list[PreparedProof | None] = [None] * len(requests)
    for i, (flight, request) in enumerate(zip(batch.flights, requests, strict=True)):
        try:
            prepared[i] = cast(Request, request).prepare(flight.control, traced)
        except BaseException as error:
            if batch.inline and not isinstance(error, Exception):
                raise
            results[i] = _as_failure(flight, error)
    wanted = core.begin(batch)
    _fill(results, [cast(Any, None) if want else ProvingCancelled() for want in wanted])
    chosen = [i for i, job in enumerate(prepared) if job is not None and results[i] is None]
    if not chosen:
        return 0.0
    team = Team(min(lanes, LANES)) if batch.split and lanes > 1 else None
    try:
        if team is not None:
            perform(core.offer_help(batch, team))
        begun = time.perf_counter()
        made = prove_prepared([cast(PreparedProof, prepared[i]) for i in chosen], team=team)
        seconds = time.perf_counter() - begun
    finally:
        if team is not None:
            team.close()
    for i, result in zip(chosen, made, strict=True):
        results[i] = _as_failure(batch.flights[i], result) if isinstance(result, Exception) else result
    return max(0.0, seconds - traced_seconds)


def _make_plainly(
    core: Core,
    batch: Batch,
    perform: Perform,
    requests: Sequence[Request | VerifyRequest],
    results: list[Result | None],
) -> float:
    """What is not one C call, one after the other; all of its time is learned as Python's."""
    wanted = core.begin(batch)
    for i, (flight, request) in enumerate(zip(batch.flights, requests, strict=True)):
        if not wanted[i]:
            results[i] = ProvingCancelled()
            continue
        begun = time.perf_counter()
        try:
            results[i] = cast(Proof, request.make(flight.control))
        except BaseException as error:  # noqa: BLE001 - it is this flight's result
            results[i] = _as_failure(flight, error)
        if len(requests) == 1:
            perform(core.traced(batch, time.perf_counter() - begun))
    return 0.0
