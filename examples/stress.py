"""A stress test of one's own, for one's own mix of requests. The command ``aprover stress`` has many more options."""

from __future__ import annotations

import random
import statistics
import threading
import time

import trio

import aprover

REQUESTS, TASKS, CANCELLED = 2000, 100, 0.1
rng = random.Random(1)
latencies: list[float] = []
stalls: list[float] = []


def one_program() -> aprover.Program:
    """Mostly small ones, and half of them asked for again and again."""
    n = rng.choice([20, 20, 20, 200, 2000])
    return aprover.Fibonacci(n, a=rng.randrange(10) if rng.random() < 0.5 else rng.randrange(2**30))


async def user(engine: aprover.Engine) -> None:
    """Asks for one proof after the other, and now and then loses patience."""
    for _ in range(REQUESTS // TASKS):
        patience = rng.random() * 0.005 if rng.random() < CANCELLED else float("inf")
        begun = time.perf_counter()
        with trio.move_on_after(patience) as scope:
            await engine.prove(one_program())
        if not scope.cancelled_caught:
            latencies.append(time.perf_counter() - begun)


async def heartbeat() -> None:
    """By how much the loop comes late."""
    while True:
        begun = time.perf_counter()
        await trio.sleep(0.001)
        stalls.append(time.perf_counter() - begun - 0.001)


async def main() -> None:
    before = threading.active_count()
    async with aprover.open_engine() as engine, trio.open_nursery() as nursery:
        nursery.start_soon(heartbeat)
        begun = time.perf_counter()
        async with trio.open_nursery() as users:
            for _ in range(TASKS):
                users.start_soon(user, engine)
        seconds = time.perf_counter() - begun
        nursery.cancel_scope.cancel()
    done = engine.statistics()
    print(f"{done.requests / seconds:,.0f} requests a second: {done.hits} hits, {done.joins} joins, {done.left} left")
    quantiles = statistics.quantiles(latencies, n=100)
    print(f"latency: median {quantiles[49] * 1e3:.2f} ms, 99 % within {quantiles[98] * 1e3:.2f} ms")
    print(f"the loop was late by {max(stalls) * 1e3:.1f} ms at most")

    # What was cancelled must have left nothing behind.
    assert (done.waiters, done.pending, done.parked, done.busy_workers) == (0, 0, 0, 0)
    assert threading.active_count() == before
    print("nothing is left: no waiter, no flight, no thread")


if __name__ == "__main__":
    trio.run(main)
