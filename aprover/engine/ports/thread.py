"""The port of a plain thread, which blocks while it waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..messages import Outcome
from .base import Port, Waiter

if TYPE_CHECKING:
    from ..life import EngineLife

__all__ = ["ThreadPort"]


class ThreadPort(Port):
    """See the module's docstring. Answers are handed over by whoever has them, since there is no loop to wake."""

    __slots__ = ("_wanted",)

    def __init__(self, engine: EngineLife) -> None:
        super().__init__(engine)
        self._wanted = False

    def deliver(self, answers: Sequence[tuple[Waiter, Outcome]]) -> None:
        """See `Port.deliver`."""
        for waiter, outcome in answers:
            assert waiter.resolve is not None
            waiter.resolve(outcome)

    def schedule(self) -> None:
        """See `Port.schedule`."""
        self._wanted = True

    def stop(self) -> None:
        """See `Port.stop`."""

    def flush(self) -> None:
        """Releases what this thread has submitted; to be called before it waits."""
        while self._wanted:
            self._wanted = False
            self.tick += 1
            with self.held:
                if self.engine.dispatch(self, self.tick):
                    self._wanted = True

    def now(self) -> float:
        """The clock of deadlines."""
        return time.monotonic()


class Mailbox:
    """Where one blocking call gets its answer."""

    __slots__ = ("_lock", "outcome")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()
        self.outcome: Outcome | None = None

    def put(self, outcome: Outcome) -> None:
        """Once, from any thread."""
        self.outcome = outcome
        self._lock.release()

    def get(self, timeout: float = -1) -> Outcome | None:
        """Waits; a signal handler's exception ends the wait. None if the time is up."""
        return self.outcome if self._lock.acquire(timeout=timeout) else None
