"""Many jobs through a bounded window, with the results in order and no failure stopping the others."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from typing import TypeVar

import anyio

from ..backends import Control
from ..errors import BatchError
from .workers import require_plain_thread, run, submit, usable_cores

__all__ = ["gather", "gather_sync", "settle"]

A = TypeVar("A")
T = TypeVar("T")

Job = Callable[[Control], T]


def window() -> int:
    """How many jobs of one batch are under way at a time: one for each worker to do, and one for it to do next."""
    return 2 * usable_cores()


async def gather(items: Iterable[A], make: Callable[[A], Job[T]]) -> list[T | Exception]:
    """Runs ``make(item)`` on a worker for each item.

    If this is cancelled, so is every job under way; all workers are free again when it returns.

    Raises:
        Whatever iterating over `items` raises, after the jobs under way were cancelled.
    """
    results: list[T | Exception | None] = []
    iterator = iter(items)
    broken: list[Exception] = []

    async def feed(scope: anyio.CancelScope) -> None:
        while True:
            try:
                item = next(iterator)
            except StopIteration:
                return
            except Exception as error:  # noqa: BLE001 - raised below, outside the task group
                broken.append(error)
                scope.cancel()
                return
            index = len(results)
            results.append(None)
            try:
                results[index] = await run(make(item), Control())
            except Exception as error:  # noqa: BLE001 - it is this item's result
                results[index] = error

    await anyio.lowlevel.checkpoint_if_cancelled()
    async with anyio.create_task_group() as group:
        for _ in range(window()):
            group.start_soon(feed, group.cancel_scope)
    if broken:
        raise broken[0]
    return [result for result in results if result is not None]


def gather_sync(items: Iterable[A], make: Callable[[A], Job[T]]) -> list[T | Exception]:
    """Like `gather`, blocking this thread; KeyboardInterrupt cancels the jobs under way."""
    require_plain_thread()
    results: list[T | Exception] = []
    under_way: deque[tuple[Control, Future[T]] | Exception] = deque()

    def take() -> None:
        head = under_way.popleft()
        if isinstance(head, Exception):
            results.append(head)
            return
        error = head[1].exception()
        if error is not None and not isinstance(error, Exception):
            raise error
        results.append(head[1].result() if error is None else error)

    try:
        for item in items:
            if len(under_way) >= window():
                take()
            control = Control()
            try:
                under_way.append((control, submit(make(item), control)))
            except Exception as error:  # noqa: BLE001 - it is this item's result
                under_way.append(error)
        while under_way:
            take()
    except BaseException:
        rest = [entry for entry in under_way if not isinstance(entry, Exception)]
        for control, _ in rest:
            control.cancel()
        wait([future for _, future in rest if not future.cancel()])
        raise
    return results


def settle(results: list[T | Exception], return_exceptions: bool) -> list[T | Exception]:
    """The results, or BatchError if there is a failure among them that is not wanted as a result."""
    failures = [result for result in results if isinstance(result, Exception)]
    if failures and not return_exceptions:
        raise BatchError(f"{len(failures)} of {len(results)} requests failed", failures, results)
    return results
