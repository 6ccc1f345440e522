"""`open_engine`, the process's default engine, and which of them a call uses."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from typing import Any, Literal

import anyio

from ..backends import check_memory_limit
from ..errors import ProgramError
from ..telemetry import Trace
from .engine import Engine, Mode
from .policy import Policy
from .ports import running_loop

__all__ = ["current_engine", "open_engine", "opened"]

_open: ContextVar[Engine | None] = ContextVar("aprover_engine", default=None)

EXIT_SECONDS = 5.0
"""How long the interpreter's exit waits for an engine: C stops in milliseconds, a user's trace() may not."""

_running: weakref.WeakSet[Engine] = weakref.WeakSet()
"""Those that were opened, in their blocks."""
_default: Engine | None = None
_default_lock = threading.Lock()


def current_engine() -> Engine:
    """The engine that is open in this context, else the process's default engine.

    One that was closed, or opened before a fork, is not replaced by the default one: it raises EngineClosed when used.
    """
    engine = _open.get()
    if engine is None:
        engine = _default
        if engine is None or engine.failure is not None:
            engine = _make_default()
    return engine


def _make_default() -> Engine:
    global _default
    with _default_lock:
        if _default is None or _default.failure is not None:
            _default = Engine(calibrate=True)
            _supervise_in_thread(_default, lambda: None, at_once=False)
        return _default


@atexit.register
def _close_all() -> None:
    """Those whose blocks were never left too, as of a loop that nobody runs any more."""
    engines = [engine for engine in (_default, *_running) if engine is not None]
    for engine in engines:
        engine.close("cancel")
    until = time.monotonic() + EXIT_SECONDS
    for engine in engines:
        engine.join(max(0.0, until - time.monotonic()))


def _after_fork() -> None:
    global _default, _default_lock, _running
    # The threads did not come along, and the lock may have been held.
    _default, _default_lock, _running = None, threading.Lock(), weakref.WeakSet()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _supervise_in_thread(engine: Engine, ended: Callable[[], object], *, at_once: bool) -> None:
    """Gives the engine a supervisor in a Trio run of its own, started now or with the workers."""

    def start() -> None:
        from .supervisor import Supervisor, supervise_in_thread

        supervisor = Supervisor(engine)
        engine.supervised_by(supervisor.set_timer, supervisor.stir)
        engine.supervisor_thread = supervise_in_thread(supervisor, "aprover supervisor", ended)

    if at_once:
        start()
    else:
        engine.supervised_by(lambda _: None, lambda: None, start)


@contextlib.asynccontextmanager
async def open_engine(
    *,
    workers: int | None = None,
    policy: Policy | None = None,
    cache_bytes: int = 256 * 2**20,
    max_pending: int = 10_000,
    memory_limit: int | None = None,
    on_overload: Literal["wait", "raise"] = "wait",
    on_exit: Mode = "wait",
    finish_abandoned: bool = False,
    aggregate: Literal["off", "auto"] = "off",
    trace: Trace = None,
) -> AsyncIterator[Engine]:
    """An engine of one's own, for the tasks of this block: `aprover.prove` and its kin use it inside.

    Works under trio, where its supervisor runs in a nursery of this block, and under asyncio, where it has a thread.
    The engine may also be handed to other event loops and threads, as long as the block lasts.

    Cancellation: entering is a checkpoint under trio. Leaving the block normally with ``on_exit="wait"`` waits for
    all that is pending; if that is cancelled, or the block is left by an exception, or with ``on_exit="cancel"``,
    what is queued is dropped and what runs is stopped: within 10 milliseconds in C, but a user's own trace() cannot be
    stopped and is waited for, shielded. Whoever still waits for a proof gets EngineClosed. Nothing of the engine
    outlives the block: no thread, no task, no memory. A block that is never left, as on a loop that nobody runs any
    more, ends when its task is thrown away, or else with the process; then a trace() is waited for five seconds.

    Args:
        workers: Threads; by default as many as there are usable cores.
        policy: Where proofs are made; by default `AdaptivePolicy()`.
        cache_bytes: The most that finished proofs, kept for those who ask again, may take. 0 keeps none.
        max_pending: How many different proofs may be queued or running.
        memory_limit: Bytes that each proof may take while it is made, unless the request says another number; see
            `prove`. As many proofs as there are workers are made at a time.
        on_overload: Whether a request for one more waits, or gets EngineOverloaded.
        on_exit: Whether leaving the block waits for what is pending, or cancels it.
        finish_abandoned: Whether a proof that is being made when the last who waited for it is cancelled is finished
            for those who ask again later, unless all had said ``cache=False``. By default it is stopped.
        aggregate: With ``"auto"``, requests for programs with the same constraints that are made at the same time may
            share one proof, where that is predicted to be quicker: by far, for small ones. Each is answered by an
            `AggregateMember`, which carries the bytes of the whole: **whoever holds one sees the statements of all
            who shared it**. So this is for one's own requests, not for those of different users. Which requests share
            depends on what else is going on, and so do the bytes. In the cache each counts for its share of them.
        trace: Where the engine's log events go: by default to structlog, if that is configured; True: to structlog in
            any case; False: nowhere; or a structlog logger, or a function of a name and a dictionary.

    Raises:
        ProgramError: An argument is wrong.
        TypeError: `trace` is none of what it may be.
        RuntimeError: On a thread without an event loop. Also at the end of the block, if the engine broke down for a
            bug in it, which is the cause; whoever waited has had EngineClosed.
    """
    _check(workers, cache_bytes, max_pending, on_overload, on_exit)
    check_memory_limit(memory_limit)
    if type(finish_abandoned) is not bool:
        raise ProgramError(field="finish_abandoned", value=finish_abandoned, allowed="True or False")
    if aggregate not in ("off", "auto"):
        raise ProgramError(field="aggregate", value=aggregate, allowed="'off' or 'auto'")
    engine = Engine(
        workers=workers,
        policy=policy,
        cache_bytes=cache_bytes,
        max_pending=max_pending,
        memory_limit=memory_limit,
        on_overload=on_overload,
        finish_abandoned=finish_abandoned,
        aggregates=aggregate == "auto",
        trace=trace,
        calibrate=True,
    )
    async with opened(engine, on_exit=on_exit):
        yield engine


def _check(workers: object, cache_bytes: object, max_pending: object, on_overload: object, on_exit: object) -> None:
    def whole(field: str, value: object, least: int) -> None:
        if type(value) is not int or value < least:
            raise ProgramError(field=field, value=value, allowed=f"an int, at least {least}")

    if workers is not None:
        whole("workers", workers, 1)
    whole("cache_bytes", cache_bytes, 0)
    whole("max_pending", max_pending, 1)
    if on_overload not in ("wait", "raise"):
        raise ProgramError(field="on_overload", value=on_overload, allowed="'wait' or 'raise'")
    if on_exit not in ("wait", "cancel"):
        raise ProgramError(field="on_exit", value=on_exit, allowed="'wait' or 'cancel'")


@contextlib.asynccontextmanager
async def opened(engine: Engine, *, on_exit: Mode = "wait") -> AsyncIterator[Engine]:
    """Runs an engine that was made by hand for the length of a block; see `open_engine`."""
    kind = running_loop()
    if kind is None:
        raise RuntimeError("open_engine needs a trio or asyncio event loop; the synchronous calls need no engine")
    failure: BaseException | None = None
    async with _supervised(engine, kind) as ended:
        _running.add(engine)
        token = _open.set(engine)
        mode = on_exit
        try:
            yield engine
        except GeneratorExit:
            # The task is thrown away, as when an interrupt has ended its loop for good: nothing can be awaited.
            engine.close("cancel")
            if engine.join(EXIT_SECONDS):
                _running.discard(engine)
            engine.end_ports()
            raise
        except BaseException as error:  # noqa: BLE001 - raised again below, outside the nursery, which would wrap it
            failure, mode = error, "cancel"
        finally:
            # A generator-based fixture may end in another context than it began in.
            with contextlib.suppress(ValueError):
                _open.reset(token)
        engine.close(mode)
        if mode == "wait":
            try:
                await ended.wait()
            except BaseException as error:  # noqa: BLE001 - as above
                failure = error
                engine.close("cancel")
        await _shielded(ended)
        engine.join()
        _running.discard(engine)
        await _end_ports(engine, kind)
    if failure is not None:
        raise failure
    if engine.failure is not None:
        raise RuntimeError("the engine broke down, which is a bug in it") from engine.failure


@contextlib.asynccontextmanager
async def _supervised(engine: Engine, kind: str) -> AsyncIterator[anyio.Event]:
    """Starts the engine under a supervisor. Gives an event that is set when all its workers have ended."""
    ended = anyio.Event()
    if kind == "trio":
        import trio

        from .supervisor import Supervisor

        supervisor = Supervisor(engine)
        engine.supervised_by(supervisor.set_timer, supervisor.stir)

        async def supervise(task_status: trio.TaskStatus[None]) -> None:
            # Here, for Trio does not adopt a task that says it has started when that is not wanted any more.
            await trio.lowlevel.checkpoint_if_cancelled()
            # Not for the cancellation of the block to end: it ends with the engine.
            with trio.CancelScope(shield=True):
                await supervisor.run(task_status)
            ended.set()

        async with trio.open_nursery() as nursery:
            await nursery.start(supervise)
            engine.start()
            yield ended
        return
    import asyncio

    loop = asyncio.get_running_loop()

    def tell() -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(ended.set)

    _supervise_in_thread(engine, tell, at_once=True)
    engine.start()
    yield ended
    if engine.supervisor_thread is not None:
        engine.supervisor_thread.join()


async def _shielded(ended: anyio.Event) -> None:
    while not ended.is_set():
        with anyio.CancelScope(shield=True):
            try:
                await ended.wait()
            except anyio.get_cancelled_exc_class():
                # Only asyncio's own Task.cancel passes a shield. It is raised again when the engine has ended.
                pass


async def _end_ports(engine: Engine, kind: str) -> None:
    ports = engine.end_ports()
    if kind == "trio":
        import trio

        with trio.CancelScope(shield=True):
            for port in ports:
                ended: Any = getattr(port, "wait_ended", None)
                if ended is not None and port.thread == threading.get_ident():
                    await ended()
