"""Worker threads: each pulls one batch at a time, stays in C while it makes it, and answers straight to the waiting
loops.

A worker sleeps on a lock of its own. The core names each idle worker once in `Effects.wake`, so the lock is released
once for each time that the worker lies down, whichever of the two comes first.
"""

from __future__ import annotations

import contextvars
import os
import sys
import threading
from collections.abc import Callable
from typing import cast

from ..backends import give_back
from .core import Core
from .making import Perform, make_batch
from .messages import STOP, Batch, Effects, Help
from .ports.base import Port

__all__ = ["WorkerThread", "on_worker", "usable_cores"]

IDLE_SECONDS = 10.0
"""After which an idle worker gives the memory of large proofs back."""

_local = threading.local()


def usable_cores() -> int:
    """The cores that this process may use."""
    if sys.platform == "linux":
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def on_worker() -> bool:
    """Whether this thread is a worker, where user code such as trace() runs."""
    return getattr(_local, "worker", False)


class WorkerThread:
    """One worker. Hashed and compared by identity.

    Args:
        perform: Performs the core's effects.
        ended: Called at the very end of the thread, with what it died of, if it did not end in peace.
        lanes: How many threads may work on a split proof together.
    """

    def __init__(
        self,
        core: Core,
        perform: Perform,
        ended: Callable[[BaseException | None], object],
        *,
        lanes: int,
        number: int,
    ) -> None:
        self._core = core
        self._perform = perform
        self._ended = ended
        self._lanes = lanes
        self.first: Callable[[], object] | None = None
        """What the thread does before it pulls for the first time."""
        self._bed = threading.Lock()
        self._bed.acquire()
        # A daemon, because the interpreter waits for other threads before it runs exit handlers.
        self.thread = threading.Thread(target=self._run, name=f"aprover worker {number}", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self.thread.start()

    def join(self, timeout: float | None = None) -> bool:
        """Waits for the end of the thread. False if it is still alive after `timeout` seconds."""
        self.thread.join(timeout)
        return not self.thread.is_alive()

    def wake(self) -> None:
        """Has the worker pull again; once for each time that the core said that it is idle."""
        self._bed.release()

    def _run(self) -> None:
        _local.worker = True
        died: BaseException | None = None
        try:
            if self.first is not None:
                self.first()
            self._work_on()
        except BaseException as error:  # noqa: BLE001 - a user's code raises nothing here, so it is a bug
            died = error
        self._ended(died)

    def _work_on(self) -> None:
        """Until the core says stop."""
        core, perform = self._core, self._perform
        while True:
            task, effects = core.pull(self)
            perform(effects)
            if task is None:
                self._lie_down()
            elif task is STOP:
                return
            elif isinstance(task, Help):
                task.team.help(task.leave)  # type: ignore[attr-defined] # opaque to the core
            else:
                self._work(task)

    def _lie_down(self) -> None:
        if not self._bed.acquire(timeout=IDLE_SECONDS):
            give_back()
            self._bed.acquire()

    def _hand_out(self, effects: Effects) -> None:
        """Performs effects; and if a loop has not heard of earlier answers when there are more, lets it run first.

        For it waits for the interpreter, which workers that go from batch to batch hand to each other for milliseconds.
        """
        behind = [port for port in effects.deliver if cast(Port, port).is_behind]
        self._perform(effects)
        for port in behind:
            cast(Port, port).let_run()

    def _work(self, batch: Batch) -> None:
        if batch.flights[0].work.native:
            make_batch(self._core, batch, self._hand_out, lanes=self._lanes)
        else:
            # A user's code: in an empty context, and a new one each time, so that nothing it sets stays.
            contextvars.Context().run(make_batch, self._core, batch, self._hand_out, lanes=self._lanes)
