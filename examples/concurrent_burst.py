"""A thousand concurrent requests for ten different proofs: the engine makes ten, and everybody gets one."""

from __future__ import annotations

import time

import trio

import aprover


async def burst(engine: aprover.Engine, programs: list[aprover.Fibonacci]) -> float:
    """Asks for all of them at once, each in a task of its own; how many seconds until the last one has its proof."""
    begun = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for program in programs:
            nursery.start_soon(engine.prove, program)
    return time.perf_counter() - begun


async def main() -> None:
    programs = [aprover.Fibonacci(1000 + i % 10) for i in range(1000)]
    async with aprover.open_engine() as engine:
        seconds = await burst(engine, programs)
        first = engine.statistics()
        print(f"1000 requests took {seconds * 1e3:.0f} ms: {first.proofs} proofs were made,")
        print(f"in {first.batches} batches by workers and {first.inline} times right on the event loop.")
        print(f"Of the others, {first.joins} joined one under way, and {first.hits} found theirs in the cache.")

        seconds = await burst(engine, programs)
        again = engine.statistics()
        print(f"The same once more took {seconds * 1e3:.0f} ms: {again.proofs - first.proofs} proofs were made.")


if __name__ == "__main__":
    trio.run(main)
