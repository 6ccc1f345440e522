"""``make demo``: what this project does, in a minute. Proves, verifies with both verifiers, tampers."""

from __future__ import annotations

import functools
import json
import multiprocessing
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import attrs
import trio
from rich.console import Console
from rich.table import Table

import aprover
from aprover import Fibonacci, Poseidon2Chain, Program, Proof, Statement, VerificationError

T = TypeVar("T")

SEED = tuple(range(16))
BURST = 200

console = Console(highlight=False, soft_wrap=True)


@attrs.frozen
class Line:
    """One line of the table; times in seconds."""

    name: str
    rows: str
    prove: float
    verify: float
    reference: float
    size: int
    bits: float


def timed(call: Callable[[], T]) -> tuple[T, float]:
    begun = time.perf_counter()
    return call(), time.perf_counter() - begun


async def prove_one(name: str, program: Program) -> tuple[Line, Proof]:
    """One proof, checked by both verifiers."""
    begun = time.perf_counter()
    proof = await aprover.prove(program)
    seconds = time.perf_counter() - begun
    statement = program.statement()
    _, native = timed(lambda: aprover.verify(proof, statement))
    _, reference = timed(lambda: aprover.reference.verify(proof, statement))
    rows = f"{program.compiled().height:,}"
    return Line(name, rows, seconds, native, reference, len(proof), proof.security.proven_bits), proof


async def prove_burst() -> Line:
    """Many requests at once, each a task of its own."""
    programs = [Fibonacci(n) for n in range(1, BURST + 1)]
    proofs: dict[int, Proof] = {}

    async def one(program: Fibonacci) -> None:
        proofs[program.n] = await aprover.prove(program)

    begun = time.perf_counter()
    async with trio.open_nursery() as nursery:
        for program in programs:
            nursery.start_soon(one, program)
    seconds = time.perf_counter() - begun

    begun = time.perf_counter()
    for program in programs:
        aprover.verify(proofs[program.n], program.statement())
    native = time.perf_counter() - begun

    # In processes: plain Python uses one core otherwise.
    begun = time.perf_counter()
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        ordered = [proofs[program.n].to_bytes() for program in programs]
        statements = [program.statement() for program in programs]
        assert list(pool.map(aprover.reference.verify, ordered, statements, chunksize=10)) == statements
    reference = time.perf_counter() - begun

    rows = sorted(program.compiled().height for program in programs)
    size = sum(len(proof) for proof in proofs.values())
    bits = min(proof.security.proven_bits for proof in proofs.values())
    name, heights = f"{BURST} Fibonacci at once", f"{rows[0]} to {rows[-1]}"
    return Line(name, heights, seconds, native, reference, size, bits)


def show_tampering(proof: Proof) -> dict[str, list[str]]:
    """One bit changed in the claim, and one in the proof: both verifiers say no, and say why."""
    codes = {}
    claim = proof.statement
    false = Statement(claim.program, claim.parameters, claim.public_inputs, (int(str(claim.public_outputs[0])) ^ 1,))
    body = bytearray(proof.body)
    body[-1] ^= 1
    for what, tampered in (
        ("another result is claimed", Proof("stark", false, proof.body)),
        ("one bit of the proof is changed", Proof("stark", claim, bytes(body))),
    ):
        native = rejected_by(functools.partial(aprover.verify, tampered))
        reference = rejected_by(functools.partial(aprover.reference.verify, tampered))
        codes[what] = [native, reference]
        console.print(f"  {what}: rejected with {native} by the C verifier, {reference} by the reference")

    return codes


def rejected_by(verify: Callable[[], Statement]) -> str:
    """The code of the rejection; a verifier that accepts ends the demonstration."""
    try:
        verify()
    except VerificationError as error:
        return error.code.value
    sys.exit("a tampered proof was accepted")


async def main(as_json: bool = False) -> None:
    """Tells the story; or, with `as_json`, only prints its figures as one JSON object."""
    console.quiet = as_json
    console.print("Proving, and verifying each proof twice: in C, and with an independent verifier in plain Python.\n")
    fibonacci, proof = await prove_one("Fibonacci(100000)", Fibonacci(100_000))
    chain, _ = await prove_one("Poseidon2Chain(1000)", Poseidon2Chain(SEED, 1000))
    burst = await prove_burst()

    headers = "rows", "prove\nms", "verify\nms", "reference\nms", "bytes", "proven\nbits"
    table = Table("program", box=None, padding=(0, 1), pad_edge=False)
    for header in headers:
        table.add_column(header, justify="right")
    lines = fibonacci, chain, burst
    for line in lines:
        times = f"{line.prove * 1e3:,.1f}", f"{line.verify * 1e3:,.2f}", f"{line.reference * 1e3:,.0f}"
        table.add_row(line.name, line.rows, *times, f"{line.size:,}", f"{line.bits:.1f}")
    console.print(table)

    console.print(f"\nF(100000) = {proof.public_outputs[0]!r} modulo 2013265921. Now somebody tampers with its proof:")
    codes = show_tampering(proof)
    if as_json:
        print(json.dumps({"lines": [attrs.asdict(line) for line in lines], "rejected": codes}))
    console.print("\nA false claim is not accepted; a true one is checked without computing it again.")


if __name__ == "__main__":
    trio.run(main)
