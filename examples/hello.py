"""Prove that the 20th Fibonacci number is 6765, and check the proof."""

from __future__ import annotations

import trio

import aprover


async def main() -> None:
    proof = await aprover.prove(aprover.Fibonacci(20))
    print(f"made a proof of {len(proof)} bytes")

    # Whoever has the bytes can check them; nothing is computed again.
    statement = aprover.verify(proof.to_bytes())
    print("verified:", statement)
    print(f"F(20) = {statement.public_outputs[0]!r}, with {proof.security.proven_bits:.0f} proven bits")


if __name__ == "__main__":
    trio.run(main)
