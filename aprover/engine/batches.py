"""The methods of `Engine` that are about many requests. What they promise is told in `proving`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, Literal, cast, overload

from ..aggregate import AggregateProof
from ..air import Program
from ..backends import Prefer, check_memory_limit, check_security
from ..proof import BackendName, Proof
from ..statement import Statement
from .aggregates import AggregateRequest, AnyRequest, check_aggregate
from .asking import Asking
from .batch import AsCompleted, Options, Window, gather, gather_sync, settle
from .ports.base import LoopPort
from .ports.thread import ThreadPort
from .request import OwnPrograms, Request, VerifyRequest, check_options, check_settings

__all__ = ["Batching"]

Make = Callable[[Any], AnyRequest]


class Batching(Asking):
    """A part of `Engine`: many proofs."""

    def _window(
        self,
        port: LoopPort | ThreadPort,
        items: Iterable[Any],
        make: Make,
        priority: int,
        deadline: float | None,
        cache: bool,
        *,
        keep: bool = True,
    ) -> Window[Any]:
        options = Options(priority, self.limit(deadline, port), cache)
        return Window(self, port, items, make, options, keep=keep, sync=isinstance(port, ThreadPort))

    @overload
    async def prove_batch(
        self,
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
        self,
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
        self,
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
        self,
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
        self,
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
        """As `aprover.prove_batch`, on this engine."""
        if memory_limit is None:
            memory_limit = self.memory_limit
        make = _proofs(security, backend, prefer, zk, check, priority, deadline, cache, memory_limit)
        check_aggregate(aggregate, backend, return_exceptions)
        port = self.port()
        if aggregate:
            request = AggregateRequest(programs, security, prefer, check, zk, memory_limit)
            return _only(await gather(self._window(port, [request], _itself, priority, deadline, cache), port))
        return settle(
            await gather(self._window(port, programs, make, priority, deadline, cache), port), return_exceptions
        )

    @overload
    def prove_batch_sync(
        self,
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
        self,
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
        self,
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
        self,
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
        self,
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
        """As `aprover.prove_batch_sync`, on this engine."""
        if memory_limit is None:
            memory_limit = self.memory_limit
        make = _proofs(security, backend, prefer, zk, check, priority, deadline, cache, memory_limit)
        check_aggregate(aggregate, backend, return_exceptions)
        with self.thread_port() as port:
            if aggregate:
                request = AggregateRequest(programs, security, prefer, check, zk, memory_limit)
                return _only(gather_sync(self._window(port, [request], _itself, priority, deadline, cache), port))
            return settle(
                gather_sync(self._window(port, programs, make, priority, deadline, cache), port), return_exceptions
            )

    @contextlib.asynccontextmanager
    async def prove_as_completed(
        self,
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
    ) -> AsyncIterator[AsCompleted[Proof]]:
        """As `aprover.prove_as_completed`, on this engine."""
        if memory_limit is None:
            memory_limit = self.memory_limit
        make = _proofs(security, backend, prefer, zk, check, priority, deadline, cache, memory_limit)
        port = self.port()
        await port.check_cancelled()
        window: Window[Proof] = self._window(port, programs, make, priority, deadline, cache, keep=False)
        try:
            yield AsCompleted(window, port)
        finally:
            window.leave_all()

    @overload
    async def verify_batch(
        self,
        proofs: Iterable[Proof | bytes],
        *,
        min_security: int = ...,
        program: OwnPrograms = ...,
        return_exceptions: Literal[False] = ...,
    ) -> list[Statement]: ...

    @overload
    async def verify_batch(
        self,
        proofs: Iterable[Proof | bytes],
        *,
        min_security: int = ...,
        program: OwnPrograms = ...,
        return_exceptions: bool,
    ) -> list[Statement | Exception]: ...

    @overload
    async def verify_batch(
        self,
        proofs: Iterable[AggregateProof],
        *,
        min_security: int = ...,
        program: OwnPrograms = ...,
        return_exceptions: Literal[False] = ...,
    ) -> list[tuple[Statement, ...]]: ...

    @overload
    async def verify_batch(
        self,
        proofs: Iterable[Proof | AggregateProof | bytes],
        *,
        min_security: int = ...,
        program: OwnPrograms = ...,
        return_exceptions: bool = ...,
    ) -> Sequence[Statement | tuple[Statement, ...] | Exception]: ...

    async def verify_batch(
        self,
        proofs: Iterable[Proof | AggregateProof | bytes],
        *,
        min_security: int = 100,
        program: OwnPrograms = None,
        return_exceptions: bool = False,
    ) -> Sequence[Statement | tuple[Statement, ...] | Exception]:
        """As `aprover.verify_batch`, on this engine."""
        make = _verifications(min_security, program)
        port = self.port()
        return settle(await gather(self._window(port, proofs, make, 0, None, False), port), return_exceptions)

    @overload
    def verify_batch_sync(
        self,
        proofs: Iterable[Proof | bytes],
        *,
        min_security: int = ...,
        program: OwnPrograms = ...,
        return_exceptions: Literal[False] = ...,
    ) -> list[Statement]: ...

    @overload
    def verify_batch_sync(
        self,
        proofs: Iterable[Proof | bytes],
        *,
        min_security: int = ...,
        program: OwnPrograms = ...,
        return_exceptions: bool,
    ) -> list[Statement | Exception]: ...

    @overload
    def verify_batch_sync(
        self,
        proofs: Iterable[AggregateProof],
        *,
        min_security: int = ...,
        program: OwnPrograms = ...,
        return_exceptions: Literal[False] = ...,
    ) -> list[tuple[Statement, ...]]: ...

    @overload
    def verify_batch_sync(
        self,
        proofs: Iterable[Proof | AggregateProof | bytes],
        *,
        min_security: int = ...,
        program: OwnPrograms = ...,
        return_exceptions: bool = ...,
    ) -> Sequence[Statement | tuple[Statement, ...] | Exception]: ...

    def verify_batch_sync(
        self,
        proofs: Iterable[Proof | AggregateProof | bytes],
        *,
        min_security: int = 100,
        program: OwnPrograms = None,
        return_exceptions: bool = False,
    ) -> Sequence[Statement | tuple[Statement, ...] | Exception]:
        """As `aprover.verify_batch_sync`, on this engine."""
        make = _verifications(min_security, program)
        with self.thread_port() as port:
            return settle(gather_sync(self._window(port, proofs, make, 0, None, False), port), return_exceptions)


def _proofs(
    security: int,
    backend: BackendName,
    prefer: Prefer,
    zk: bool,
    check: bool,
    priority: int,
    deadline: float | None,
    cache: bool,
    memory_limit: int | None,
) -> Make:
    # Once, and not as so many failures.
    check_settings(security=security, backend=backend, prefer=prefer, check=check, zk=zk)
    check_options(priority, deadline, cache)
    check_memory_limit(memory_limit)
    return lambda program: Request(program, security, backend, prefer, check, zk, memory_limit)


def _itself(request: AggregateRequest) -> AggregateRequest:
    return request


def _only(results: list[Any]) -> AggregateProof:
    (result,) = results
    if isinstance(result, Exception):
        raise result
    return cast(AggregateProof, result)


def _verifications(min_security: int, program: OwnPrograms) -> Make:
    check_security(min_security, "min_security")
    return lambda proof: VerifyRequest(proof, min_security, program)
