"""Ctrl-C, as a real signal to a real process, on every kind of loop and without one: all ends, and nothing is lost.

Each script says that it is ready, is interrupted, and prints what interrupted it and what of the engine is left.
"""

from __future__ import annotations

import asyncio
import gc
import os
import pkgutil
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest
import trio

import aprover
from aprover.engine import opening
from aprover.engine.ports import interrupts
from tests.support.engine_shells import TIMEOUT, fresh

LOADS = {
    "a large one in flight": "[Fibonacci(2**22)]",
    "small ones parked": "[Fibonacci(2**21)] + [Fibonacci(20, a=i) for i in range(50)]",
}

PRELUDE = """
import asyncio, signal, sys, threading, time
import trio
import aprover
from aprover import Fibonacci
from aprover.engine.opening import current_engine

WORK = {work}

def left():
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("aprover")]

async def ready(engine, sleep):
    while engine.statistics().waiters < len(WORK) or not engine.statistics().running:
        await sleep(0.001)
    assert engine.statistics().parked == len(WORK) - 1
    assert left()

def say_ready():
    print("ready", flush=True)

def opened():
    return aprover.open_engine(max_pending=1)
"""

TRIO = """
async def main():
    async with opened() as engine, trio.open_nursery() as nursery:
        for program in WORK:  # the large one first, so that all others find the engine full
            nursery.start_soon(engine.prove, program)
            while not engine.statistics().running:
                await trio.sleep(0.001)
        await ready(engine, trio.sleep)
        say_ready()
try:
    trio.run(main)
except BaseException as error:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    print(type(error).__name__, left())
"""

MAIN = """
async def main():
    async with opened() as engine:
        tasks = [asyncio.create_task(engine.prove(program)) for program in WORK]
        await ready(engine, asyncio.sleep)
        # By then this task waits: the interrupt is to come out of the loop, and not out of a task.
        asyncio.get_running_loop().call_soon(say_ready)
        await asyncio.gather(*tasks)
"""

RUNNER = (
    MAIN
    + """
try:
    asyncio.run(main())
except KeyboardInterrupt as error:
    print(type(error).__name__, left())
"""
)

BY_HAND = (
    MAIN
    + """
async def proof():
    async with aprover.open_engine() as engine:
        return await engine.prove(Fibonacci(20))

loop = asyncio.new_event_loop()
task = loop.create_task(main())
try:
    loop.run_until_complete(task)
except KeyboardInterrupt as error:
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert not task.done()
    others = asyncio.all_tasks(loop)
    for other in others:
        other.cancel()
    loop.run_until_complete(asyncio.gather(*others, return_exceptions=True))
    assert all(other.cancelled() for other in others)
    print(type(error).__name__, left())
assert loop.run_until_complete(proof())
loop.close()
"""
)

SYNCHRONOUS = """
def announce():
    engine = current_engine()
    while not engine.statistics().running:
        time.sleep(0.001)
    say_ready()
threading.Thread(target=announce).start()
try:
    aprover.prove_batch_sync(WORK) if len(WORK) > 1 else aprover.prove_sync(*WORK)
except KeyboardInterrupt as error:
    engine = current_engine()
    print(type(error).__name__, ["waiters"] * engine.statistics().waiters)
assert aprover.prove_sync(Fibonacci(20))
engine.close("wait")
assert engine.join(20)
assert engine.statistics().pending == 0
"""

THREADS = """
proofs = []
def ask(a):
    proofs.append(aprover.prove_sync(Fibonacci(2**19, a=a)))
threads = [threading.Thread(target=ask, args=(a,)) for a in range(4)]
for thread in threads:
    thread.start()
while current_engine().statistics().waiters < 4:
    time.sleep(0.001)
try:
    say_ready()
    for thread in threads:
        thread.join()
except KeyboardInterrupt as error:
    for thread in threads:
        thread.join()
    assert len(proofs) == 4
    print(type(error).__name__, [])
"""


