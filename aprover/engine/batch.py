"""Many requests through a bounded window: fed as earlier ones are answered, and no failure stops the others."""

from __future__ import annotations

import enum
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar, cast

import anyio
import attrs

from ..errors import AproverError, BatchError, EngineOverloaded
from .aggregates import AnyRequest
from .messages import Outcome
from .outcomes import answer_of, own_error
from .ports import Port, Waiter

if TYPE_CHECKING:
    from .asking import Asking
    from .ports.base import LoopPort
    from .ports.thread import ThreadPort

__all__ = ["AsCompleted", "Completed", "Options", "Window", "gather", "gather_sync", "settle"]

T = TypeVar("T")

WINDOW = 256
"""Requests of one batch under way at a time; enough for several full C calls, and bounded in memory."""
BUDGET_SECONDS = 500e-6
"""How long the loop is held before the others have their turn."""

FOREVER = float("inf")


@attrs.frozen
class Options:
    """How requests of a batch are asked for. `deadline` is the explicit one, on the engine's clock."""

    priority: int = 0
    deadline: float = FOREVER
    cache: bool = True


class Fed(enum.Enum):
    """Why `Window.feed` stopped."""

    FULL = "full"
    CROWDED = "crowded"
    """The engine has no room for more, but something of this batch is under way."""
    BUDGET = "budget"
    LATE = "late"
    EXHAUSTED = "exhausted"


class Signal(Protocol):
    """An event of the caller's kind."""

    def set(self) -> object:
        """Wakes the caller."""


class Window(Generic[T]):
    """The requests of one batch.

    Args:
        items: Consumed as there is room.
        make: Turns an item into a request; what it raises is the item's own failure.
        keep: Whether to keep the results in order, in `results`; else their order of completion, in `fresh`.
        sync: Whether the caller is a plain thread.
    """

    def __init__(
        self,
        engine: Asking,
        port: Port,
        items: Iterable[Any],
        make: Callable[[Any], AnyRequest],
        options: Options,
        *,
        keep: bool,
        sync: bool = False,
    ) -> None:
        self._engine = engine
        self._port = port
        self._items = iter(items)
        self._make = make
        self._options = options
        self._keep = keep
        self._sync = sync
        self._size = max(1, min(WINDOW, engine.max_pending))
        self._held: list[tuple[int, AnyRequest]] = []
        """Requests that were turned away for now."""
        self._count = 0
        self._low = -1
        self._signal: Signal = threading.Event()
        self.under_way: dict[int, Waiter] = {}
        self.results: list[T | Exception] = []
        self.fresh: deque[tuple[int, T | Exception]] = deque()

    # Answers

    def _put(self, index: int, result: T | Exception) -> None:
        if self._keep:
            self.results[index] = result
        else:
            self.fresh.append((index, result))

    def _answered(self, index: int, request: AnyRequest, outcome: Outcome) -> None:
        if self.under_way.pop(index, None) is None:
            return
        try:
            self._put(index, cast(T, answer_of(outcome)))
        except AproverError as error:
            if self._engine.is_implicitly_late(outcome, self._options.deadline):
                self._held.append((index, request))
            else:
                self._put(index, error)
        if len(self.under_way) <= self._low:
            self._signal.set()

    def prepare_wait(self, low: int, signal: Signal) -> bool:
        """Sets the signal when no more than `low` requests are under way. False if that is so already."""
        self._low = low
        self._signal = signal
        return len(self.under_way) > low

    def low_water(self, fed: Fed) -> int:
        """When to feed again, for a caller who wants all results: at so many under way, or fewer."""
        if fed is Fed.CROWDED:
            return len(self.under_way) - 1
        return 0 if fed is Fed.EXHAUSTED else self._size // 2

    # Requests

    def feed(self) -> Fed:
        """Asks for proofs until the window is full, the loop was held long enough, or there are no more items.

        Raises:
            Whatever iterating over the items raises.
        """
        begun = time.perf_counter()
        while len(self.under_way) < self._size:
            if self._held:
                index, request = self._held.pop(0)
            else:
                try:
                    item = next(self._items)
                except StopIteration:
                    return Fed.EXHAUSTED
                index = self._count
                self._count += 1
                if self._keep:
                    self.results.append(cast(T, None))
                try:
                    request = self._make(item)
                except Exception as error:  # noqa: BLE001 - it is this item's result
                    self._put(index, error)
                    continue
            stopped = self._ask(index, request)
            if stopped is not None:
                return stopped
            if not self._sync and time.perf_counter() - begun > BUDGET_SECONDS:
                return Fed.BUDGET
        return Fed.FULL

    def _ask(self, index: int, request: AnyRequest) -> Fed | None:
        def resolve(outcome: Outcome) -> None:
            self._answered(index, request, outcome)

        waiter = Waiter(self._port, resolve)
        options = self._options
        self.under_way[index] = waiter
        try:
            with self._port.held:
                now = self._engine.ask(
                    request, waiter, priority=options.priority, deadline=options.deadline, cache=options.cache
                )
        except EngineOverloaded as error:
            self.under_way.pop(index)
            if self.under_way:
                self._held.insert(0, (index, request))
                return Fed.CROWDED
            self._put(index, error)
            return None
        except Exception as error:  # noqa: BLE001 - it is this item's result
            self.under_way.pop(index)
            self._put(index, error if isinstance(error, AproverError) else own_error(request.failure(error)))
            return None
        if now is None:
            return None
        if self._engine.is_implicitly_late(now, options.deadline):
            self.under_way.pop(index)
            self._held.insert(0, (index, request))
            return Fed.LATE
        self._answered(index, request, now)
        return None

    def leave_all(self) -> None:
        """All that is under way is wanted no more."""
        with self._port.held:
            for waiter in list(self.under_way.values()):
                self._engine.leave(waiter)
        self.under_way.clear()
        self._held.clear()


