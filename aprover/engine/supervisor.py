"""The supervisor: one Trio task that keeps the timers of an engine and outlives its workers.

It runs in the nursery of `open_engine` under Trio, or in a Trio run in a thread of its own: for asyncio, for plain
threads and for the default engine. Work and answers never pass through it.
"""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from .life import EngineLife

__all__ = ["Supervisor", "supervise_in_thread"]

SWEEP_SECONDS = 1.0
"""How often loops that were closed without a word are looked for, while there are any that could be."""


class Supervisor:
    """See the module's docstring."""

    def __init__(self, engine: EngineLife) -> None:
        self._engine = engine
        self._token: trio.lowlevel.TrioToken | None = None
        self._changed = trio.Event()
        self._timer = math.inf
        self._lock = threading.Lock()

    # Any thread

    def set_timer(self, when: float) -> None:
        """`Core.expire` is to be called at `when`, on the engine's clock, or earlier."""
        with self._lock:
            if when >= self._timer:
                return
            self._timer = when
        self.stir()

    def stir(self) -> None:
        """Has the supervisor look again at what there is to do."""
        token = self._token
        if token is not None:
            with contextlib.suppress(trio.RunFinishedError):
                token.run_sync_soon(self._change, idempotent=True)

    # The supervisor's own loop

    def _change(self) -> None:
        self._changed.set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until the engine is closed and its last worker has ended."""
        engine = self._engine
        self._token = trio.lowlevel.current_trio_token()
        task_status.started()
        while not engine.has_ended:
            pause = self._timer - engine.clock()
            if engine.must_sweep:
                pause = min(pause, SWEEP_SECONDS)
            with trio.move_on_after(max(0.0, pause)):
                await self._changed.wait()
            if self._changed.is_set():
                self._changed = trio.Event()
            engine.sweep()
            if engine.clock() >= self._timer:
                with self._lock:
                    self._timer = math.inf
                engine.expire()


def supervise_in_thread(supervisor: Supervisor, name: str, ended: Callable[[], object]) -> threading.Thread:
    """Runs the supervisor in a Trio run of its own, and returns its thread once it runs."""
    ready = threading.Event()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(supervisor.run)
            ready.set()

    def run() -> None:
        try:
            trio.run(main)
        finally:
            ready.set()
            ended()

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    ready.wait()
    return thread