def interrupted(script: str, work: str) -> tuple[str, str, int]:
    """What the script prints, complains of and returns when it gets SIGINT once it is ready."""
    command = [sys.executable, "-c", PRELUDE.format(work=work) + script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n", process.communicate(timeout=60)
            process.send_signal(signal.SIGINT)
            out, complaints = process.communicate(timeout=60)
        finally:
            process.kill()
    return out, complaints, process.returncode


@pytest.mark.skipif(os.name != "posix", reason="needs SIGINT")
class TestProcesses:
    @pytest.mark.parametrize("work", LOADS.values(), ids=LOADS)
    @pytest.mark.parametrize(
        "script", [TRIO, RUNNER, BY_HAND, SYNCHRONOUS], ids=["trio", "asyncio.run", "run_until_complete", "prove_sync"]
    )
    def test_an_interrupt_ends_everything(self, script: str, work: str) -> None:
        """The work stops, no waiter and no thread is left, the interrupt goes on, and a later proof is made."""
        assert interrupted(script, work) == ("KeyboardInterrupt []\n", "", 0)

    def test_threads_that_are_not_interrupted_get_their_proofs(self) -> None:
        """The interrupt is the main thread's."""
        assert interrupted(THREADS, "[]") == ("KeyboardInterrupt []\n", "", 0)

    def test_a_loop_that_nobody_runs_any_more_does_not_keep_the_process(self) -> None:
        """Its engine is closed at exit; asyncio itself complains of the task."""
        script = MAIN + "asyncio.new_event_loop().run_until_complete(main())"
        out, complaints, code = interrupted(script, LOADS["a large one in flight"])
        assert (out, code) == ("", -signal.SIGINT)
        assert complaints.rstrip().endswith("KeyboardInterrupt") or "Task was destroyed" in complaints
        assert "Error" not in complaints


MIDDLES = ["aprover.engine.flights:FlightQueue.push", "aprover.engine.engine:Engine.perform"]
"""Where the core is in no state to be left."""
PORTS_MIDDLES = [
    "aprover.engine.ports.base:LoopPort.turn",
    "aprover.engine.ports.base:LoopPort._on_notice",
]
"""Where a port is."""


def interrupt_in(where: str, monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Has the next call of this method on the main thread interrupted at its first bytecode; empties the list then."""
    owner_name, _, name = where.rpartition(".")
    owner: Any = pkgutil.resolve_name(owner_name)
    real = getattr(owner, name)
    waiting = [True]

    def interrupted(*args: Any, **settings: Any) -> Any:
        if waiting and threading.current_thread() is threading.main_thread():
            waiting.pop()
            signal.raise_signal(signal.SIGINT)
        return real(*args, **settings)

    monkeypatch.setattr(owner, name, interrupted)
    return waiting


class TestTheMiddleOfARequest:
    @pytest.mark.parametrize("where", MIDDLES)
    def test_under_trio(self, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is raised where the core is whole, and the next request of this loop is served."""

        async def main() -> None:
            async with aprover.open_engine(policy=aprover.AlwaysOffload()) as engine:
                waiting = interrupt_in(where, monkeypatch)
                with pytest.raises(KeyboardInterrupt):
                    await engine.prove(fresh())
                assert not waiting
                assert await engine.prove(fresh())
                assert engine.statistics().waiters == 0

        trio.run(main)

    @pytest.mark.parametrize("where", MIDDLES)
    @pytest.mark.parametrize("many", [False, True])
    def test_on_a_plain_main_thread(self, where: str, many: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        """Of prove_sync and prove_batch_sync: the interrupt is raised, and the engine goes on."""
        engine = aprover.Engine(policy=aprover.AlwaysOffload())
        engine.start()
        waiting = interrupt_in(where, monkeypatch)
        try:
            with pytest.raises(KeyboardInterrupt):
                if many:
                    engine.prove_batch_sync([fresh(), fresh()])
                else:
                    engine.prove_sync(fresh())
            assert not waiting
            assert engine.prove_sync(fresh())
            assert engine.statistics().waiters == 0
        finally:
            engine.close("wait")
            assert engine.join(TIMEOUT)
        assert engine.statistics().pending == 0
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


class TestLoopsRunByHand:
    @pytest.mark.parametrize("where", [*MIDDLES, *PORTS_MIDDLES])
    def test_an_interrupt_in_the_middle_breaks_nothing(self, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """It comes out of the loop where core and port are whole; the loop goes on, and so does the request."""
        engine = aprover.Engine(policy=aprover.AlwaysOffload())
        engine.start()
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(engine.prove(fresh()))
            waiting = interrupt_in(where, monkeypatch)
            task = loop.create_task(engine.prove(fresh()))
            with pytest.raises(KeyboardInterrupt):
                loop.run_until_complete(task)
            assert not waiting
            if task.done():
                # It came on the task's own way in.
                assert isinstance(task.exception(), KeyboardInterrupt)
            else:
                assert loop.run_until_complete(task)
            assert loop.run_until_complete(engine.prove(fresh()))
            assert engine.statistics().waiters == 0
        finally:
            loop.close()
            engine.close("wait")
            assert engine.join(TIMEOUT)
        assert engine.statistics().pending == 0
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    def test_a_task_that_is_thrown_away_closes_its_engine(self) -> None:
        """Nothing can be awaited then: it is done without."""

        async def main(engines: list[aprover.Engine]) -> None:
            async with aprover.open_engine() as engine:
                engines.append(engine)
                await engine.prove(fresh())
                asyncio.get_running_loop().stop()
                await asyncio.Event().wait()

        engines: list[aprover.Engine] = []
        loop = asyncio.new_event_loop()
        coroutine = main(engines)
        task = loop.create_task(coroutine)
        task._log_destroy_pending = False  # type: ignore[attr-defined] # the complaint is asyncio's own
        loop.run_forever()
        (engine,) = engines
        loop.close()
        coroutine.close()
        assert engine.join(0)
        assert engine not in opening._running
        with pytest.raises(aprover.EngineClosed):
            engine.prove_sync(fresh())
        del task, coroutine
        gc.collect()


class TestHeldBack:
    def test_an_interrupt_is_raised_at_the_end_of_the_outermost(self) -> None:
        """And the handler is Python's own before and after."""
        reached = False
        with pytest.raises(KeyboardInterrupt), interrupts.held_back():
            with interrupts.held_back():
                signal.raise_signal(signal.SIGINT)
            reached = True
        assert reached
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        with interrupts.held_back():
            pass  # once is enough

    def test_another_handler_is_left_alone(self) -> None:
        """Whoever set it answers for it."""

        def raising(*_: object) -> None:
            raise ZeroDivisionError

        before = signal.signal(signal.SIGINT, raising)
        try:
            with pytest.raises(ZeroDivisionError), interrupts.held_back():
                signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is raising
        finally:
            signal.signal(signal.SIGINT, before)

    def test_other_threads_hold_nothing_back(self) -> None:
        """Python interrupts the main thread only."""
        seen: list[bool] = []
        thread = threading.Thread(target=lambda: seen.append(interrupts.held_back() is interrupts.NOT_HELD))
        thread.start()
        thread.join()
        assert seen == [True]