async def _let_others(port: LoopPort, fed: Fed) -> None:
    if fed is Fed.LATE:
        await port.until_scope_deadline()
    await port.pause()


async def gather(window: Window[T], port: LoopPort) -> list[T | Exception]:
    """All results, in order. If cancelled, or if the items cannot be had, what is under way is left."""
    paused = False
    try:
        await port.check_cancelled()
        while True:
            fed = window.feed()
            if fed in (Fed.BUDGET, Fed.LATE):
                paused = True
                await _let_others(port, fed)
                continue
            signal = anyio.Event()
            if window.prepare_wait(window.low_water(fed), signal):
                paused = True
                await signal.wait()
            elif fed is Fed.EXHAUSTED and not window._held:
                break
        if not paused:
            await port.pause()
    except BaseException:
        window.leave_all()
        raise
    return window.results


def gather_sync(window: Window[T], port: ThreadPort) -> list[T | Exception]:
    """Like `gather`, blocking this thread."""
    try:
        while True:
            fed = window.feed()
            port.flush()
            signal = threading.Event()
            if window.prepare_wait(window.low_water(fed), signal):
                signal.wait()
            elif fed is Fed.EXHAUSTED and not window._held:
                break
    except BaseException:
        window.leave_all()
        raise
    return window.results


def settle(results: list[T | Exception], return_exceptions: bool) -> list[T | Exception]:
    """The results, or BatchError if there is a failure among them that is not wanted as a result."""
    failures = [result for result in results if isinstance(result, Exception)]
    if failures and not return_exceptions:
        raise BatchError(f"{len(failures)} of {len(results)} requests failed", failures, results)
    return results


@attrs.frozen
class Completed(Generic[T]):
    """One finished request of `prove_as_completed`.

    Attributes:
        index: Its place among the programs, from 0.
    """

    index: int
    _result: T | Exception

    def unwrap(self) -> T:
        """The proof.

        Raises:
            AproverError: What went wrong.
        """
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


class AsCompleted(Generic[T]):
    """Iterates over finished requests in their order of completion. One task at a time."""

    def __init__(self, window: Window[T], port: LoopPort) -> None:
        self._window = window
        self._port = port
        self._last_pause = time.perf_counter()

    def __aiter__(self) -> AsyncIterator[Completed[T]]:
        return self

    async def __anext__(self) -> Completed[T]:
        window, port = self._window, self._port
        await port.check_cancelled()
        while True:
            if time.perf_counter() - self._last_pause > BUDGET_SECONDS:
                await port.pause()
                self._last_pause = time.perf_counter()
            fed = window.feed()
            if window.fresh:
                index, result = window.fresh.popleft()
                return Completed(index, result)
            if fed in (Fed.BUDGET, Fed.LATE):
                await _let_others(port, fed)
                continue
            if fed is Fed.EXHAUSTED and not window.under_way and not window._held:
                raise StopAsyncIteration
            signal = anyio.Event()
            if window.prepare_wait(len(window.under_way) - 1, signal):
                await signal.wait()
                self._last_pause = time.perf_counter()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._window.leave_all()
