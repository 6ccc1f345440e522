"""Random changes of whole proofs: none is accepted, and the verifiers give the same code for each."""

from __future__ import annotations

import functools
import random
import struct
from collections import Counter
from collections.abc import Callable

import pytest

from tests.support.toy_field import P
from tests.support.toy_layout import Parameters
from tests.support.toy_programs import Instance, fibonacci, mixer
from tests.support.toy_tables import Sizes, ledger
from tests.support.verifiers import native, native_portable, native_prove, reference

MUTANTS_PER_PROOF = 400
ON_THE_REFERENCE = 40

# Narrow and wide, with and without FRI layers, caps, grinding, independent coefficients, several tables and masks.
PROOFS: dict[str, tuple[Callable[[], Instance], Parameters]] = {
    "narrow 2^3": (lambda: fibonacci(3), Parameters(3, 5)),
    "narrow 2^5": (lambda: mixer(5, 3), Parameters(3, 10, 3, 2, independent=True)),
    "wide 2^3": (lambda: mixer(3, 18), Parameters(2, 9, 0, 8)),
    "narrow 2^10": (lambda: fibonacci(10), Parameters(2, 12, 2, 3)),
    "wide 2^10": (lambda: mixer(10, 18), Parameters(1, 12, 5, 1)),
    "tables": (lambda: ledger(Sizes(8, 3, 7, batch=2)), Parameters(1, 10, 3, 1)),
    "masked tables": (lambda: ledger(Sizes(4, 3, 8)), Parameters(1, 8, 2, 1, zk=True)),
}


REACHED = {"TRUNCATED", "NON_CANONICAL", "TRAILING", "QUOTIENT", "TRACE_MERKLE", "QUOTIENT_MERKLE"}
"""Codes that the mutants of every proof meet, among others: what comes later needs a prover that lies consistently."""


@functools.lru_cache(maxsize=8)
def proved(name: str) -> tuple[Instance, bytes]:
    make, parameters = PROOFS[name]
    instance = make()
    return instance, native_prove(instance, parameters.to_bytes(), entropy=bytes(range(32)))


def flip_bit(rng: random.Random, proof: bytes) -> bytes:
    changed, at = bytearray(proof), rng.randrange(8 * len(proof))
    changed[at // 8] ^= 1 << at % 8
    return bytes(changed)


def change_byte(rng: random.Random, proof: bytes) -> bytes:
    changed = bytearray(proof)
    changed[rng.randrange(len(proof))] = rng.randrange(256)
    return bytes(changed)


def change_word(rng: random.Random, proof: bytes) -> bytes:
    """A word becomes another canonical value, a boundary value, or its other encoding v + p."""
    changed, at = bytearray(proof), 4 * rng.randrange(len(proof) // 4)
    (value,) = struct.unpack_from("<I", proof, at)
    others = ((value + 1) % P, 0, P - 1, rng.randrange(P), P, 2**32 - 1, (value + P) % 2**32, (value + P) % 2**32)
    struct.pack_into("<I", changed, at, rng.choice(others))
    return bytes(changed)


def swap(rng: random.Random, proof: bytes) -> bytes:
    """Two blocks of one length change places."""
    size = rng.choice((4, 8, 20, 32, 64))
    first, second = sorted(4 * rng.randrange((len(proof) - size) // 4) for _ in range(2))
    if second - first < size:
        return proof
    between = proof[first + size : second]
    return (
        proof[:first] + proof[second : second + size] + between + proof[first : first + size] + proof[second + size :]
    )


def copy_over(rng: random.Random, proof: bytes) -> bytes:
    """One block is a copy of another."""
    size = rng.choice((4, 20, 32, 64))
    source, target = (4 * rng.randrange((len(proof) - size) // 4) for _ in range(2))
    return proof[:target] + proof[source : source + size] + proof[target + size :]


def truncate(rng: random.Random, proof: bytes) -> bytes:
    return proof[: rng.randrange(len(proof))]


def extend(rng: random.Random, proof: bytes) -> bytes:
    return proof + rng.choice((b"\0", rng.randbytes(rng.randrange(1, 40)), proof[-32:], proof))


def delete(rng: random.Random, proof: bytes) -> bytes:
    at, size = rng.randrange(len(proof)), rng.choice((1, 4, 20, 32))
    return proof[:at] + proof[at + size :]


def insert(rng: random.Random, proof: bytes) -> bytes:
    at, size = rng.randrange(len(proof)), rng.choice((1, 4, 20, 32))
    return proof[:at] + rng.choice((bytes(size), proof[at : at + size], rng.randbytes(size))) + proof[at:]


def noise(rng: random.Random, proof: bytes) -> bytes:
    """Everything after the parameters, or after some point, is random."""
    start = rng.choice((8, rng.randrange(8, len(proof))))
    return proof[:start] + rng.randbytes(len(proof) - start)


MUTATIONS = [flip_bit, flip_bit, change_byte, change_word, change_word, swap, copy_over]
MUTATIONS += [truncate, extend, delete, insert, noise]


def mutants(name: str, count: int) -> list[bytes]:
    """`count` different mutants, the same in every run."""
    _, proof = proved(name)
    rng = random.Random(name)
    found: dict[bytes, None] = {}
    while len(found) < count:
        mutant = rng.choice(MUTATIONS)(rng, proof)
        if mutant != proof:
            found[mutant] = None
    return list(found)


@pytest.mark.parametrize("name", list(PROOFS))
class TestMutations:
    def test_the_proof_itself_is_accepted(self, name: str) -> None:
        """What is mutated is a good proof."""
        instance, proof = proved(name)
        for verify in (native, native_portable, reference):
            assert verify(instance.air, instance.publics, instance.statement, proof) is None

    def test_no_mutant_is_accepted(self, name: str) -> None:
        """The C verifier rejects every mutant, with one code on each instruction set."""
        instance, _ = proved(name)
        codes: Counter[str | None] = Counter()
        for mutant in mutants(name, MUTANTS_PER_PROOF):
            code = native(instance.air, instance.publics, instance.statement, mutant)
            assert code == native_portable(instance.air, instance.publics, instance.statement, mutant)
            codes[code] += 1
        assert codes[None] == 0
        assert codes.keys() >= REACHED

    def test_the_reference_gives_the_same_code(self, name: str) -> None:
        """The reference verifier rejects its share of the same mutants, for the same reason."""
        instance, _ = proved(name)
        for mutant in mutants(name, ON_THE_REFERENCE):
            claim = instance.air, instance.publics, instance.statement
            code = reference(*claim, mutant)
            assert code is not None
            assert code == native(*claim, mutant)
