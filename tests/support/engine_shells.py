"""Workers that a test runs by hand, programs that do what a test wants, and tests on every kind of event loop."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, ClassVar

import numpy as np
import pytest
import uvloop
from numpy.typing import NDArray

import aprover
from aprover.backends import ProvingCancelled
from aprover.engine.engine import Engine
from aprover.engine.making import make_batch
from aprover.engine.messages import STOP, Batch, Help
from aprover.engine.opening import opened
from aprover.engine.workers import WorkerThread

LOOPS = ["trio", "asyncio", "uvloop"]

TIMEOUT = 20.0
"""Seconds after which what a test waits for will not come any more."""

TAGS = itertools.count(1)


def run_on(kind: str, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
    """Runs the function in a new event loop of this kind, on this thread."""
    if kind == "trio":
        import trio

        return trio.run(function, *args)
    factory = uvloop.new_event_loop if kind == "uvloop" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(function(*args))


def on_all_loops(test: Callable[..., Coroutine[Any, Any, None]]) -> Any:
    """The test as a plain function, once on each kind of event loop."""

    @pytest.mark.parametrize("loop", LOOPS)
    def each(self: object, loop: str) -> None:
        run_on(loop, test, self)

    each.__doc__ = test.__doc__
    return each


class HandWorker(WorkerThread):
    """A worker without a thread. It pulls at once, as a real one does, and then holds its batch for the test."""

    all: ClassVar[list[HandWorker]] = []

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.batch: Batch | None = None
        self.help: Help | None = None
        self.stopped = False
        HandWorker.all.append(self)

    def start(self) -> None:
        self._pull()

    def join(self, timeout: float | None = None) -> bool:  # noqa: ARG002
        return self.stopped

    def wake(self) -> None:
        self._pull()

    def _pull(self) -> None:
        task, effects = self._core.pull(self)
        self._perform(effects)
        if task is STOP:
            self.stopped = True
            self._ended(None)
        elif isinstance(task, Batch):
            self.batch = task
        elif isinstance(task, Help):
            self.help = task

    @property
    def programs(self) -> list[Any]:
        """What it is at work on."""
        return [] if self.batch is None else [flight.request.program for flight in self.batch.flights]  # type: ignore[attr-defined]

    @property
    def asked_to_stop(self) -> bool:
        """Whether nobody wants any of the batch any more."""
        assert self.batch is not None
        return all(flight.control.cancel_flag[0] for flight in self.batch.flights)

    def finish(self) -> None:
        """Makes the batch, and pulls again."""
        batch, self.batch = self.batch, None
        assert batch is not None
        make_batch(self._core, batch, self._hand_out)
        self._pull()

    def give_up(self) -> None:
        """Ends the batch as C does when it sees the flags, and pulls again."""
        batch, self.batch = self.batch, None
        assert batch is not None
        self._core.begin(batch)
        self._perform(self._core.finish(batch, [ProvingCancelled() for _ in batch.flights], seconds=0.0))
        self._pull()


@contextlib.asynccontextmanager
async def hand_engine(
    workers: int = 1, on_exit: Any = "cancel", **settings: Any
) -> AsyncIterator[tuple[Engine, list[HandWorker]]]:
    """An engine with workers that are run by hand; all work goes to them.

    What they hold at the end is given up, unless leaving waits for it.
    """
    HandWorker.all = []
    engine = Engine(workers=workers, policy=aprover.AlwaysOffload(), worker_class=HandWorker, **settings)
    hands = list(HandWorker.all)
    async with opened(engine, on_exit=on_exit):
        try:
            yield engine, hands
        finally:
            if on_exit == "cancel":
                engine.close("cancel")
                for hand in hands:
                    while hand.batch is not None:
                        hand.give_up()


class Odd(aprover.Program):
    """A program whose methods do what a test wants. Its trace is made in Python."""

    n: int = 8
    tag: int = aprover.private(default=0)
    """Makes it another program than any before, so that no earlier proof serves."""
    in_air: ClassVar[Callable[[], object]] = staticmethod(lambda: None)
    in_trace: ClassVar[Callable[[], object]] = staticmethod(lambda: None)
    in_outputs: ClassVar[Callable[[], object]] = staticmethod(lambda: None)

    @classmethod
    def air(cls, b: aprover.AirBuilder, params: Any) -> None:
        cls.in_air()
        b.rows(params.n)
        x = b.column("x")
        b.assert_equal(x.next, x + 1, name="step")
        b.boundary(x, 0, 0)

    def trace(self, out: NDArray[np.uint32]) -> None:
        type(self).in_trace()
        out[:, 0] = np.arange(len(out))

    def public_outputs(self) -> tuple[int, ...]:
        type(self).in_outputs()
        return ()


MakeOdd = Callable[..., Odd]


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> MakeOdd:
    """Makes programs that were never proved before, with the given hooks for all of them."""

    def make(**hooks: Callable[[], object]) -> Odd:
        for name, hook in hooks.items():
            monkeypatch.setattr(Odd, name, staticmethod(hook))
        return Odd(tag=next(TAGS))

    return make


class Gate:
    """A place where a user's code stops until the test lets it go on."""

    def __init__(self) -> None:
        self.reached, self.opened, self.passed = threading.Event(), threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.reached.set()
        assert self.opened.wait(TIMEOUT)
        self.passed.set()


def fresh() -> aprover.Fibonacci:
    """A small program that was never proved before."""
    return aprover.Fibonacci(20, a=next(TAGS))
