"""What the benchmarks of the engine have in common: figures with targets, interleaved arms, medians."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import random
import statistics
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

import attrs

import aprover
from aprover import Fibonacci, Proof
from aprover.backends import Control, prove_prepared
from aprover.engine.request import Request

__all__ = [
    "CAN_BE_APART",
    "Figure",
    "cores_apart",
    "fresh",
    "interleaved",
    "interleaved_async",
    "make",
    "median",
    "program_of_rows",
    "quantile",
    "request_of",
    "scaling",
]

_numbers = itertools.count(1)


@attrs.frozen
class Figure:
    """One line of the table.

    Attributes:
        name: What was measured.
        value: How much.
        unit: Of what.
        target: The most that it may be, or the least, or None for what only explains others.
        at_least: Whether the target is the least.
        note: What else a reader should know.
    """

    name: str
    value: float
    unit: str = ""
    target: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None if there is none."""
        if self.target is None or math.isnan(self.value):
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


def median(values: Sequence[float]) -> float:
    """The median; NaN of nothing."""
    return statistics.median(values) if values else math.nan


def quantile(values: Sequence[float], share: float) -> float:
    """By nearest rank; NaN of nothing."""
    if not values:
        return math.nan
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def interleaved(arms: Mapping[str, Callable[[], float]], rounds: int, seed: int = 1) -> dict[str, list[float]]:
    """Runs all arms in each round, in random order: what disturbs the machine disturbs all of them."""
    rng = random.Random(seed)
    times: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name in rng.sample(list(arms), len(arms)):
            times[name].append(arms[name]())
    return times


async def interleaved_async(
    arms: Mapping[str, Callable[[], Awaitable[float]]], rounds: int, seed: int = 1
) -> dict[str, list[float]]:
    """As `interleaved`, for arms that wait."""
    rng = random.Random(seed)
    times: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name in rng.sample(list(arms), len(arms)):
            times[name].append(await arms[name]())
    return times


def fresh(n: int) -> Fibonacci:
    """Fibonacci(n) as nobody has asked for it before: of the same shape and cost, with other inputs."""
    return Fibonacci(n, a=next(_numbers))


def program_of_rows(rows: int) -> Fibonacci:
    """A fresh program of so many rows, a power of two."""
    return fresh(rows - 1)


CAN_BE_APART = sys.platform == "linux" and len(os.sched_getaffinity(0)) > 1
"""Whether there are two cores, and a system that lets threads be kept on them."""


@contextlib.contextmanager
def cores_apart() -> Iterator[None]:
    """Inside, this thread has one core, and all others that the process has by now share another.

    Raises:
        OSError: It has one core only, or is not on Linux; see `CAN_BE_APART`.
    """
    if sys.platform != "linux" or not CAN_BE_APART:
        raise OSError("no two cores between which threads can be kept apart")
    here, there = sorted(os.sched_getaffinity(0))[:2]
    own = threading.get_native_id()
    before = {number: os.sched_getaffinity(number) for number in map(int, os.listdir("/proc/self/task"))}
    try:
        for number in before:
            os.sched_setaffinity(number, {here if number == own else there})
        yield
    finally:
        for number, cores in before.items():
            with contextlib.suppress(ProcessLookupError):  # it has ended
                os.sched_setaffinity(number, cores)


def request_of(program: aprover.Program) -> Request:
    """With the usual settings."""
    return Request(program, 100, "stark", "time", False)


def make(program: aprover.Program) -> Proof:
    """The proof, on this thread, without an engine: prepared, then one C call."""
    (result,) = prove_prepared([request_of(program).prepare(Control())])
    if isinstance(result, Exception):
        raise result
    return result


def scaling(rows: int = 4096, each: int = 10, rounds: int = 5) -> float:
    """What two threads get done together in C, relative to one, now. Any gain by threads has to be compared with it."""

    def work() -> None:
        for _ in range(each):
            make(program_of_rows(rows))

    def alone() -> float:
        begun = time.perf_counter()
        work()
        work()
        return time.perf_counter() - begun

    def together() -> float:
        threads = [threading.Thread(target=work) for _ in range(2)]
        begun = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - begun

    times = interleaved({"alone": alone, "together": together}, rounds)
    return median([a / b for a, b in zip(times["alone"], times["together"], strict=True)])
