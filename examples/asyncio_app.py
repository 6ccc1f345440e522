"""The same engine under asyncio, from several loops and threads at once: they share its cache and its work."""

from __future__ import annotations

import asyncio

import aprover

PROGRAMS = [aprover.Fibonacci(n) for n in range(500, 540)]


def in_a_thread(engine: aprover.Engine) -> int:
    """A plain thread has no loop, and blocks."""
    return len(engine.prove_batch_sync(PROGRAMS))


def another_loop(engine: aprover.Engine) -> int:
    """A second event loop, in a thread of its own."""

    async def all_of_them() -> int:
        return len(await asyncio.gather(*map(engine.prove, PROGRAMS)))

    return asyncio.run(all_of_them())


async def main() -> None:
    async with aprover.open_engine() as engine:
        counts = await asyncio.gather(
            asyncio.gather(*map(engine.prove, PROGRAMS)),
            asyncio.to_thread(in_a_thread, engine),
            asyncio.to_thread(another_loop, engine),
        )
        print(f"this loop got {len(counts[0])} proofs, a thread {counts[1]}, another loop {counts[2]}")
        seen = engine.statistics()
        print(
            f"{seen.requests} requests, {seen.proofs} proofs made: {seen.joins} joined, {seen.hits} were in the cache"
        )

        # asyncio's own way to give up.
        try:
            async with asyncio.timeout(0.02):
                await engine.prove(aprover.Fibonacci(2**17))
        except TimeoutError:
            print("gave up on a large one after 20 ms; its worker is free again")

    # Without open_engine there is the engine of the process, started on first use.
    proof = await aprover.prove(aprover.Fibonacci(20))
    print("the engine of the process:", aprover.verify(proof))


if __name__ == "__main__":
    asyncio.run(main())
