"""Cancelling and deadlines: nothing runs on for nobody, and nobody loses a proof because somebody else left."""

from __future__ import annotations

import time

import trio

import aprover

LARGE = aprover.Fibonacci(2**17)


async def main() -> None:
    async with aprover.open_engine() as engine:
        # A cancel scope ends the proof itself, not just the waiting for it: the prover stops within milliseconds.
        begun = time.perf_counter()
        with trio.move_on_after(0.02) as scope:
            await engine.prove(LARGE)
        print(f"cancelled: {scope.cancelled_caught}, after {(time.perf_counter() - begun) * 1e3:.0f} ms")

        # Two want the same proof, and one of them leaves. The proof belongs to neither.
        async with trio.open_nursery() as nursery:

            async def impatient() -> None:
                with trio.move_on_after(0.02):
                    await engine.prove(LARGE)
                print("the impatient one has left")

            nursery.start_soon(impatient)
            proof = await engine.prove(LARGE)
            print(f"the other one has a proof of {len(proof)} bytes")

        # A deadline is on the loop's own clock. What cannot be in time is an error, not a cancellation.
        try:
            await engine.prove(aprover.Fibonacci(2**17 - 1), deadline=trio.current_time() + 0.01)
        except aprover.DeadlineExceeded as error:
            print(f"DeadlineExceeded: {error}")

    # Leaving the block has ended all threads and given back all memory.
    left = engine.statistics()
    print(f"left over: {left.waiters} waiters, {left.pending} flights, {left.busy_workers} busy workers")


if __name__ == "__main__":
    trio.run(main)
